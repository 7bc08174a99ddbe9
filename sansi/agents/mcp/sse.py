"""The SSE transport of 2024-11-05: one stream of events holds all answers and names the address for requests."""

from __future__ import annotations

import math
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any
from urllib.parse import urljoin, urlsplit

import anyio
import httpx2
from anyio.streams.memory import MemoryObjectReceiveStream, MemoryObjectSendStream
from mcp.shared._httpx_utils import request_within_origin, sse_within_origin
from mcp.shared.message import SessionMessage
from mcp_types import jsonrpc_message_adapter

from sansi.agents.mcp.config import ServerConfig
from sansi.agents.mcp.http import BROKE_OFF, Client
from sansi.agents.mcp.traffic import ReadStream, Traffic, WriteStream
from sansi.base import SansiError


@asynccontextmanager
async def sse_transport(config: ServerConfig, traffic: Traffic) -> AsyncIterator[tuple[ReadStream, WriteStream]]:
    """Streams of messages. The connection ends when the stream of events does, and when a request cannot be sent."""
    url = config.url or ""
    async with (
        Client(config, traffic, one_stream=True) as client,
        sse_within_origin(client, url, max_event_size=config.max_message_bytes) as source,
    ):
        source.response.raise_for_status()
        events = aiter(source)
        endpoint = await _endpoint(events, url)
        arriving, incoming = anyio.create_memory_object_stream[SessionMessage](0)
        outgoing, outbox = anyio.create_memory_object_stream[SessionMessage](math.inf)
        async with anyio.create_task_group() as tasks, arriving, incoming, outgoing, outbox:
            tasks.start_soon(_read, events, arriving, config, traffic)
            tasks.start_soon(_write, outbox, client, endpoint, traffic)
            try:
                yield ReadStream(incoming, traffic), WriteStream(outgoing, traffic)
            finally:
                tasks.cancel_scope.cancel()


async def _endpoint(events: AsyncIterator[Any], url: str) -> str:
    """Where requests go. Raises SansiError for an address elsewhere: the headers are for this server alone."""
    async for event in events:
        if event.event == "endpoint":
            address = urljoin(url, event.data)
            if urlsplit(address)[:2] != urlsplit(url)[:2]:
                raise SansiError(f"it wants requests at another server, {address}, which gets none")
            return address
    raise SansiError("its stream of events ended before it named an address for requests")


async def _read(
    events: AsyncIterator[Any], arriving: MemoryObjectSendStream[SessionMessage], config: ServerConfig, traffic: Traffic
) -> None:
    """Pass messages on until the stream ends; why it did is told before whoever waits learns it."""
    with arriving, suppress(anyio.BrokenResourceError):
        try:
            async for event in events:
                if event.event != "message" or not event.data:
                    continue
                try:
                    message = SessionMessage(jsonrpc_message_adapter.validate_json(event.data, by_name=False))
                except ValueError:
                    traffic.odd("sent events that are no JSON-RPC", repr(event.data))
                else:
                    await arriving.send(message)
        except httpx2.SSEError:
            traffic.end(f"it sent a message of over {config.max_message_mib:g} MiB (max_message_mib)")
        except (httpx2.TransportError, httpx2.DecodingError, OSError) as error:
            traffic.end(f"{BROKE_OFF}: {error or type(error).__name__}")


async def _write(
    outbox: MemoryObjectReceiveStream[SessionMessage], client: Client, endpoint: str, traffic: Traffic
) -> None:
    """Send one message after the other; the client tells `traffic` of what cannot be sent."""
    async for item in outbox:
        body = item.message.model_dump(by_alias=True, mode="json", exclude_unset=True)
        response = await request_within_origin(client, "POST", endpoint, json=body)
        if response.is_redirect:
            traffic.end(f"it sends requests elsewhere (HTTP {response.status_code}), which is not followed")
