"""The response that carries an answer: one JSON object, or a stream of server-sent events, within a ticket's limits.

A stream that can not go on ends with an event `{"error": {...}}` and without `[DONE]`, since its status line is gone.
"""

from __future__ import annotations

import asyncio
import logging
import time
from bisect import bisect_left
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any

from fastapi.responses import Response
from starlette.exceptions import HTTPException
from starlette.types import Receive, Scope, Send

from sansi.base.errors import SansiError
from sansi.serve.api import response_bodies
from sansi.serve.api.answer_stream import Answer
from sansi.serve.api.dialect import Dialect
from sansi.serve.api.errors import ClientGone, ServeError
from sansi.serve.api.framing import Framing, encoded
from sansi.serve.http.admission import Ticket
from sansi.serve.http.request_log import Record

BEAT_SECONDS = 15.0  # a stream is never silent for longer: proxies close those that are, and a dead client shows
EARLY_SECONDS = 0.005  # that a timer may be, by a clock that counts whole milliseconds
LAST_WORDS_SECONDS = 2.0  # for the error of a stream whose reader may be the reason for it
HEADERS = [
    (b"cache-control", b"no-cache"),
    (b"x-accel-buffering", b"no"),  # nginx passes each event on at once
]
GAP_BOUNDS = (0.002, 0.005, 0.01, 0.02, 0.03, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.5, 0.75, 1.0, 2.5, 5.0)
log = logging.getLogger("sansi.serve")


class Gaps:
    """How often two pieces of a stream came how far apart; seconds. Counting costs less than a microsecond."""

    def __init__(self) -> None:
        self.counts, self.total = [0] * (len(GAP_BOUNDS) + 1), 0.0

    def observe(self, seconds: float) -> None:
        self.counts[bisect_left(GAP_BOUNDS, seconds)] += 1
        self.total += seconds


class WatchedResponse(Response):
    """Sent as events or as one object, while somebody listens for the client to leave."""

    def __init__(self, stream: bool):
        super().__init__()
        self._stream = stream

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        leaving = asyncio.create_task(self._until_gone(receive))
        try:
            if self._stream:
                await self._send_events(send)
            else:
                whole = encoded(await self._whole())
                await Response(whole, media_type="application/json")(scope, receive, send)
        finally:
            leaving.cancel()

    async def _until_gone(self, receive: Receive) -> None:
        while (await receive())["type"] != "http.disconnect":
            pass
        self._gone()

    def _gone(self) -> None:
        """The client has left."""
        raise NotImplementedError

    async def _send_events(self, send: Send) -> None:
        raise NotImplementedError

    async def _whole(self) -> dict[str, Any]:
        raise NotImplementedError


class Generation(WatchedResponse):
    """Starts the answer and sends it. Whatever ends it, the answer is closed, which frees the engine's slot."""

    def __init__(
        self,
        start: Callable[[], Awaitable[Answer]],
        ticket: Ticket,
        record: Record,
        gaps: Gaps,
        stream: bool,
        dialect: Dialect,
    ):
        super().__init__(stream)
        self._dialect, self._framing = dialect, dialect.framing
        self._start, self._ticket, self._record, self._gaps = start, ticket, record, gaps

    def _gone(self) -> None:
        self._ticket.end(ClientGone())

    async def _whole(self) -> dict[str, Any]:
        async with self._ticket.limits():
            answer = await self._start()
            try:
                return await answer.completion()
            finally:
                await self._close(answer)

    async def _close(self, answer: Answer) -> None:
        await answer.close()
        self._record.results += answer.results
        self._record.first_token = answer.first_token and answer.first_token - self._record.begun

    async def _send_events(self, send: Send) -> None:
        stream, answer = EventStream(send, self._framing), None
        try:
            async with self._ticket.limits():
                answer = await self._start()
                try:
                    await self._send_answer(stream, answer)
                finally:
                    await self._close(answer)
        except Exception as error:
            if isinstance(error, ClientGone) or not stream.begun or answer is None:
                raise
            told, status = what_is_told(error, self._record)
            chunks: Sequence[Mapping[str, Any]] = answer.failure_chunks(told, status)
            chunks = chunks or [self._dialect.error(told, status)]
            await stream.end(b"".join(map(self._framing.chunk, chunks)))
        else:
            await stream.end(self._framing.end)

    async def _send_answer(self, stream: EventStream, answer: Answer) -> None:
        async with stream.open():
            async for chunk in answer.chunks():
                before = stream.last
                await stream.send(self._framing.chunk(chunk))
                if answer.first_token is not None:
                    self._gaps.observe(stream.last - before)


def what_is_told(error: Exception, record: Record) -> tuple[dict[str, Any], int]:
    """What the client hears of an error in mid-stream, and the status that it would have had before."""
    if isinstance(error, ServeError):
        record.error = error.code
        return error.body, error.status_code
    if isinstance(error, HTTPException):
        record.error = "server_error"
        return response_bodies.error(error.detail, kind="server_error"), 500
    if isinstance(error, SansiError):  # such as a grammar that grew beyond its bounds
        record.error = "invalid_request"
        return response_bodies.error(str(error), param=error.param, code=error.code), 400
    log.error("request %s failed", record.id, exc_info=error)
    record.error = "bug"
    return response_bodies.bug(), 500


class EventStream:
    """The sending half of a stream of events."""

    def __init__(self, send: Send, framing: Framing):
        self._send, self._framing, self.begun = send, framing, False
        self.last = time.monotonic()

    @asynccontextmanager
    async def open(self) -> AsyncIterator[None]:
        """Begin; within it the client hears a beat wherever there is nothing else to hear."""
        self.begun = True
        headers = [(b"content-type", f"{self._framing.media_type}; charset=utf-8".encode()), *HEADERS]
        await self._send({"type": "http.response.start", "status": 200, "headers": headers})
        beating = asyncio.create_task(self._beat())
        try:
            yield
        finally:
            beating.cancel()

    async def send(self, events: bytes) -> None:
        await self._send({"type": "http.response.body", "body": events, "more_body": True})
        self.last = time.monotonic()

    async def _beat(self) -> None:
        while True:
            await asyncio.sleep(max(self.last + BEAT_SECONDS - time.monotonic(), 0.1))
            if time.monotonic() - self.last >= BEAT_SECONDS - EARLY_SECONDS:
                await self.send(self._framing.beat)

    async def end(self, events: bytes) -> None:
        """Raises ClientGone when the client takes nothing any more."""
        try:
            async with asyncio.timeout(LAST_WORDS_SECONDS):
                await self._send({"type": "http.response.body", "body": events, "more_body": False})
        except TimeoutError:
            raise ClientGone from None
