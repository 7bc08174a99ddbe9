"""Times as Ollama writes them."""

from __future__ import annotations

import functools
import time
from datetime import UTC, datetime

NANOSECONDS = 10**9


def at(seconds: float) -> str:
    """A moment, in seconds of the epoch."""
    return datetime.fromtimestamp(seconds, UTC).isoformat().replace("+00:00", "Z")


def now() -> str:
    """Every line of a stream says it."""
    seconds, micro = divmod(time.time_ns() // 1000, 10**6)
    return f"{_second(seconds)}.{micro:06d}Z"


@functools.lru_cache(maxsize=2)
def _second(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S")


def nanoseconds(seconds: float) -> int:
    """A duration; never below 0."""
    return max(0, round(seconds * NANOSECONDS))
