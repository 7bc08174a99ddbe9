"""Asking a busy server again."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from sansi.client.streaming import Refused

BUSY = (429, 502, 503, 504)
FIRST, LONGEST = 1.0, 60.0  # seconds


def waits(retries: int) -> Iterator[Callable[[Refused], float]]:
    """For each try a function that says how long to wait after it was refused, or raises the refusal: it is of another
    kind, the server wants too long a wait, or it was the last try."""
    for attempt in range(retries + 1):

        def wait(error: Refused, attempt: int = attempt) -> float:
            seconds = FIRST * 2**attempt if error.retry_after is None else error.retry_after
            if error.status not in BUSY or attempt == retries or seconds > LONGEST:
                raise error
            return seconds

        yield wait
