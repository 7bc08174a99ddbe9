"""What a caller may ask of a chat, and what it is told afterwards."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from sansi.base.errors import SansiError, did_you_mean
from sansi.base.shown import show
from sansi.chat.presets import EFFORTS
from sansi.chat.stop import check_stops
from sansi.engine import TokenLogprob
from sansi.text import Message
from sansi.text.parser import Problem


@dataclass(frozen=True)
class ChatOptions:
    """Options of one completion. A sampling field that is None takes the preset of the effective mode."""

    enable_thinking: bool | None = None
    """False: do not think, whatever the messages say. True or None: think unless a /no_think says otherwise."""
    thinking_budget: int | None = None
    """Most tokens of the thought; 0: do not think, whatever `enable_thinking` says; None: `reasoning_effort` says."""
    reasoning_effort: str | None = None
    """A budget by name: a key of `sansi.chat.presets.EFFORTS`. None: what the reserve leaves."""
    loop_breaker: bool = True
    """Close a thought that repeats itself."""
    max_tokens: int | None = None
    """Most tokens of thought and answer together; None: what the context leaves, up to 32,768. 0, for plain text and
    with `prompt_logprobs`: the prompt is read, and nothing is written."""
    min_tokens: int = 0
    """Before so many tokens neither an end of turn, nor `stop_ids`, nor `stop` ends the completion; a text that a
    format completes ends all the same."""
    ignore_eos: bool = False
    """Never end the turn: go on to `max_tokens`, `stop` or `stop_ids`. The end of a format is an end even so."""
    answer_reserve: int | None = None
    """Tokens of `max_tokens` that the thought may not use; None: a quarter of `max_tokens`, from 1 to 256."""
    temperature: float | None = None
    """See `sansi.engine.SamplingParams`, here and below."""
    top_p: float | None = None
    top_k: int | None = None
    min_p: float | None = None
    presence_penalty: float | None = None
    frequency_penalty: float | None = None
    repetition_penalty: float | None = None
    logit_bias: Mapping[int, float] | None = None
    """What is added to the logits of ids before all else: from -100, which all but forbids one, to 100."""
    seed: int | None = None
    """Same seed, same answer to the same messages; None draws one, which the report names."""
    stop: Sequence[str] = ()
    """Strings that end the answer where they first stand in its text; never looked for in the thought or in calls."""
    stop_ids: Sequence[int] = ()
    """Ids that end the completion wherever they come, beside the codec's own."""
    logprobs: bool = False
    """Return the log-probability of each token of `ChatResult.ids` under the unmodified model."""
    top_logprobs: int = 0
    """Also return so many of the most likely tokens in the place of each."""
    prompt_logprobs: bool = False
    """Also tell the log-probabilities of the prompt's tokens."""
    prompt_top_logprobs: int = 0
    """With it: also so many of the most likely tokens in the place of each."""
    stream_prompt: bool = False
    """Let streams begin with a `Tokens` that has the prompt's ids alone."""
    stream_tokens: bool = False
    """Let streams hold `Tokens`: before the events that ids bring, the ids themselves."""
    tools: Sequence[Mapping[str, Any]] | None = None
    """Tool definitions, in OpenAI's form. One that says "strict" binds what the model writes in its calls."""
    tool_choice: str = "auto"
    """"auto"; "none": the model sees the tools and calls none; "required": it calls one at least; or a tool's name:
    it calls that one."""
    parallel_tool_calls: bool = True
    """False: one call at most."""
    response_format: Mapping[str, Any] | None = None
    """What the answer's text must be, in OpenAI's form: of type "text", "json_object" or "json_schema"; or "regex"."""
    continue_final: Literal["answer", "thought"] | None = None
    """Go on with the last message, an assistant's: with its answer, or with its open thought."""
    read_tags: Collection[str] = ()
    """Roles whose messages may spell tags of calls, results and thoughts; elsewhere these are characters."""
    parse_special: bool = False
    """Of plain text: read control tokens where the prompt spells them; else they are characters."""
    speculation: int = 0
    """Most draft tokens that one step may check; changes the speed and no token."""

    @property
    def budget(self) -> int | None:
        """Most tokens of the thought: an explicit budget wins over an effort."""
        if self.thinking_budget is not None or self.reasoning_effort is None:
            return self.thinking_budget
        return EFFORTS[self.reasoning_effort]

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
    """The model's own between the think tags: neither a line break that frames the thought nor the closing phrase."""
    cached_tokens: int
    """Prompt tokens that were not computed anew."""
    sampled_tokens: int
    """How many of `completion_tokens` were sampled: all but the closing phrase and what else was forced with it."""


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
    """"natural", "budget", "reserve", "loop", "end_of_turn", "stop" or "length"; None where there was no thought."""
    closing_phrase_tokens: int
    """Tokens of the phrase that closed a cut thought; they are not among the reasoning tokens."""
    closing_phrase: str
    """That phrase: the end of `reasoning_content` that is not the model's own; "" where there is none."""
    max_tokens: int
    """The bound on the completion after the context was considered."""
    answer_reserve: int
    sampling: dict[str, Any]
    """The values used, seed included."""
    preset: str
    """Which preset filled the values that the request left open."""
    special_tokens_read: int = 0
    """Tags and other control tokens that messages, or a text, spelled and that were read as such."""
    warnings: tuple[str, ...] = ()
    """What the request may not have meant, a sentence each."""


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
    stop: str | None = None
    """Which of `ChatOptions.stop` ended the answer. It is not part of the message, which then carries no `ids`."""
    top_logprobs: tuple[tuple[TokenLogprob, ...], ...] | None = None
    begun: float | None = field(default=None, compare=False, repr=False)
    """When the engine took it out of its queue, by the monotonic clock; None where it never did."""
    decode_seconds: float | None = field(default=None, compare=False, repr=False)
    """From its first tokens to its last, as the engine saw it; None where none came."""
    prompt_logprobs: tuple[float | None, ...] | None = None
    """One for each of `prompt_ids` if `ChatOptions.prompt_logprobs` asked; None for the first: nothing comes before."""
    prompt_top_logprobs: tuple[tuple[TokenLogprob, ...], ...] | None = None


