"""What the engine counts. Counting costs a few additions a step; reading makes a frozen copy, from any thread."""

from __future__ import annotations

import time
from collections import Counter, deque
from collections.abc import Mapping
from dataclasses import dataclass, field

from sansi.engine.results import Completion

WINDOW = 10.0  # seconds that the rates look back


@dataclass(frozen=True)
class EngineMetrics:
    """The engine at one moment. Token counts and endings are totals since it was made."""

    waiting: int
    """Requests in the queue, those preempted included."""
    running: int
    """Requests that hold cache blocks."""
    preempted: int
    """Requests in the queue that ran before."""
    preemptions: int
    """How often a running request gave up its blocks."""
    blocks_free: int
    blocks_cached: int
    """Blocks that nobody owns and whose content may be found again."""
    blocks_owned: int
    prompt_tokens: int
    """Tokens of all prompts that began to run."""
    cached_tokens: int
    """How many of them were found in the prefix cache."""
    prefill_tokens: int
    """Tokens read: of prompts, and again after a preemption."""
    decode_tokens: int
    """Tokens generated, forced ones included."""
    prefill_tokens_per_second: float
    """Over the last seconds of work, as is the next."""
    decode_tokens_per_second: float
    """Sampled tokens alone: forced ones are read, a whole phrase in one step."""
    thinking_tokens: int
    """The models' own, in completions that have ended."""
    thinking_ends: Mapping[str, int]
    """Completions by the reason why their thought ended."""
    finished: Mapping[str, int]
    """Completions by finish reason: stop, length, abort."""
    drafted_tokens: int
    """Drafts that were checked, in completions that have ended."""
    accepted_tokens: int
    """How many of them came."""
    failed: int
    """Requests that ended with an error of their own."""
    retries: int
    """Steps that failed and were tried again in smaller pieces."""
    steps: int

    @property
    def hit_rate(self) -> float:
        """The part of all prompt tokens that came from the prefix cache."""
        return self.cached_tokens / self.prompt_tokens if self.prompt_tokens else 0.0

    @property
    def aborts(self) -> int:
        return self.finished.get("abort", 0)


@dataclass
class Meter:
    """The running totals behind EngineMetrics; the stepping thread writes them."""

    prompt_tokens: int = 0
    cached_tokens: int = 0
    prefill_tokens: int = 0
    decode_tokens: int = 0
    thinking_tokens: int = 0
    thinking_ends: Counter[str] = field(default_factory=Counter)
    finished: Counter[str] = field(default_factory=Counter)
    drafted_tokens: int = 0
    accepted_tokens: int = 0
    failed: int = 0
    retries: int = 0
    steps: int = 0
    _window: deque[tuple[float, float, int, int]] = field(default_factory=deque)  # (second, busy, prefill, sampled)

    def step(self, seconds: float, prefill: int, decode: int, forced: int = 0) -> None:
        """A step of `seconds` read `prefill` tokens and gave `decode`, of which `forced` were not sampled."""
        self.steps += 1
        self.prefill_tokens += prefill
        self.decode_tokens += decode
        now, sampled = time.monotonic(), decode - forced
        window = self._window
        if window and now - window[-1][0] < WINDOW / 20:  # a few sums instead of one entry a step
            begun, busy, read, made = window[-1]
            window[-1] = (begun, busy + seconds, read + prefill, made + sampled)
        else:
            window.append((now, seconds, prefill, sampled))
            while now - window[0][0] > WINDOW:
                window.popleft()

    def end(self, completion: Completion) -> None:
        self.finished[completion.finish_reason] += 1
        self.thinking_tokens += completion.thinking.tokens
        self.drafted_tokens += completion.drafted_tokens
        self.accepted_tokens += completion.accepted_tokens
        if completion.thinking.end_reason is not None:
            self.thinking_ends[completion.thinking.end_reason] += 1

    def rates(self) -> tuple[float, float]:
        """Prefill and decode tokens per second of work in the window."""
        entries = [entry for entry in tuple(self._window) if time.monotonic() - entry[0] <= WINDOW]
        busy = sum(entry[1] for entry in entries)
        if not busy:
            return 0.0, 0.0
        return sum(entry[2] for entry in entries) / busy, sum(entry[3] for entry in entries) / busy
