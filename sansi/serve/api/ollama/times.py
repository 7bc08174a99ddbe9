"""Times as Ollama writes them."""

from __future__ import annotations

import time
from datetime import UTC, datetime

NANOSECONDS = 10**9


def at(seconds: float) -> str:
    """A moment, in seconds of the epoch."""
    return datetime.fromtimestamp(seconds, UTC).isoformat().replace("+00:00", "Z")


def now() -> str:
    return at(time.time())


def nanoseconds(seconds: float) -> int:
    """A duration; never below 0."""
    return max(0, round(seconds * NANOSECONDS))
