"""What a request asks for, whatever the dialect that it was written in.

Each dialect reads a body into one of these, by its table of fields; the chat model and the answers know these alone.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from sansi.base.errors import SansiError
from sansi.base.shown import cut, show
from sansi.base.strict_json import json_fault, parse_json
from sansi.chat import ChatOptions

SURROGATE = re.compile(rb"\\u[dD][89a-fA-F]")
PATH = re.compile(r"\w+(?:\[\d+\])*(?:\.\w+(?:\[\d+\])*)*")
LAST_STEP = re.compile(r"(?:\.\w+|\[\d+\])$")


@dataclass(frozen=True)
class Policy:
    """How the operator wants requests to be read."""

    strict: bool = False
    """Refuse fields that could be ignored."""
    read_tags: frozenset[str] = frozenset()
    """Roles, beside the system and the assistant, whose messages may spell tags where a request asks for it."""


LAX = Policy()


@dataclass(frozen=True)
class _Request:
    """What all requests have."""

    model: str
    options: ChatOptions
    """None where the request is silent, so that presets apply."""
    stream: bool = False
    include_usage: bool = False
    """Tell the usage at the end of a stream."""
    running_usage: bool = False
    """Tell in each chunk of a stream what has been used so far."""
    prompt_logprobs: int | None = None
    """Tell the log-probabilities of the prompt's tokens, with so many of the most likely ones."""
    return_token_ids: bool = False
    prompt_first: bool = False
    """The first chunk of a stream tells something of the prompt's ids; `options.stream_tokens` is set, then."""
    ignored: tuple[str, ...] = ()
    """Fields that changed nothing."""
    labels: Mapping[str, Any] = field(default_factory=dict)
    """What the request says of itself, for the log alone."""
    names: Mapping[str, str] = field(default_factory=dict)
    """What options are called in the request, where that is otherwise."""
    told: Mapping[str, Any] = field(default_factory=dict)
    """What else the dialect wants to know when it tells the answer."""

    def named(self, error: SansiError) -> SansiError:
        """An error of the chat's, by the names of the request."""
        return renamed(error, self.names)


@dataclass(frozen=True)
class ChatRequest(_Request):
    """A conversation to go on with."""

    messages: list[Any] = field(default_factory=list)
    n: int = 1
    """Answers; the i-th has the seed + i."""
    places: Mapping[str, str] = field(default_factory=dict)
    """Where in the request stood what its messages and tools were made of: path there -> path in the request."""

    def named(self, error: SansiError) -> SansiError:
        return renamed(error, {**self.names, **self.places})


@dataclass(frozen=True)
class TextRequest(_Request):
    """Texts, or ids, to go on with."""

    prompts: list[str | list[int]] = field(default_factory=list)
    choices: int = 1
    """Completions of each prompt."""
    echo: bool = False
    logprobs: int | None = None

    def named_for(self, error: SansiError, prompt: int) -> SansiError:
        """An error about one of the prompts, by the names of the request."""
        several = {"prompt": f"prompt[{prompt}]"} if len(self.prompts) > 1 else {}
        return renamed(error, {**self.names, **several})

    @property
    def n(self) -> int:
        """Completions in all."""
        return self.choices * len(self.prompts)


def parse_body(raw: bytes) -> dict[str, Any]:
    """The JSON object in `raw`. Raises SansiError for anything that is not one, NaN and lone surrogates included."""
    try:
        body = parse_json(raw.decode(), unique_keys=True)  # UTF-8, as the standard has it
        if SURROGATE.search(raw) is not None:  # half a pair of them is parsed, but no tokenizer can take it
            _refuse_halves(body)
    except UnicodeDecodeError as error:
        raise SansiError(f"the request body is not JSON in UTF-8: byte {error.start} begins no character") from error
    except SansiError:
        raise
    except (ValueError, RecursionError) as error:
        raise SansiError(f"the request body is not valid JSON: {json_fault(error)}") from error
    if not isinstance(body, dict):
        raise SansiError(f"the request body must be a JSON object, not {show(body)}")
    return body


def _refuse_halves(value: Any, where: str = "") -> None:
    """Raise SansiError, with `param`, for half of a surrogate pair, wherever it stands."""
    if isinstance(value, str) and not value.isascii():
        try:
            value.encode()
        except UnicodeEncodeError as error:
            named = f'"{where}"' if where else "the request body"
            reason = f"{named} holds half of a surrogate pair; send whole characters"
            raise SansiError(reason, param=where or None) from error
    elif isinstance(value, list):
        for i, item in enumerate(value):
            _refuse_halves(item, f"{where}[{i}]")
    elif isinstance(value, dict):
        for key, item in value.items():
            _refuse_halves(key, where)
            _refuse_halves(item, f"{where}.{cut(key)}" if where else cut(key))


def renamed(error: SansiError, names: Mapping[str, str]) -> SansiError:
    """The error by the names of the request; the longest name counts: "a[1].b" before "a[1]" before "a"."""
    found = PATH.match(error.param or "")
    option = found[0] if found is not None else ""
    while option and option not in names:
        shorter = LAST_STEP.sub("", option)
        option = shorter if shorter != option else ""
    if not option:
        return error
    rest = (error.param or "")[len(option) :]
    message = re.sub(rf"(?<!\w){re.escape(option)}(?!\w)", lambda _: names[option], str(error))
    return SansiError(message, param=names[option] + rest, code=error.code)
