"""A model whose every answer takes its place in the server's queue, as a request of its own would."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, Callable, Sequence
from typing import Any

from sansi.base import SansiError
from sansi.chat import ChatModel, ChatOptions, ChatResult
from sansi.serve.api.errors import ServeError
from sansi.serve.http.admission import Admission
from sansi.text import Message


class AdmittedChat:
    """What `InProcessChatClient` needs of a chat model. note: told each result, for the log and the metrics."""

    def __init__(self, chat: ChatModel, admission: Admission, note: Callable[[ChatResult], None]):
        self._chat, self._admission, self._note = chat, admission, note

    @property
    def context_length(self) -> int:
        return self._chat.context_length

    def __getattr__(self, name: str) -> Any:
        return getattr(self._chat, name)  # what a model may have and need not, such as prompt_ids

    async def stream(self, messages: Sequence[Message], options: ChatOptions) -> AsyncGenerator[Any, None]:
        """As the model's. Raises SansiError where the queue is full, the time is up, or the server stops."""
        try:
            ticket = self._admission.enter(self._chat.name, 1, time.monotonic())
        except ServeError as error:
            raise SansiError(error.detail, code=error.code) from error
        try:
            async with ticket.limits():
                # in a thread: rendering a long conversation, or compiling a grammar, must not hold up others
                stream: Any = await asyncio.to_thread(self._chat.stream, messages, options)
                try:
                    async for item in stream:
                        if isinstance(item, ChatResult):
                            self._note(item)
                        yield item
                finally:
                    await stream.aclose()
        except ServeError as error:
            raise SansiError(error.detail, code=error.code) from error
        finally:
            ticket.release()
