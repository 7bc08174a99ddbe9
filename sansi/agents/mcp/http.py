"""Streamable HTTP, by the SDK, over a client that turns every failure into its cause."""

from __future__ import annotations

import json
import math
import re
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from typing import Any

import anyio
import httpx2
from anyio.streams.memory import MemoryObjectSendStream
from mcp.client.streamable_http import streamable_http_client
from mcp.shared.exceptions import MCPError
from mcp.shared.message import SessionMessage
from mcp_types import JSONRPCError, jsonrpc_message_adapter

from sansi.agents.mcp.config import ServerConfig
from sansi.agents.mcp.foreign import one_line
from sansi.agents.mcp.secrets import without
from sansi.agents.mcp.traffic import QUOTED, ReadStream, Traffic, WriteStream

HTTP_FAILED = -32099  # of ours: the error's data say what happened
CONNECT_TIMEOUT = 30.0  # seconds; the phase's own deadline is shorter
NEWS_TIMEOUT = 1.0  # seconds for a server to take what it does not answer: a notification, the end of a session
NOT_THIS_TRANSPORT = (400, 404, 405, 406, 415, 501)
"""Statuses by which an address says that it does not speak streamable HTTP."""
BROKE_OFF = "its answer broke off"
_NEWS = re.compile(rb'\{"jsonrpc":"2\.0","method":"notifications/')
"""How a body without an id begins: the SDK's notifications, and no request that has such words in its arguments."""
REASONS = {
    401: "it wants to know who asks (HTTP 401); give a token in its headers, such as Authorization",
    403: "it refuses this client (HTTP 403)",
    404: "there is nothing at this address (HTTP 404)",
    429: "it refuses more requests for now (HTTP 429)",
}


@asynccontextmanager
async def http_transport(config: ServerConfig, traffic: Traffic) -> AsyncIterator[tuple[ReadStream, WriteStream]]:
    """Streams of messages over streamable HTTP. A request that fails gets an error; the session goes on."""
    async with (
        Client(config, traffic) as client,
        streamable_http_client(
            config.url or "", http_client=client, max_sse_event_size=config.max_message_bytes
        ) as streams,
        _unblocked(streams[1]) as outgoing,
    ):
        yield ReadStream(streams[0], traffic), WriteStream(outgoing, traffic)


@asynccontextmanager
async def _unblocked(stream: Any) -> AsyncIterator[MemoryObjectSendStream[SessionMessage]]:
    """A stream into which one never waits to write: a server that takes nothing must not hold up who gives up on it."""
    outgoing, outbox = anyio.create_memory_object_stream[SessionMessage](math.inf)

    async def forward() -> None:
        with suppress(anyio.BrokenResourceError, anyio.ClosedResourceError):
            async for item in outbox:
                await stream.send(item)
        outbox.close()

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(forward)
        try:
            yield outgoing
        finally:
            tasks.cancel_scope.cancel()
            outgoing.close()
            outbox.close()


