"""How long a call may take: silence is limited, news of progress start it anew, and so is the whole."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import anyio


class Deadline:
    """The limits of one call, held by a cancel scope of the task that waits for it."""

    def __init__(self, silence: float, limit: float, clock: Callable[[], float] = anyio.current_time):
        self.silence, self.limit, self._clock = silence, limit, clock
        self._end = clock() + limit
        self._paused_at: float | None = None
        self._pauses = 0
        self.scope = anyio.CancelScope()
        self.heard()

    def heard(self) -> None:
        """The server said that it is at work."""
        if not self._pauses:
            self.scope.deadline = min(self._clock() + self.silence, self._end)

    @contextmanager
    def paused(self) -> Iterator[None]:
        """While a person is being asked, no time passes."""
        if not self._pauses:
            self._paused_at, self.scope.deadline = self._clock(), float("inf")
        self._pauses += 1
        try:
            yield
        finally:
            self._pauses -= 1
            if not self._pauses and self._paused_at is not None:
                self._end += self._clock() - self._paused_at
                self.heard()

    def passed(self) -> str:
        """Which of the limits it was, in words."""
        return (
            f"it was at work for {self.limit:g} s and not done (call_limit_s)"
            if self._clock() >= self._end
            else f"no answer within {self.silence:g} s (call_timeout_s)"
        )
