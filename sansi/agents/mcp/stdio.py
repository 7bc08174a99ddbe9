"""The stdio transport: JSON-RPC lines over a process's pipes, whatever else the program writes there."""

from __future__ import annotations

import math
import re
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Any

import anyio
from anyio.streams.memory import MemoryObjectReceiveStream, MemoryObjectSendStream
from mcp.shared.message import SessionMessage
from mcp_types import ErrorData, JSONRPCError, jsonrpc_message_adapter

from sansi.agents.mcp.config import ServerConfig
from sansi.agents.mcp.lines import DroppedLine, LineReader
from sansi.agents.mcp.process import CHUNK, Begun, ServerProcess
from sansi.agents.mcp.traffic import ReadStream, Traffic, WriteStream
from sansi.base import SansiError
from sansi.base.strict_json import parse_json

MESSAGE_TOO_LARGE = -32098  # of ours, in the range that JSON-RPC leaves to implementations
STOP_GRACE = 1.0  # seconds for a server to end by itself once its stdin has closed
EXIT_WAIT = 0.3  # seconds in which a program whose stdout has closed is expected to end
BUFFERED = 16  # messages between the pipe and the session
Message = SessionMessage | Exception


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
    incoming, messages = anyio.create_memory_object_stream[Message](BUFFERED)
    outgoing, outbox = anyio.create_memory_object_stream[SessionMessage](math.inf)  # whoever sends never waits
    try:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(_read, process, config.max_message_bytes, incoming, traffic)
            tasks.start_soon(_write, process, outbox)
            try:
                yield ReadStream(messages, traffic), WriteStream(outgoing, traffic), process
            finally:
                with anyio.CancelScope(shield=True):
                    # A server that never answered is not asked to end in its own time.
                    await process.stop(STOP_GRACE if traffic.healthy else 0.0)
                tasks.cancel_scope.cancel()
    finally:
        for stream in (incoming, messages, outgoing, outbox):
            stream.close()


async def _read(
    process: ServerProcess, max_bytes: int, into: MemoryObjectSendStream[Message], traffic: Traffic
) -> None:
    lines = LineReader(max_bytes)
    try:
        async with into:
            while chunk := await process.stdout.read(CHUNK):
                for line in lines.feed(chunk):
                    for message in _messages(line, traffic, max_bytes):
                        await into.send(message)
            for line in lines.finish():
                for message in _messages(line, traffic, max_bytes):
                    await into.send(message)
            traffic.end(await process.ending(EXIT_WAIT))  # before the stream closes: whoever waits is told why
    except (anyio.BrokenResourceError, anyio.ClosedResourceError):  # the session is gone: let the program write on
        while await process.stdout.read(CHUNK):
            pass


async def _write(process: ServerProcess, outbox: MemoryObjectReceiveStream[SessionMessage]) -> None:
    try:
        async for item in outbox:
            process.stdin.write(item.message.model_dump_json(by_alias=True, exclude_unset=True).encode() + b"\n")
            await process.stdin.drain()
    except OSError:  # it closed its stdin; its stdout, which closes too or stays silent, tells the rest
        outbox.close()


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
