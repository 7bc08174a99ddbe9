"""Problems, the tasks that draw and verify them, and the words for what became of an answer.

Training, evaluation and reinforcement learning use the same objects: a `Task` draws a `Problem` from a seed at a
difficulty and gives a `Verdict` on an answer to it. `sansi.data.problems.judge` calls verifiers so that none of them
can stop anything; `sansi.data.problems.registry` finds tasks by name.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol, get_args, runtime_checkable

from sansi.base.errors import SansiError, did_you_mean
from sansi.data.problems.solvers import canonical
from sansi.text import Message

Outcome = Literal["right", "wrong", "malformed", "unanswered", "cut", "refused", "unknown"]
"""right, wrong: the verifier's word. malformed: an answer that does not have the form asked for. unanswered: no answer
text. cut: the answer was ended by a limit. refused: the model declined. unknown: nobody can say, because the verifier
failed or the answer was aborted; an unknown answer is counted, and is neither right nor wrong."""
OUTCOMES: tuple[Outcome, ...] = get_args(Outcome)


def check_finite(name: str, value: Any) -> float:
    """A number or a truth value as a float; raises SansiError for all else, NaN and infinity included."""
    try:
        number = float(value) if hasattr(value, "__float__") and not isinstance(value, str | bytes) else math.nan
    except (TypeError, ValueError, OverflowError):
        number = math.nan
    if not math.isfinite(number):
        raise SansiError(f'"{name}" is {value!r:.80}; it must be a finite number', param=name)
    return number


@dataclass(frozen=True)
class Verdict:
    """What an answer is worth. Raises SansiError for values that do not fit together."""

    score: float | None
    """1.0 is full marks, and those alone are right; None, never 0, where the outcome is unknown."""
    outcome: Outcome
    parts: Mapping[str, float] = field(default_factory=dict)
    """What the score is made of, or further marks, by name: partial credit of a scorer, for instance."""
    detail: str = ""
    """Why, for people; of an unknown outcome it starts with the reason: raised, hang, memory, killed, aborted."""

    def __post_init__(self) -> None:
        if self.outcome not in OUTCOMES:
            raise SansiError(f"outcome is {self.outcome!r}{did_you_mean(str(self.outcome), OUTCOMES)}", param="outcome")
        if (self.score is None) != (self.outcome == "unknown"):
            raise SansiError(f"score is {self.score!r} of an outcome {self.outcome}: None belongs to unknown alone")
        if self.score is not None:
            object.__setattr__(self, "score", check_finite("score", self.score))
            if self.outcome == "right" and self.score != 1.0:
                raise SansiError(f"score is {self.score} of a right answer; full marks are 1.0", param="score")
        if not isinstance(self.parts, Mapping):
            raise SansiError(f"parts is {self.parts!r}; give a mapping of names to numbers", param="parts")
        object.__setattr__(self, "parts", {str(n): check_finite(f"parts[{n}]", v) for n, v in self.parts.items()})

    @property
    def right(self) -> bool:
        return self.outcome == "right"

    @property
    def reason(self) -> str:
        """The first word of `detail`: of an unknown outcome, its reason."""
        return self.detail.split(":", 1)[0]


RIGHT = Verdict(1.0, "right")
WRONG = Verdict(0.0, "wrong")


def unknown(reason: str, detail: str) -> Verdict:
    return Verdict(None, "unknown", detail=f"{reason}: {detail}")


def as_verdict(value: Any) -> Verdict:
    """What a verifier returned, as a Verdict: True, False, marks from 0 to 1 (1 alone is right), or a Verdict.

    Raises SansiError for anything else, NaN and None included: a verifier that does not decide has failed.
    """
    if isinstance(value, Verdict):
        return value
    if not isinstance(value, bool | int | float) and not hasattr(value, "__float__"):
        raise SansiError(f"a verifier must return True, False, marks from 0 to 1 or a Verdict, not {value!r:.80}")
    marks = check_finite("marks", value)
    if not 0 <= marks <= 1:
        raise SansiError(f"a verifier's marks lie between 0 and 1, not {marks}; return a Verdict for other scores")
    return RIGHT if marks == 1.0 else Verdict(marks, "wrong")


@dataclass(frozen=True)
class Problem:
    """One problem with its hidden answer. `question` is in its task's words, which solvers and scorers read."""

    task: str
    """Name of its task; one that no registry knows is fine: then `verifier` compares with `answer`."""
    question: str
    answer: Any
    """What the verifier compares with: a text for most tasks, a number, a pattern or a schema for others."""
    metadata: Mapping[str, Any] = field(default_factory=dict)
    """What else the verifier needs or the user wants to keep."""
    wording: str | None = None
    """The question in other words, which is what is asked; None: `question`."""
    difficulty: int | None = None
    """Level it was drawn at; None: its task has none, or it was made by hand."""
    context: tuple[Mapping[str, Any], ...] = ()
    """Messages before the question: a system prompt, earlier turns."""
    verifier: str | Mapping[str, Any] | None = None
    """Name of a verifier of `sansi.data.problems.verifiers`, or a mapping of "name" and its options; None: its task
    verifies it, or "exact" where no task has that name."""

    @property
    def asked(self) -> str:
        """The text that a user writes."""
        return self.question if self.wording is None else self.wording

    @property
    def messages(self) -> list[dict[str, Any]]:
        """The conversation to answer: the context, then the question as it is asked."""
        return [*map(dict, self.context), {"role": "user", "content": self.asked}]

    @property
    def key(self) -> tuple[str, ...]:
        """What the problem is about, the same in every wording: neither spaces nor the order of a GCD's numbers nor
        the name of an unknown make another problem."""
        said = [str(message.get("content")) for message in self.context]
        return (self.task, *said, *canonical(self.task, self.question))


