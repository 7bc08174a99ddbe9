"""Questions whose answers come from elsewhere: another thread that reads keys, or another request to a server."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Mapping

from sansi.agents.approvals import Answer, Question


class AnswerDesk:
    """An approver for `Approvals`: a run waits at it, without blocking, until `answer` is called.

    Whoever listens to the run's events hears of a question by `approval_asked`, and answers here by the call's id.
    """

    def __init__(self) -> None:
        self._open: dict[str, tuple[Question, asyncio.AbstractEventLoop, asyncio.Future[Answer]]] = {}
        self._lock = threading.Lock()

    async def __call__(self, question: Question) -> Answer:
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Answer] = loop.create_future()
        with self._lock:
            self._open[question.id] = (question, loop, future)
        try:
            return await future
        finally:
            with self._lock:
                self._open.pop(question.id, None)

    @property
    def questions(self) -> list[Question]:
        """Those that wait."""
        with self._lock:
            return [question for question, _, _ in self._open.values()]

    def answer(self, id: str, answer: Answer | str | Mapping[str, object]) -> bool:
        """Answer the question about call `id`, from any thread; False: none waits. Raises SansiError for no answer."""
        read = Answer.read(answer)
        with self._lock:
            found = self._open.get(id)
        if found is None:
            return False
        _, loop, future = found
        loop.call_soon_threadsafe(_settle, future, read)
        return True


def _settle(future: asyncio.Future[Answer], answer: Answer) -> None:
    if not future.done():
        future.set_result(answer)
