"""Answers under way: one object, or a stream of server-sent events; a client that leaves ends the generation."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Coroutine
from typing import Any, TypeVar

from fastapi import Request
from fastapi.responses import JSONResponse, Response, StreamingResponse
from starlette.exceptions import HTTPException
from starlette.types import Receive

from sansi.chat import ChatModel, ChatResult
from sansi.serve import replies
from sansi.serve.requests import ChatRequest

T = TypeVar("T")
log = logging.getLogger("sansi.serve")


class Answer:
    """One answer under way. Closing it, at its end or early, is what frees the engine's slot."""

    def __init__(self, chat: ChatModel, asked: ChatRequest, items: AsyncIterator[Any]):
        self._asked, self._items = asked, items
        self._reply = replies.Reply(chat.name)

    @classmethod
    async def start(cls, chat: ChatModel, asked: ChatRequest) -> Answer:
        """Raises SansiError for what is wrong with the messages or options, while a status line can still say so."""
        # Rendering a long conversation takes a while; in a thread it does not hold up the streams of others.
        return cls(chat, asked, await asyncio.to_thread(chat.stream, asked.messages, asked.options))

    async def close(self) -> None:
        await self._items.aclose()  # type: ignore[attr-defined]

    async def completion(self) -> dict[str, Any]:
        """The whole answer as one object."""
        try:
            async for item in self._items:
                if isinstance(item, ChatResult):
                    return self._reply.completion(_whole_or_raise(item))
            raise AssertionError("the chat stream ended without a result")
        finally:
            await self.close()

    async def chunks(self) -> AsyncIterator[dict[str, Any]]:
        """The same answer piece by piece."""
        yield self._reply.first_chunk()
        async for item in self._items:
            if not isinstance(item, ChatResult):
                yield self._reply.event_chunk(item)
                continue
            yield self._reply.last_chunk(_whole_or_raise(item))
            if self._asked.include_usage:
                yield self._reply.usage_chunk(item)


def _whole_or_raise(result: ChatResult) -> ChatResult:
    if result.finish_reason == "abort":  # nobody here asked for that: the engine is being closed
        raise HTTPException(503, "the server is shutting down")
    return result


async def whole(request: Request, answer: Answer) -> Response:
    return JSONResponse(await _unless_disconnected(request.receive, answer.completion()))


async def streamed(answer: Answer) -> Response:
    async def events() -> AsyncIterator[str]:
        try:
            async for chunk in answer.chunks():
                yield replies.sse(chunk)
            yield replies.sse("[DONE]")
        except HTTPException as error:  # the status line is long gone, so the stream itself has to say it
            yield replies.sse(replies.error(error.detail, kind="server_error"))
        except Exception:
            log.exception("generation failed")
            yield replies.sse(replies.bug())
        finally:
            await answer.close()

    headers = {"Cache-Control": "no-cache", "X-Accel-Buffering": "no"}
    return StreamingResponse(events(), media_type="text/event-stream", headers=headers)


class ClientGone(Exception):
    """The client closed the connection; nobody is left to read a response."""


async def _unless_disconnected(receive: Receive, work: Coroutine[Any, Any, T]) -> T:
    """The result of `work`, which is cancelled when the client leaves first. The request body must have been read."""
    working, leaving = asyncio.ensure_future(work), asyncio.ensure_future(_disconnected(receive))
    try:
        await asyncio.wait({working, leaving}, return_when=asyncio.FIRST_COMPLETED)
        if not working.done():
            raise ClientGone
        return working.result()
    finally:
        for task in (working, leaving):
            task.cancel()
        await asyncio.gather(working, leaving, return_exceptions=True)


async def _disconnected(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
