"""Questions whose answers come from elsewhere: another thread that reads keys, or another request to a server."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Mapping
from typing import Any, TypeAlias

from sansi.agents import forms
from sansi.agents.approvals import Answer, Question
from sansi.agents.approvals.questions import NotAsked

Asked: TypeAlias = Question | forms.Question


class AnswerDesk:
    """An approver for `Approvals`, and with `ask` whom an `Agent` asks: a run waits at it, without blocking, until
    `answer` is called.

    Whoever listens to the run's events hears of a question by `approval_asked`, and answers here by the call's id; or
    by `input_asked`, and answers by the question's.

    seconds: how long a question waits; then it counts as not answered, and the model is told so. None: without end.
    """

    def __init__(self, seconds: float | None = None) -> None:
        self._seconds = seconds
        self._open: dict[str, tuple[Asked, asyncio.AbstractEventLoop, asyncio.Future[Any]]] = {}
        self._lock = threading.Lock()

    async def __call__(self, question: Question) -> Answer:
        try:
            answer: Answer = await self._waited(question)
        except TimeoutError:
            return NotAsked("no", f"nobody answered within {self._seconds:g} s, so this call was not made")
        return answer

    async def ask(self, question: forms.Question) -> forms.Reply:
        """What the user says to a question in the middle of a call."""
        try:
            reply: forms.Reply = await self._waited(question)
        except TimeoutError:
            return forms.Reply("cancel")
        return reply

    async def _waited(self, question: Asked) -> Any:
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Any] = loop.create_future()
        with self._lock:
            self._open[question.id] = (question, loop, future)
        try:
            async with asyncio.timeout(self._seconds):
                return await future
        finally:
            with self._lock:
                if self._open.get(question.id, (None, None, None))[2] is future:
                    del self._open[question.id]

    @property
    def questions(self) -> list[Asked]:
        """Those that wait."""
        with self._lock:
            return [question for question, _, _ in self._open.values()]

    def answer(self, id: str, answer: Answer | forms.Reply | str | Mapping[str, object]) -> bool:
        """Answer the question `id` (of an approval: the call's), from any thread; False: none waits.

        Raises SansiError for no answer, or values that do not fit the form; the question waits on then.
        """
        with self._lock:
            found = self._open.get(id)
        if found is None:
            return False
        question, loop, future = found
        read = Answer.read(answer) if isinstance(question, Question) else question.fitted(forms.Reply.read(answer))
        with self._lock:
            if self._open.get(id) is not found:  # somebody else was faster
                return False
            del self._open[id]
        loop.call_soon_threadsafe(_settle, future, read)
        return True


def _settle(future: asyncio.Future[Any], answer: Any) -> None:
    if not future.done():
        future.set_result(answer)