class Levelled(Protocol):
    """What has levels of difficulty: a task or an environment."""

    @property
    def name(self) -> str: ...

    @property
    def levels(self) -> int:
        """Levels of difficulty, from 0 (easiest) to levels - 1."""
        ...


@runtime_checkable
class Task(Levelled, Protocol):
    """Problems from a seed at a difficulty, and verdicts on answers to them.

    Two further attributes are optional. `trusted` (False): `verify` neither hangs nor harms, whatever the answer, and
    is called in this process; every other one runs in a worker process. `size` (None): the number of problems there
    are, seed i giving problem i modulo size.
    """

    def problem(self, seed: int, difficulty: int = 0) -> Problem:
        """The problem of this seed, always the same. Raises SansiError for a level that there is not."""
        ...

    def verify(self, problem: Problem, message: Message) -> Verdict | float:
        """The verdict on a message that holds an answer: its text is neither empty nor cut. Or what `as_verdict` takes.

        Call it through `verify_safely`, which makes a Verdict of either.
        """
        ...


def check_level(task: Levelled, difficulty: int) -> int:
    """`difficulty` if the task or environment has that level; raises SansiError that names those it has."""
    if isinstance(difficulty, bool) or not isinstance(difficulty, int) or not 0 <= difficulty < task.levels:
        has = f"0 to {task.levels - 1}" if task.levels > 1 else "0 alone"
        raise SansiError(f"difficulty {difficulty!r} of {task.name}: its levels are {has}", param="difficulty")
    return difficulty


def check_whole(name: str, value: int, least: int = 0) -> int:
    """`value` if it is a whole number of at least `least`; raises SansiError that names it."""
    if isinstance(value, bool) or not isinstance(value, int) or value < least:
        raise SansiError(f"{name} must be a whole number of at least {least}, not {value!r:.80}", param=name)
    return value


def check_task(task: Any, where: str) -> Task:
    """`task` if it can be used as one; raises SansiError that names what it lacks."""
    lacks = [name for name in ("name", "levels", "problem", "verify") if not hasattr(task, name)]
    if isinstance(task, type) or lacks:
        what = f"the class {task.__name__}" if isinstance(task, type) else f"{task!r:.80}"
        rest = f"it lacks {', '.join(lacks)}" if lacks else "give an object of it"
        raise SansiError(f"{where}: {what} is no task; {rest}", param="task")
    if not isinstance(task.name, str) or not task.name:
        raise SansiError(f"{where}: a task's name must be a text, not {task.name!r}", param="task")
    if isinstance(task.levels, bool) or not isinstance(task.levels, int) or task.levels < 1:
        raise SansiError(f'{where}: "levels" of task {task.name} must be at least 1, not {task.levels!r}', param="task")
    return task


def check_problems(problems: Sequence[Problem]) -> list[Problem]:
    """The problems as a list; raises SansiError for one that is none, and for an empty list."""
    if isinstance(problems, Problem) or not isinstance(problems, Sequence):
        raise SansiError(f"problems must be a list of Problem, not {problems!r:.80}", param="problems")
    for i, problem in enumerate(problems):
        if not isinstance(problem, Problem):
            raise SansiError(f"problems[{i}] is {problem!r:.80}; it must be a Problem", param="problems")
    if not problems:
        raise SansiError("there are no problems; give at least one", param="problems")
    return list(problems)
