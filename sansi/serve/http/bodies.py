"""Reading request bodies: not too large, not too slow, not too many at a time."""

from __future__ import annotations

import asyncio
import contextlib

from fastapi import Request
from starlette.types import Receive

from sansi.base.sizes import size_text
from sansi.serve.api.errors import ClientGone, ServeError
from sansi.serve.http.settings import ServerSettings

CLOSE = {"Connection": "close"}  # what was not read stands between this request and the next
# OpenAI's clients send again what ended with 408 or 5xx, unless they are told not to.
NO_RETRY = {"X-Should-Retry": "false"}
DISCARD_SECONDS = 1.0  # a client that sends too much hears of it if it ends within so long


class Bodies:
    """Reads the bodies of one server's requests. Raises ServeError: 408, 413, 415; 429 when too many come at once."""

    def __init__(self, settings: ServerSettings):
        assert settings.max_body is not None, "whoever knows the models says what fits"
        self._settings, self._most = settings, settings.max_body
        self._held = 0  # bytes of the bodies that are being read

    async def read(self, request: Request, most: int | None = None) -> bytes:
        """most: bytes, for a route with a limit of its own."""
        most = self._most if most is None else most
        encoding = request.headers.get("content-encoding", "identity")
        if encoding.lower() != "identity":
            message = f'a body of Content-Encoding "{encoding[:40]}" can not be read; send it as it is'
            raise ServeError(415, message, "encoding_not_supported", CLOSE)
        stated, expects = request.headers.get("content-length", ""), request.headers.get("expect", "")
        if stated.isdecimal() and int(stated) > most:
            if "100-continue" not in expects.lower():  # that client waits for leave to send, and gets none
                await self._discard(request.receive, most)
            raise _too_large(most)
        try:
            async with asyncio.timeout(self._settings.body_timeout):
                return await self._read(request.receive, most)
        except TimeoutError:
            message = f"the request body did not arrive within {self._settings.body_timeout:g} seconds"
            raise ServeError(408, message, "body_timeout", CLOSE | NO_RETRY) from None

    async def _read(self, receive: Receive, most: int) -> bytes:
        body, more = bytearray(), True
        try:
            while more:
                part, more = await _next_part(receive)
                body += part
                self._held += len(part)
                if len(body) > most:
                    if more:
                        await self._discard(receive, most)
                    raise _too_large(most)
                if self._held > self._settings.max_bodies:
                    message = "too many large requests arrive at once; try again later"
                    raise ServeError(429, message, "too_many_bodies", CLOSE | {"Retry-After": "1"})
            return bytes(body)
        finally:
            self._held -= len(body)

    async def _discard(self, receive: Receive, most: int) -> None:
        """Let the client end its sending, within limits: one that is cut off in it does not hear why."""
        left, more = 4 * most, True
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(DISCARD_SECONDS):
                while more and left > 0:
                    part, more = await _next_part(receive)
                    left -= len(part)


def _too_large(most: int) -> ServeError:
    message = f"the request body is larger than {size_text(most)}"
    return ServeError(413, message, "request_too_large", CLOSE)


async def _next_part(receive: Receive) -> tuple[bytes, bool]:
    """More of the body, and whether more follows."""
    message = await receive()
    if message["type"] == "http.disconnect":
        raise ClientGone
    return message.get("body", b""), message.get("more_body", False)