class Client(httpx2.AsyncClient):
    """A client whose failures are answers: a JSON-RPC error that names the cause, for that request alone.

    one_stream: answers come by another stream than the POST's, so that a failure is told to `traffic` instead.
    """

    def __init__(self, config: ServerConfig, traffic: Traffic, one_stream: bool = False):
        timeout = httpx2.Timeout(None, connect=CONNECT_TIMEOUT)
        super().__init__(headers=dict(config.headers), timeout=timeout)
        self._traffic, self._one_stream, self._max = traffic, one_stream, config.max_message_bytes

    async def send(self, request: httpx2.Request, **options: Any) -> httpx2.Response:
        if request.method == "DELETE" or _NEWS.match(request.content):
            with anyio.move_on_after(NEWS_TIMEOUT), suppress(httpx2.TransportError, OSError):
                return await super().send(request, **options)
            return httpx2.Response(202, request=request)
        try:
            response = await super().send(request, **options)
        except (httpx2.TransportError, httpx2.InvalidURL, OSError) as error:
            reached = not isinstance(error, httpx2.ConnectError | httpx2.InvalidURL)
            return self._failure(request, 503, _unreachable(error), sent=reached, broken=reached)
        if request.method != "POST" or response.is_redirect:
            return self._read_failure(response)
        if response.status_code >= 400:
            return await self._refused(request, response)
        kind = response.headers.get("content-type", "").partition(";")[0].strip().lower()
        if kind == "text/event-stream":
            return response
        if kind == "application/json" or response.status_code == 202 or self._one_stream:
            return await self._whole(request, response)
        await response.aclose()
        cause = f"it answered with {kind or 'no content'}, which is no MCP; is its url right?"
        return self._failure(request, 502, cause + _another_path(request))

    def _read_failure(self, response: httpx2.Response) -> httpx2.Response:
        if self._one_stream and response.status_code >= 400:
            self._traffic.end(_reason(response))
        return response

    async def _refused(self, request: httpx2.Request, response: httpx2.Response) -> httpx2.Response:
        """What the server itself says of the error, in JSON-RPC; else the status in words."""
        body = await self._body(response)
        lost = response.status_code == 404 and "mcp-session-id" in request.headers
        said = _error_of(body, self._traffic.secrets) if isinstance(body, bytes) else None
        if isinstance(body, bytes) and not lost and not self._one_stream and _is_json_rpc(body):
            return _answer(request, response.status_code, body)
        cause = _reason(response) + (f": {said}" if said and not lost else "")
        return self._failure(request, response.status_code, cause, sent=not lost, session_lost=lost)

    async def _whole(self, request: httpx2.Request, response: httpx2.Response) -> httpx2.Response:
        body = await self._body(response)
        if isinstance(body, str):
            return self._failure(request, 502, body, broken=body.startswith(BROKE_OFF))
        headers = {key: value for key, value in response.headers.items() if key != "content-encoding"}
        headers["content-length"] = str(len(body))
        return httpx2.Response(response.status_code, headers=headers, content=body, request=request)

    async def _body(self, response: httpx2.Response) -> bytes | str:
        """The body; in words why there is none."""
        parts, size = [], 0
        try:
            async for part in response.aiter_bytes():
                parts.append(part)
                size += len(part)
                if size > self._max:
                    return f"it sent a message of over {self._max / 2**20:g} MiB (max_message_mib)"
        except (httpx2.TransportError, httpx2.DecodingError, OSError) as error:
            return f"{BROKE_OFF}: {_unreachable(error)}"
        finally:
            await response.aclose()
        return b"".join(parts)

    def _failure(
        self,
        request: httpx2.Request,
        status: int,
        cause: str,
        *,
        sent: bool = True,
        session_lost: bool = False,
        broken: bool = False,
    ) -> httpx2.Response:
        if self._one_stream:
            self._traffic.end(cause)
        data = {"status": status, "sent": sent, "session_lost": session_lost, "broken": broken}
        error = {"code": HTTP_FAILED, "message": cause, "data": data}
        body = json.dumps({"jsonrpc": "2.0", "id": None, "error": error}).encode()
        return _answer(request, status if status >= 400 else 502, body)


def speaks_sse_perhaps(error: BaseException) -> bool:
    """Whether an address refused the first request in the way that one of SSE alone does."""
    data = error.data if isinstance(error, MCPError) and error.code == HTTP_FAILED else None
    return isinstance(data, dict) and data.get("status") in NOT_THIS_TRANSPORT


def _answer(request: httpx2.Request, status: int, body: bytes) -> httpx2.Response:
    return httpx2.Response(status, headers={"content-type": "application/json"}, content=body, request=request)


def _is_json_rpc(body: bytes) -> bool:
    try:
        return isinstance(jsonrpc_message_adapter.validate_json(body, by_name=False), JSONRPCError)
    except ValueError:
        return False


def _error_of(body: bytes, secrets: Sequence[str]) -> str | None:
    """What a body in one of the usual forms says of an error."""
    try:
        value = json.loads(body)
        error = value.get("error", value.get("detail", value.get("message")))
        text = error.get("message") if isinstance(error, dict) else error
    except (ValueError, AttributeError, RecursionError):
        return None
    return one_line(without(text, secrets))[:QUOTED] or None if isinstance(text, str) else None


def _reason(response: httpx2.Response) -> str:
    known = REASONS.get(response.status_code)
    told = known or f"it answered HTTP {response.status_code} {response.reason_phrase}".rstrip()
    return told + (_another_path(response.request) if response.status_code in NOT_THIS_TRANSPORT else "")


def _another_path(request: httpx2.Request) -> str:
    """Where MCP servers mostly are, for an address that is a host alone."""
    if request.url.path.strip("/"):
        return ""
    return f"; most servers answer below it, so try {request.url.copy_with(path='/mcp', query=None)}"


def _unreachable(error: Exception) -> str:
    text = str(error) or type(error).__name__
    return f"its address cannot be reached ({text})" if isinstance(error, httpx2.ConnectError) else text
