"""What the engine answers."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

FinishReason = Literal["stop", "length", "abort"]
ThinkingEnd = Literal["natural", "budget", "reserve", "loop", "end_of_turn", "stop", "length"]


@dataclass(frozen=True)
class ThinkingReport:
    """What became of the thought."""

    tokens: int = 0
    """Tokens of the thought that the model sampled: neither the tags, nor what frames the start, nor forced ones."""
    end_reason: ThinkingEnd | None = None
    """Why the thought ended: the model closed it (natural), a limit did (budget, reserve, loop), the model ended its
    turn inside it and was made to answer (end_of_turn), or the completion ended inside it (stop, length); None when
    there was no thought, or the request was aborted inside it."""
    budget_applied: int | None = None
    """Most tokens the thought could have: the budget, or what `max_tokens` less the reserve left, if that is less."""
    forced_tokens: int = 0
    """Tokens of the end sequence that came; they were not sampled."""
    phrase_tokens: int = 0
    """How many of them came before the closing id."""
    forced_at: int | None = None
    """Index of the first of them among the completion's ids; None: nothing was forced."""


@dataclass(frozen=True)
class Usage:
    prompt_tokens: int
    completion_tokens: int
    cached_tokens: int = 0
    """Prompt tokens whose keys and values were not computed anew."""


@dataclass(frozen=True)
class TokenLogprob:
    """One of the most likely tokens at a position."""

    id: int
    logprob: float


@dataclass(frozen=True)
class Completion:
    ids: tuple[int, ...]
    logprobs: tuple[float, ...] | None
    """One per id, of the unmodified model; None unless asked for."""
    finish_reason: FinishReason
    thinking: ThinkingReport
    usage: Usage
    seed: int
    """The seed used: the request's, or the one drawn for it."""
    top_logprobs: tuple[tuple[TokenLogprob, ...], ...] | None = None
    """Per id the most likely tokens in its place, best first; None unless asked for."""
    prompt_logprobs: tuple[float | None, ...] | None = None
    """One per prompt token, None for the first, which nothing comes before; None unless asked for."""
    prompt_top_logprobs: tuple[tuple[TokenLogprob, ...], ...] | None = None
    """Per prompt token the most likely tokens in its place, best first, none for the first; None unless asked for."""
    drafted_tokens: int = 0
    """Drafts that were checked for it (`SamplingParams.speculation`),"""
    accepted_tokens: int = 0
    """and how many of them came."""
    begun: float | None = field(default=None, compare=False)
    """When it left the queue, by the monotonic clock; None if it never did."""
    decode_seconds: float | None = field(default=None, compare=False)
    """From its first tokens to its end; None where none came."""


@dataclass(frozen=True)
class Delta:
    """The tokens that became known since the last delta of a stream."""

    ids: tuple[int, ...]
    logprobs: tuple[float, ...] | None
    completion: Completion | None = None
    """Set on the last delta only."""
    top_logprobs: tuple[tuple[TokenLogprob, ...], ...] | None = None
    forced_at: int | None = None
    """As `ThinkingReport.forced_at`: an index among all ids so far."""