TokenKind = Literal["reasoning", "content", "other", "dropped"]


@dataclass(frozen=True)
class Tokens:
    """Ids of a stream, in order and once each, the last one included; there if `ChatOptions.stream_tokens` asks."""

    ids: tuple[int, ...]
    kinds: tuple[TokenKind, ...]
    """What each is part of: the thought, the answer, or neither: tags, line breaks around thought and answer, tool
    calls, the end of the turn. Those of the answer spell it, and so do the thought's.

    "dropped": it ended the completion as one of `stop_ids`, or begins where one of `stop` cut the text, or after.
    """
    logprobs: tuple[float, ...] | None = None
    top_logprobs: tuple[tuple[TokenLogprob, ...], ...] | None = None
    prompt_ids: tuple[int, ...] | None = None
    """Those of the prompt, before anything is generated; on the first of a stream alone."""


@dataclass(frozen=True)
class TextResult:
    """A completion of plain text."""

    text: str
    finish_reason: Literal["stop", "length", "abort"]
    usage: ChatUsage
    report: Report
    ids: tuple[int, ...]
    prompt_ids: tuple[int, ...]
    logprobs: tuple[float, ...] | None = None
    stop: str | None = None
    top_logprobs: tuple[tuple[TokenLogprob, ...], ...] | None = None
    prompt_logprobs: tuple[float | None, ...] | None = None
    """As `ChatResult.prompt_logprobs`, and so is the next."""
    prompt_top_logprobs: tuple[tuple[TokenLogprob, ...], ...] | None = None
    begun: float | None = field(default=None, compare=False, repr=False)
    """As `ChatResult.begun`, and so is the next."""
    decode_seconds: float | None = field(default=None, compare=False, repr=False)


def tokens_per_second(result: ChatResult | TextResult) -> float | None:
    """Sampled tokens a second, after the first; None where fewer than two were sampled."""
    sampled, seconds = result.usage.sampled_tokens, result.decode_seconds
    return (sampled - 1) / seconds if seconds and sampled > 1 else None


_FLAGS = (
    *("loop_breaker", "ignore_eos", "logprobs", "prompt_logprobs", "parallel_tool_calls", "stream_tokens"),
    "parse_special",
)


def check_options(options: ChatOptions) -> None:
    """Raise SansiError, with `param` the field, for values that the layers below do not check."""
    if not isinstance(options, ChatOptions):
        raise SansiError(f"options must be ChatOptions, not {show(options)}", param="options")
    for name, least in (("thinking_budget", 0), ("answer_reserve", 0), ("max_tokens", 0), ("min_tokens", 0)):
        value = getattr(options, name)
        if value is not None and (isinstance(value, bool) or not isinstance(value, int) or value < least):
            raise SansiError(f"{name} must be a whole number of {least} or more, not {show(value)}", param=name)
    if options.enable_thinking not in (None, True, False):
        raise SansiError(
            f"enable_thinking must be true, false or null, not {show(options.enable_thinking)}", param="enable_thinking"
        )
    for name in _FLAGS:
        value = getattr(options, name)
        if not isinstance(value, bool):
            raise SansiError(f"{name} must be true or false, not {show(value)}", param=name)
    effort = options.reasoning_effort
    if effort is not None and effort not in EFFORTS:
        reason = f"reasoning_effort is {show(effort)}{did_you_mean(str(effort), EFFORTS)}"
        raise SansiError(reason, param="reasoning_effort")
    if options.max_tokens is not None and options.min_tokens > options.max_tokens:
        reason = f"min_tokens is {options.min_tokens}, but max_tokens allows {options.max_tokens}; lower the one"
        raise SansiError(f"{reason}, or raise the other", param="min_tokens")
    check_stops(options.stop)
    if options.continue_final == "answer" and (options.response_format or {}).get("type") not in (None, "text"):
        reason = "response_format binds an answer from its start on, and continue_final goes on with one that has begun"
        reason += "; leave out one of them"
        raise SansiError(reason, param="response_format")


def check_text_options(options: ChatOptions) -> None:
    """Raise SansiError for options that mean something only where there are messages."""
    plain = ChatOptions()
    for name in ("enable_thinking", "tools", "tool_choice", "history", "soft_switch", "continue_final", "read_tags"):
        if getattr(options, name) != getattr(plain, name):
            raise SansiError(f"{name} needs messages; a plain text is completed as it is", param=name)
