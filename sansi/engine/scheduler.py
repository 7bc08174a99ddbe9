"""Which requests run: first come, first served, into slots 0 … max_batch-1. The whole policy is in this file.

Slots of active requests are always 0 … N-1: when one leaves, the last active request moves into its slot.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

from sansi.engine.params import SamplingParams
from sansi.engine.results import Completion, Delta, FinishReason, ThinkingReport, Usage
from sansi.engine.thinking import ThinkingState


@dataclass(eq=False)
class Request:
    """One completion in the making. Made by the caller's thread, then touched by the stepping thread alone."""

    prompt: list[int]
    params: SamplingParams
    max_tokens: int  # params.max_tokens, or less where the context ends
    seed: int
    on_delta: Callable[[Delta], None] | None  # called on the stepping thread for every token; None: only at the end
    on_end: Callable[[Completion | Exception], None]  # called once, on the stepping thread
    ids: list[int] = field(default_factory=list)
    logprobs: list[float] = field(default_factory=list)
    aborted: bool = False  # set by any thread; the next step sees it
    thinking: ThinkingState | None = None
    stop_ids: frozenset[int] = frozenset()

    def __post_init__(self) -> None:
        self.stop_ids = frozenset(self.params.stop_ids)
        if self.params.thinking is not None:
            self.thinking = ThinkingState(self.params.thinking, self.prompt, self.max_tokens)

    def resolve(self, sampled: int) -> int:
        """The id that comes next when `sampled` was sampled: another one where a thinking limit says so."""
        return sampled if self.thinking is None else self.thinking.resolve(sampled)

    def push(self, token: int, logprob: float | None) -> FinishReason | None:
        """Take the next, resolved token; the reason if it was the last. A forced token never stops the completion."""
        forced = self.thinking is not None and self.thinking.state == "forcing"
        stops = token in self.stop_ids and not forced
        self.ids.append(token)
        if logprob is not None:
            self.logprobs.append(logprob)
        if self.thinking is not None and not stops:
            self.thinking.push(token)
        if stops:
            return "stop"
        return "length" if len(self.ids) >= self.max_tokens else None

    def completion(self, reason: FinishReason) -> Completion:
        return Completion(
            ids=tuple(self.ids),
            logprobs=tuple(self.logprobs) if self.params.logprobs else None,
            finish_reason=reason,
            thinking=self.thinking.report(reason) if self.thinking is not None else ThinkingReport(),
            usage=Usage(prompt_tokens=len(self.prompt), completion_tokens=len(self.ids)),
            seed=self.seed,
        )


class Scheduler:
    """The waiting queue and the slots."""

    def __init__(self, max_batch: int, max_prefill_tokens: int):
        self.max_batch, self.max_prefill_tokens = max_batch, max_prefill_tokens
        self.waiting: deque[Request] = deque()
        self.active: list[Request] = []  # index = slot

    @property
    def busy(self) -> bool:
        return bool(self.active or self.waiting)

    def admit(self) -> list[Request]:
        """Move waiting requests into free slots, as many as one padded prefill may hold, and at least one."""
        admitted: list[Request] = []
        longest = 0
        while self.waiting and len(self.active) < self.max_batch:
            longest = max(longest, len(self.waiting[0].prompt))
            if admitted and longest * (len(admitted) + 1) > self.max_prefill_tokens:
                break
            admitted.append(self.waiting.popleft())
            self.active.append(admitted[-1])
        return admitted

    def release(self, slot: int) -> int | None:
        """Free a slot. The slot whose request moved into it, if one did."""
        last = self.active.pop()
        if slot == len(self.active):
            return None
        self.active[slot] = last
        return len(self.active)

    def drop_waiting(self) -> list[Request]:
        """Take out, and return, what was aborted before it got a slot."""
        dropped = [r for r in self.waiting if r.aborted]
        if dropped:
            self.waiting = deque(r for r in self.waiting if not r.aborted)
        return dropped
