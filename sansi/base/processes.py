"""Processes: what Linux tells of them in /proc, and what each of them makes for itself."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from functools import wraps
from typing import TypeVar

T = TypeVar("T")


def process_ids() -> Iterator[int]:
    """All processes that /proc shows; one may have ended by the time it is looked at."""
    return map(int, filter(str.isdigit, os.listdir("/proc")))


def stat_fields(pid: int) -> list[str] | None:
    """The fields of /proc/PID/stat after the name, the state being the first (proc(5) counts it as field 3).

    None when the process is gone. The name may hold anything, so it is read as bytes and left out.
    """
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            return file.read().rpartition(b")")[2].decode("ascii").split()
    except OSError:
        return None


def once_per_process(make: Callable[[], T]) -> Callable[[], T]:
    """`functools.cache` for what a fork does not inherit: threads, locks of theirs, children, the process's number."""
    made: list[tuple[int, T]] = []
    lock = threading.Lock()

    @wraps(make)
    def get() -> T:
        with lock:
            if not made or made[0][0] != os.getpid():
                made[:] = [(os.getpid(), make())]
            return made[0][1]

    return get
