"""A watch that stands while somebody is asked something: how long people think is no time of a call or a run."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager


class Stopwatch:
    """Seconds since it was made, less those in which it stood. For several threads: questions come from any."""

    def __init__(self) -> None:
        self._before = 0.0  # seconds up to when it last went on
        self._since = time.monotonic()
        self._waiting = 0
        self._lock = threading.Lock()

    @property
    def stands(self) -> bool:
        return self._waiting > 0

    def seconds(self) -> float:
        with self._lock:
            return self._seconds()

    @contextmanager
    def waiting(self) -> Iterator[None]:
        """While somebody is asked something; several may be asked at a time."""
        with self._lock:
            self._before = self._seconds()
            self._waiting += 1
        try:
            yield
        finally:
            with self._lock:
                self._since = time.monotonic()
                self._waiting -= 1

    def _seconds(self) -> float:
        return self._before + (0.0 if self._waiting else time.monotonic() - self._since)
