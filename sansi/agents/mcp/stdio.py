"""The stdio transport: JSON-RPC lines over a process's pipes, whatever else the program writes there."""

from __future__ import annotations

import asyncio
import re
from collections import deque
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Any, Self

import anyio
import anyio.lowlevel
from mcp.shared.message import SessionMessage
from mcp_types import ErrorData, JSONRPCError, jsonrpc_message_adapter

from sansi.agents.mcp.config import ServerConfig
from sansi.agents.mcp.lines import DroppedLine, LineReader
from sansi.agents.mcp.process import CHUNK, Begun, ServerProcess
from sansi.agents.mcp.traffic import ReadStream, Traffic, WriteStream
from sansi.base import SansiError
from sansi.base.strict_json import parse_json

MESSAGE_TOO_LARGE = -32098  # of ours, in the range that JSON-RPC leaves to implementations
MOST_UNREAD = 256 * 2**20  # bytes
STOP_GRACE = 1.0  # seconds for a server to end by itself once its stdin has closed
EXIT_WAIT = 0.3  # seconds in which a program whose stdout has closed is expected to end


@asynccontextmanager
async def stdio_transport(
    config: ServerConfig, traffic: Traffic, begun: Begun = None
) -> AsyncIterator[tuple[ReadStream, WriteStream, ServerProcess]]:
    """Start the server's program, if that has not `begun`, and yield its streams of messages.

    Raises SansiError if it cannot be started.
    """
    if isinstance(begun, SansiError):
        raise begun
    process = begun or await ServerProcess.start(config)
    traffic.stderr, traffic.lines = process.told, process.lines
    try:
        yield (
            ReadStream(Incoming(process, config.max_message_bytes, traffic), traffic),
            WriteStream(Outgoing(process, traffic), traffic),
            process,
        )
    finally:
        with anyio.CancelScope(shield=True):
            draining = asyncio.create_task(_drain(process))  # a program that writes as it ends need not wait for us
            # A server that never answered is not asked to end in its own time.
            await process.stop(STOP_GRACE if traffic.healthy else 0.0)
            await asyncio.gather(draining, return_exceptions=True)


class _Direct:
    """A stream that holds nothing of its own: who reads or writes does it with the pipe itself, on no other task."""

    def __init__(self, process: ServerProcess):
        self._process = process
        self._closed = False

    def close(self) -> None:
        self._closed = True

    async def aclose(self) -> None:
        self.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *error: object) -> None:
        self.close()


class Incoming(_Direct):
    """The messages that a program writes, read when they are asked for."""

    def __init__(self, process: ServerProcess, max_bytes: int, traffic: Traffic):
        super().__init__(process)
        self._max_bytes, self._traffic = max_bytes, traffic
        self._lines = LineReader(max_bytes)
        self._ready: deque[SessionMessage] = deque()
        self._last = False  # whether its stdout has ended

    async def receive(self) -> SessionMessage:
        if self._ready:  # a flood of messages leaves the others of this loop their turns
            await anyio.lowlevel.checkpoint()
        while not self._ready and not self._last:
            if self._closed:
                raise anyio.ClosedResourceError
            chunk = await self._process.stdout.read(CHUNK)
            self._last = not chunk
            for line in self._lines.feed(chunk) if chunk else self._lines.finish():
                self._ready.extend(_messages(line, self._traffic, self._max_bytes))
        if self._ready:
            return self._ready.popleft()
        self._traffic.end(await self._process.ending(EXIT_WAIT))  # before the stream ends: whoever waits is told why
        raise anyio.EndOfStream

    async def __anext__(self) -> SessionMessage:
        try:
            return await self.receive()
        except anyio.EndOfStream:
            raise StopAsyncIteration from None


class Outgoing(_Direct):
    """Messages to a program. Whoever sends never waits: what a program does not read is kept, up to MOST_UNREAD."""

    def __init__(self, process: ServerProcess, traffic: Traffic):
        super().__init__(process)
        self._traffic = traffic

    async def send(self, item: SessionMessage) -> None:
        if self._closed or self._process.stdin.is_closing():  # its stdout, which closes too or is silent, tells more
            raise anyio.ClosedResourceError if self._closed else anyio.BrokenResourceError
        line = item.message.model_dump_json(by_alias=True, exclude_unset=True)
        waiting = self._process.stdin.transport.get_write_buffer_size()
        if waiting > MOST_UNREAD:  # it asks and asks, and reads none of the answers
            self._traffic.end(f"it has not read {_mib(waiting)} of what it was sent")
            raise anyio.BrokenResourceError
        self._process.stdin.write(line.encode() + b"\n")


async def _drain(process: ServerProcess) -> None:
    while await process.stdout.read(CHUNK):
        pass


def _messages(line: bytes | DroppedLine, traffic: Traffic, max_bytes: int) -> Iterator[SessionMessage]:
    """The messages of one line: one, or those of a batch, or none where it is no JSON-RPC."""
    if isinstance(line, DroppedLine):
        yield from _for_dropped(line, traffic, max_bytes)
        return
    line = line.strip()
    if not line:
        return
    message = _parse(line)
    if message is not None:
        yield message
        return
    try:
        value = parse_json(line.decode("utf-8", "replace"))
    except ValueError:
        traffic.odd("wrote lines to stdout that are no JSON-RPC", repr(line.decode("utf-8", "replace")))
        return
    for part in value if isinstance(value, list) else [value]:  # the protocol of 2025-03-26 has batches
        try:
            yield SessionMessage(jsonrpc_message_adapter.validate_python(part, by_name=False))
        except ValueError:
            traffic.odd("wrote JSON to stdout that is no JSON-RPC", repr(part))


def _parse(line: bytes) -> SessionMessage | None:
    try:
        return SessionMessage(jsonrpc_message_adapter.validate_json(line, by_name=False))
    except ValueError:
        return None


_ID = rb'"id"\s*:\s*(?:(\d+)|"([^"\\]*)")'
_VERSION = rb'"jsonrpc"\s*:\s*"2\.0"'
_FIRST = re.compile(rb"\s*\{\s*(?:" + _VERSION + rb"\s*,\s*)?" + _ID)
_LAST = re.compile(_ID + rb"\s*(?:,\s*" + _VERSION + rb"\s*)?\}\s*$")


def _for_dropped(line: DroppedLine, traffic: Traffic, max_bytes: int) -> Iterator[SessionMessage]:
    """An error for the request that the line answered; for all that wait, where it does not say which."""
    found = _FIRST.match(line.head) or _LAST.search(line.tail)
    ids: list[Any] = [int(found[1]) if found[1] else found[2].decode("utf-8", "replace")] if found else []
    text = f"it sent a message of {_mib(line.size)}; at most {_mib(max_bytes)} are read (max_message_mib)"
    traffic.odd("sent messages that are too large", _mib(line.size))
    for request_id in ids or list(traffic.waiting):
        error = ErrorData(code=MESSAGE_TOO_LARGE, message=text)
        yield SessionMessage(JSONRPCError(jsonrpc="2.0", id=request_id, error=error))


def _mib(size: int) -> str:
    return f"{size / 2**20:.1f} MiB"
