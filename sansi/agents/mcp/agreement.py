"""Which protocol a server speaks: of the versions without a handshake, or of those that begin with one."""

from __future__ import annotations

import anyio
import anyio.abc
from mcp.client.session import ClientSession
from mcp.shared.exceptions import MCPError
from mcp_types.version import HANDSHAKE_PROTOCOL_VERSIONS
from pydantic import ValidationError

from sansi.agents.mcp.config import ServerConfig
from sansi.agents.mcp.http import HTTP_FAILED, speaks_sse_perhaps
from sansi.base import SansiError

PROBE_PATIENCE = 5.0  # seconds until a server that does not answer `server/discover` is offered the handshake, too


async def agree(session: ClientSession, config: ServerConfig) -> None:
    """Find the protocol: ask what is spoken, and shake hands where the answer is none of the modern ones.

    A server on stdio that says nothing for a while is offered the handshake as well, and whichever it answers first
    holds: some ignore what they do not know, others are only slow to start.
    """
    patience = min(PROBE_PATIENCE, config.start_timeout / 2) if config.transport == "stdio" else None
    if config.era == "legacy":
        await session.initialize()
    elif config.era == "modern":
        await session.discover()
    else:
        async with anyio.create_task_group() as tasks:
            probe = _Probe(session, tasks)
            tasks.start_soon(probe.run)
            with anyio.move_on_after(patience):
                await probe.over.wait()
            await _shake_hands(session, probe)
            tasks.cancel_scope.cancel()


class _Probe:
    """Asking a server for its modern versions. When it has some, whatever else is tried is over."""

    def __init__(self, session: ClientSession, tasks: anyio.abc.TaskGroup):
        self._session, self._tasks = session, tasks
        self.over = anyio.Event()
        self.refused: Exception | None = None

    async def run(self) -> None:
        try:
            await self._session.discover()
            self._tasks.cancel_scope.cancel()
        except (MCPError, ValidationError, RuntimeError) as error:  # no such method; no answer; no modern version
            self.refused = error
        self.over.set()


async def _shake_hands(session: ClientSession, probe: _Probe) -> None:
    error = probe.refused
    if isinstance(error, MCPError):
        if error.code == HTTP_FAILED and not speaks_sse_perhaps(error):
            raise error  # no answer about protocols: nobody is there, or not for this client
        supported = error.data.get("supported") if isinstance(error.data, dict) else None
        if isinstance(supported, list) and not set(map(str, supported)) & set(HANDSHAKE_PROTOCOL_VERSIONS):
            versions = ", ".join(map(str, supported))
            raise SansiError(f"it speaks only versions of the protocol that are not known here: {versions}") from error
    try:
        await session.initialize()
    except MCPError:
        if probe.over.is_set():
            raise
        await probe.over.wait()  # it may be modern and only slow: then this does not return
        raise
