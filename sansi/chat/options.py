"""What a caller may ask of a chat, and what it is told afterwards."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from sansi.base.errors import SansiError
from sansi.text import Message
from sansi.text.parser import Problem


@dataclass(frozen=True)
class ChatOptions:
    """Options of one completion. A sampling field that is None takes the preset of the effective mode."""

    enable_thinking: bool | None = None
    """False: do not think, whatever the messages say. True or None: think unless a /no_think says otherwise."""
    thinking_budget: int | None = None
    """Most tokens of the thought; 0: do not think, whatever `enable_thinking` says; None: what the reserve leaves."""
    max_tokens: int | None = None
    """Most tokens of thought and answer together; None: what the context leaves, up to 32,768."""
    answer_reserve: int | None = None
    """Tokens of `max_tokens` that the thought may not use; None: a quarter of `max_tokens`, up to 256."""
    temperature: float | None = None
    """See `sansi.engine.SamplingParams`, here and below."""
    top_p: float | None = None
    top_k: int | None = None
    min_p: float | None = None
    presence_penalty: float | None = None
    frequency_penalty: float | None = None
    repetition_penalty: float | None = None
    seed: int | None = None
    """Same seed, same answer to the same messages; None draws one, which the report names."""
    logprobs: bool = False
    """Return the log-probability of each token of `ChatResult.ids` under the unmodified model."""
    tools: Sequence[Mapping[str, Any]] | None = None
    """Tool definitions, in OpenAI's form."""
    history: Literal["official", "keep"] = "official"
    """"official" drops the thoughts of earlier turns; "keep" keeps them, so that prompts only ever grow."""
    soft_switch: Literal["prefill", "model"] = "prefill"
    """"prefill" makes /think and /no_think certain; "model" leaves it to the model to open, or not open, a thought."""


@dataclass(frozen=True)
class ChatUsage:
    """Token counts, exact."""

    prompt_tokens: int
    completion_tokens: int
    """Thought, tags, answer and end of turn: every generated token."""
    reasoning_tokens: int
    """Those between the think tags."""
    cached_tokens: int
    """Prompt tokens that were not computed anew."""


@dataclass(frozen=True)
class Report:
    """What was done with a request."""

    mode: Literal["thinking", "non-thinking"]
    """The effective mode, as the prompt was rendered."""
    mode_source: str
    """Who decided the mode: "default", "request", "soft_switch", or "model" where it was left to the model."""
    budget_requested: int | None
    budget_applied: int | None
    """Most tokens that the thought could have; 0 where thinking was off; None where there was no bound to apply."""
    thinking_end_reason: str | None
    """"natural", "budget", "reserve", "loop", "stop" or "length"; None where there was no thought."""
    closing_phrase_tokens: int
    """How many of the reasoning tokens are not the model's own, but the phrase that closes a cut thought."""
    max_tokens: int
    """The bound on the completion after the context was considered."""
    answer_reserve: int
    sampling: dict[str, Any]
    """The values used, seed included."""
    preset: str
    """Which preset filled the values that the request left open."""


@dataclass(frozen=True)
class ChatResult:
    """An answer."""

    message: Message
    finish_reason: Literal["stop", "length", "tool_calls", "abort"]
    """"tool_calls" if the answer is whole and one of its calls at least can be executed. "length" wins over it: the
    calls of a truncated answer must not be executed. A call with an `error` is none either: "stop"."""
    usage: ChatUsage
    report: Report
    ids: tuple[int, ...]
    """Every generated id, the stop id included."""
    prompt_ids: tuple[int, ...]
    logprobs: tuple[float, ...] | None = None
    problems: tuple[Problem, ...] = ()
    """What was wrong with what the model wrote, by name; docs/codec.md says what became of it."""


def check_options(options: ChatOptions) -> None:
    """Raise SansiError, with `param` the field, for values that the layers below do not check."""
    if not isinstance(options, ChatOptions):
        raise SansiError(f"options must be ChatOptions, not {options!r}", param="options")
    for name, least in (("thinking_budget", 0), ("answer_reserve", 0), ("max_tokens", 1)):
        value = getattr(options, name)
        if value is not None and (isinstance(value, bool) or not isinstance(value, int) or value < least):
            raise SansiError(f"{name} must be a whole number of {least} or more, not {value!r}", param=name)
    if options.enable_thinking not in (None, True, False):
        raise SansiError(
            f"enable_thinking must be true, false or null, not {options.enable_thinking!r}", param="enable_thinking"
        )
