"""Stopping a run from another thread."""

from __future__ import annotations

import threading
from collections.abc import Callable


class Stop:
    """`stop.set()` ends the run that was given it: model, tools and what they wait for. From any thread, any number of
    times, also before the run begins."""

    def __init__(self) -> None:
        self._lock, self._listeners = threading.Lock(), list[Callable[[], None]]()
        self._set = False

    @property
    def is_set(self) -> bool:
        return self._set

    def set(self) -> None:
        with self._lock:
            self._set, listeners = True, list(self._listeners)
        for listener in listeners:
            listener()

    def listen(self, listener: Callable[[], None]) -> None:
        """Call `listener` when it is set; now, if it is."""
        with self._lock:
            self._listeners.append(listener)
        if self._set:
            listener()

    def forget(self, listener: Callable[[], None]) -> None:
        with self._lock:
            self._listeners = [known for known in self._listeners if known is not listener]
