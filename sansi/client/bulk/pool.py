"""Threads that work through jobs, and that a program's end does not wait for."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable
from typing import Generic, TypeVar

T = TypeVar("T")


class Job(Generic[T]):
    """Work that somebody does, and what came of it."""

    def __init__(self, work: Callable[[], T]):
        self._work = work
        self._done = threading.Event()
        self._result: T | None = None
        self._error: BaseException | None = None

    def run(self) -> None:
        try:
            self._result = self._work()
        except BaseException as error:
            self._error = error
        finally:
            self._done.set()

    def result(self) -> T:
        """What came of it, when it is done. Raises what it raised."""
        self._done.wait()
        if self._error is not None:
            raise self._error
        return self._result  # type: ignore[return-value]


class Pool:
    """Daemon threads: those of `concurrent.futures` would hold up an interrupted program until its answers are there.

    Leaving the block sets `stop`, which jobs under way are to look at, and drops those that have not begun.
    """

    def __init__(self, threads: int):
        self.stop = threading.Event()
        self._jobs: queue.SimpleQueue[Job[object] | None] = queue.SimpleQueue()
        self._most = threads
        self._threads: list[threading.Thread] = []

    def submit(self, work: Callable[[], T]) -> Job[T]:
        job = Job(work)
        self._jobs.put(job)  # type: ignore[arg-type]
        if len(self._threads) < self._most:
            self._threads.append(threading.Thread(target=self._work, name="bulk", daemon=True))
            self._threads[-1].start()
        return job

    def __enter__(self) -> Pool:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop.set()
        for _thread in self._threads:
            self._jobs.put(None)

    def _work(self) -> None:
        while (job := self._jobs.get()) is not None:
            if self.stop.is_set():
                return
            job.run()
