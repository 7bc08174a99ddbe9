"""Questions to the user about one call, and the answers."""

from __future__ import annotations

import dataclasses
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias

from sansi.agents.showing import visible
from sansi.base import SansiError
from sansi.base.errors import did_you_mean

Choice = Literal["once", "session", "always", "no"]
CHOICES: tuple[Choice, ...] = ("once", "session", "always", "no")
LONGER: tuple[Choice, ...] = ("session", "always")
"""Those that hold for more than one call."""
THIS_CALL = "this very call"
"""How `Question.covers` begins where no other call is approved with it."""


@dataclass(frozen=True)
class Copied:
    """A value of a call that stands in text of strangers, and not in what the user said."""

    argument: str
    """Where in the arguments, as `recipients[0]`."""
    value: str
    origin: str
    """Whose text it was found in."""


@dataclass(frozen=True)
class Question:
    """One call that waits for an answer, with all that a user needs to see. Plain data: it is saved with a run."""

    id: str
    """That of the call."""
    tool: str
    origin: str
    """Where the tool comes from: "python", "built-in" or "mcp:SERVER"."""
    title: str
    """The name where it comes from."""
    effects: tuple[str, ...]
    arguments: str
    """JSON text."""
    fingerprint: str
    """Of the tool's definition."""
    shown: str
    """The thing itself: the whole command, the diff, the address. Characters that hide are spelled out."""
    reasons: tuple[str, ...]
    """Why it is asked, a sentence each."""
    difference: str = ""
    """What changed in the tool's definition since it was approved, by lines; else empty."""
    copied: tuple[Copied, ...] = ()
    choices: tuple[Choice, ...] = CHOICES
    """What may be answered; a question that a rule wants each time can not be answered for longer, nor one that is cut
    before it was shown whole."""
    whole: str = ""
    """The file with all of `shown`, where that is cut; else empty. Its name tells its content."""
    when_seen: tuple[Choice, ...] = ()
    """What may be answered besides, once `whole` was shown."""
    covers: str = ""
    """What "session" and "always" would approve, in words: every call of the tool, a kind of commands, or this call."""
    addresses: tuple[str, ...] = ()
    """Those that a call over the network connects to, where they were looked up; `shown` has them, too."""
    definition: Mapping[str, Any] = field(default_factory=dict)
    """The tool's, as it was when it was asked."""

    @property
    def key(self) -> str:
        """Under which the tool's definition is remembered (`definitions.key_of`)."""
        return f"{self.origin}/{self.title}"

    @property
    def covers_others(self) -> bool:
        """Whether "session" and "always" would approve other calls, too, so that `Answer.exact` is less."""
        return self.covers != "" and not self.covers.startswith(THIS_CALL)

    @property
    def quoted_apart(self) -> list[Copied]:
        """Copied values that no reason quotes."""
        return [each for each in self.copied if not any(visible(each.value)[:200] in why for why in self.reasons)]

    def offers(self, seen: bool = False) -> tuple[Choice, ...]:
        """What may be answered. seen: all of what the question shows in part was shown."""
        return tuple(choice for choice in CHOICES if choice in self.choices or (seen and choice in self.when_seen))

    def to_json(self) -> dict[str, Any]:
        return dataclasses.asdict(self)

    @classmethod
    def from_json(cls, saved: Mapping[str, Any]) -> Question:
        """Raises SansiError where it is no question that `to_json` wrote."""
        try:
            lists = {name: tuple(saved[name]) for name in ("effects", "reasons", "choices", "when_seen", "addresses")}
            return cls(**{**saved, **lists, "copied": tuple(Copied(**copied) for copied in saved["copied"])})
        except (TypeError, KeyError) as error:
            raise SansiError(f"this is no saved question ({error})", param="pending") from error


@dataclass(frozen=True)
class Answer:
    """What the user says. A "no" tells the model why; the other three let the call run."""

    choice: Choice
    """once: this call. session: what `Question.covers` says, as long as the session lasts. always: the same, from now
    on. no: not."""
    reason: str = ""
    """For the model, in the user's words."""
    exact: bool = False
    """With session and always: only calls with these very arguments."""
    seen: bool = False
    """All of what the question shows in part was shown, `Question.whole`."""

    def __post_init__(self) -> None:
        if self.choice not in CHOICES:
            raise SansiError(f"an answer is {self.choice!r:.60}{did_you_mean(self.choice, CHOICES)}", param="answer")
        if not isinstance(self.reason, str):
            raise SansiError(f"the reason of an answer is text, not {self.reason!r:.60}", param="answer")
        for name in ("exact", "seen"):
            if not isinstance(value := getattr(self, name), bool):
                raise SansiError(f"{name} of an answer is true or false, not {value!r:.60}", param="answer")

    @classmethod
    def read(cls, answer: object) -> Answer:
        """From an Answer, one of its words, or a mapping with its fields. Raises SansiError for anything else."""
        if isinstance(answer, Answer):
            return answer
        if isinstance(answer, str):
            return cls(answer)  # type: ignore[arg-type]
        if isinstance(answer, Mapping):
            known = [field.name for field in dataclasses.fields(cls)]
            for name in answer:
                if name not in known:
                    raise SansiError(
                        f'an answer has no field "{name!s:.60}"{did_you_mean(name, known)}', param="answer"
                    )
            if "choice" in answer:
                return cls(**answer)
        raise SansiError(f'an answer is "once", "session", "always" or "no", not {answer!r:.60}', param="answer")

    def to_json(self) -> dict[str, Any]:
        return dataclasses.asdict(self)


@dataclass(frozen=True)
class NotAsked(Answer):
    """A "no" of nobody: whoever was to be asked could not be."""


Approver: TypeAlias = Callable[[Question], Any] | Callable[[Question], Awaitable[Any]]
"""Asked about a call; gives an Answer or one of its words. May be async."""
