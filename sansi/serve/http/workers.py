"""Threads for work that would hold up the event loop: few, and of no weight at the process's end."""

from __future__ import annotations

import asyncio
import contextlib
import queue
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

from sansi.serve.http.admission import Ticket

T = TypeVar("T")
IDLE_SECONDS = 5.0  # after which a thread ends


@dataclass(frozen=True)
class _Job:
    work: Callable[[], Any]
    ticket: Ticket
    future: asyncio.Future[Any]

    def run(self) -> None:
        """On a worker's thread. What nobody waits for any more is not begun."""
        result, error = None, None
        if not self.future.cancelled():
            try:
                result = self.work()
            except BaseException as raised:
                error = raised
        with contextlib.suppress(RuntimeError):  # the loop is closed
            self.future.get_loop().call_soon_threadsafe(self._end, result, error)

    def _end(self, result: Any, error: BaseException | None) -> None:
        self.ticket.release()
        if self.future.done():
            return
        if error is None:
            self.future.set_result(result)
        else:
            self.future.set_exception(error)


class Workers:
    """At most `count` threads, which the end of the process does not wait for."""

    def __init__(self, count: int, name: str):
        self._count, self._name = count, name
        self._jobs: queue.SimpleQueue[_Job] = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._threads = 0

    async def run(self, work: Callable[[], T], ticket: Ticket) -> T:
        """What `work` returns, or its error.

        The ticket is held until the work has ended, also where its client has left: who comes and goes can not pile up
        work beyond what the gate lets in.
        """
        job = _Job(work, ticket.hold(), asyncio.get_running_loop().create_future())
        with self._lock:
            self._jobs.put(job)
            if self._threads < self._count:
                self._threads += 1
                threading.Thread(target=self._serve, name=self._name, daemon=True).start()
        return await job.future

    def _serve(self) -> None:
        while (job := self._next()) is not None:
            job.run()

    def _next(self) -> _Job | None:
        with contextlib.suppress(queue.Empty):
            return self._jobs.get(timeout=IDLE_SECONDS)
        with self._lock:
            if self._jobs.empty():
                self._threads -= 1
                return None
        return self._next()
