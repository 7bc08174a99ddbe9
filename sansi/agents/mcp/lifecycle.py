"""One server: a task of its own that connects, notices when the connection is lost, and connects anew when needed."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Any

import anyio
from mcp.shared.exceptions import MCPError
from pydantic import ValidationError

from sansi.agents.forms import Ask
from sansi.agents.mcp.config import ServerConfig
from sansi.agents.mcp.connection import Connection, connect
from sansi.agents.mcp.definitions import Definition
from sansi.agents.mcp.dispatcher import ConnectionLost
from sansi.agents.mcp.failures import DeadlinePassed, MCPFailure, Phase
from sansi.agents.mcp.foreign import description, one_line
from sansi.agents.mcp.http import speaks_sse_perhaps
from sansi.agents.mcp.listing import definitions_of
from sansi.agents.mcp.process import Begun, ServerProcess
from sansi.agents.mcp.secrets import secrets_of, without
from sansi.agents.mcp.status import Change, ServerStatus
from sansi.agents.mcp.traffic import Traffic
from sansi.agents.mcp.wording import leaf, words
from sansi.base import SansiError

CHANGES_KEPT = 100
RELIST_PAUSE = 0.25  # seconds after a list was read, in which a server may say as often as it likes that it is another


class Lifecycle:
    """Owned by the task that runs `run`; all other methods may be awaited by any task of the same loop."""

    def __init__(self, config: ServerConfig, ask: Ask | None, told: Callable[[], None], begun: Begun = None):
        self.config, self._ask, self._told = config, ask, told
        self._begun = begun
        """What the first connection is made to, where its program runs already."""
        self.status = ServerStatus(config.name, "starting", notes=config.notes, transport=config.transport)
        self.definitions: dict[str, Definition] = {}
        self._connection: Connection | None = None
        self._settled = anyio.Event()
        """Set while nothing is being started: connected, failed or closed."""
        self._wanted = anyio.Event()
        self._closing = anyio.Event()
        self._failure: MCPFailure | None = None
        self._connected_before = False
        self._secrets = secrets_of(config)

    async def run(self) -> None:
        """Connect, and again each time that somebody needs the server after it was lost; until `close`."""
        try:
            self.check_startable()
        except MCPFailure as failure:
            self._cannot_start(failure)
            return
        while not self._closing.is_set():
            self._unsettle()
            self._failure = None
            self._set(state="starting")
            await self._connect()
            self._connection = None
            if not self._wanted.is_set():  # else whoever wants it waits for the next connection, not for this one's end
                self._settled.set()
            await self._either(self._wanted, self._closing)
            self._wanted = anyio.Event()
        if isinstance(self._begun, ServerProcess):
            await self._begun.stop(0)
        self._set(state="closed")
        self._settled.set()

    def close(self) -> None:
        self._closing.set()

    def current(self) -> ServerStatus:
        """The status with what has been odd up to now. From any thread."""
        connection = self._connection
        if connection is None:
            return self.status
        odd = self._hide((*connection.notes, *connection.left_out(), *connection.traffic.oddities))
        return replace(self.status, notes=tuple(dict.fromkeys((*self.status.notes, *odd))))

    def failed(self, phase: Phase, cause: str, tool: str | None = None) -> MCPFailure:
        """What it did not do, without the secrets of its configuration."""
        return MCPFailure(self.config.name, phase, without(cause, self._secrets), tool)

    def _hide(self, told: Iterable[str]) -> tuple[str, ...]:
        return tuple(without(each, self._secrets) for each in told)

    async def settled(self) -> None:
        """Until it is not starting any more."""
        await self._settled.wait()

    def check_startable(self) -> None:
        """Raises MCPFailure where its configuration forbids that it is started."""
        if self.config.problem is not None or self.config.disabled:
            why = "it is disabled by its configuration" if self.config.disabled else self.config.problem or ""
            raise self.failed("configuration", why)

    def restart(self) -> None:
        """Connect anew, if it is neither connected nor about to be."""
        if self._connection is None and self._settled.is_set() and not self._closing.is_set():
            self._want()

    def _drop(self, connection: Connection, lost: ConnectionLost) -> None:
        """The connection is over for everybody; the owner notices and cleans up."""
        if not lost.over:
            return
        connection.traffic.end(lost.cause)
        if self._connection is connection:
            self._connection = None
            self._unsettle()

    async def _connected(self) -> Connection:
        """The connection, made anew where it was lost. Raises MCPFailure where it cannot be."""
        await self._settled.wait()
        if self._connection is None and self._connected_before and not self._closing.is_set():
            self._want()
            await self._settled.wait()
        if self._connection is not None:
            return self._connection
        if self._closing.is_set():
            raise self.failed("call", "the servers were closed")
        raise self._failure or self.failed("start", "it was lost again at once")

    def _cannot_start(self, failure: MCPFailure) -> None:
        self._failure = failure
        if self.config.disabled:
            self._set(state="disabled", cause=f'MCP server "{self.config.name}" is disabled by its configuration')
        else:
            self._set(state="failed", phase="configuration", cause=str(failure))
        self._settled.set()

    async def _connect(self) -> None:
        """One connection from its beginning to its end. Whatever goes wrong becomes the status."""
        traffic, end = Traffic(self._secrets), anyio.current_time() + self.config.start_timeout
        cause = await self._cause_of_end(self.config, traffic, end)
        if cause is None:
            return
        told = words(cause, traffic)
        refused = self.config.transport == "auto" and speaks_sse_perhaps(cause) and not traffic.healthy
        if refused:
            traffic = Traffic(self._secrets)
            cause = await self._cause_of_end(replace(self.config, transport="sse"), traffic, end)
            if cause is None:
                return
            told = f"it speaks neither streamable HTTP ({told}) nor SSE ({words(cause, traffic)})"
        self._fail("list" if traffic.healthy else "start", told, traffic)

    async def _cause_of_end(self, config: ServerConfig, traffic: Traffic, end: float) -> BaseException | None:
        """What ended one connection, from its beginning on; None where nothing went wrong. end: on the loop's clock,
        when it must have answered."""
        try:
            await self._one_connection(config, traffic, end)
        except BaseException as error:
            cause = leaf(error)
            if isinstance(cause, anyio.get_cancelled_exc_class()):
                raise
            return cause
        return None

    async def _one_connection(self, config: ServerConfig, traffic: Traffic, end: float) -> None:
        """Connect, list the tools, then stay until the connection ends or is not wanted any more."""
        begun, self._begun = self._begun, None
        async with anyio.create_task_group() as tasks:

            async def watch() -> None:
                """Tell that the time is over when it is, not when the server's processes are gone."""
                await anyio.sleep_until(end)
                if not traffic.healthy:
                    waited = f"no answer within {config.start_timeout:g} s (start_timeout_s)"
                    self._fail("start", waited + traffic.told(), traffic)
                    tasks.cancel_scope.cancel()

            async def stop() -> None:
                await self._closing.wait()
                traffic.end("it was closed")
                tasks.cancel_scope.cancel()

            tasks.start_soon(watch)
            tasks.start_soon(stop)
            async with connect(config, self._ask, traffic, begun) as connection:
                await self._list(connection)
                await self._stay(connection)
            tasks.cancel_scope.cancel()

    async def _list(self, connection: Connection) -> None:
        if connection.capabilities.tools is None:
            self.definitions, rejected, notes = {}, {}, ["it offers no tools"]
        else:
            tools, notes = await connection.tools(), []
            found, unsound = definitions_of(self.config, tools)
            rejected = {**connection.rejected, **unsound}
            self._note_changes(found)
            self.definitions = found
        told = (*self.config.notes, *notes, *connection.notes)
        info = connection.session.server_info
        self._set(
            tools=len(self.definitions),
            rejected=tuple(rejected.items()),
            notes=tuple(dict.fromkeys(self._hide(told))),
            protocol=connection.protocol,
            transport=connection.transport,
            server=one_line(f"{info.name} {info.version}") if info else None,
            instructions=description(connection.session.instructions or "") or None,
            pid=connection.process.pid if connection.process else None,
        )

    def _note_changes(self, found: dict[str, Definition]) -> None:
        if not self._connected_before and not self.definitions:
            return
        changes = [
            Change(self.config.name, name, self.definitions.get(name), found.get(name))
            for name in {**self.definitions, **found}
            if _print(self.definitions.get(name)) != _print(found.get(name))
        ]
        self._set(changes=(*self.status.changes, *changes)[-CHANGES_KEPT:])

    async def _stay(self, connection: Connection) -> None:
        """Connected, until it is not."""
        restarts = self.status.restarts + self._connected_before
        self._connection, self._failure, self._connected_before = connection, None, True
        self._set(state="ready", phase=None, cause=None, restarts=restarts)
        self._settled.set()
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(connection.watch)
            tasks.start_soon(self._relist, connection)
            await connection.traffic.ended.wait()
            tasks.cancel_scope.cancel()
        self._connection = None
        if not self._closing.is_set():
            why = without(connection.traffic.cause, self._secrets)
            cause = f'MCP server "{self.config.name}" was lost: {why}'
            self._set(state="lost", cause=cause, stderr=self._hide(connection.traffic.lines()), pid=None)

    async def _relist(self, connection: Connection) -> None:
        """List the tools anew whenever the server says that they are others."""
        while True:
            await connection.changed.wait()
            connection.changed = anyio.Event()
            try:
                await self._list(connection)
            except (MCPError, ValidationError, DeadlinePassed, SansiError) as error:
                self._note(f"its tools changed, and the new list could not be read: {words(error, None)}")
            await anyio.sleep(RELIST_PAUSE)

    def _note(self, told: str) -> None:
        self._set(notes=tuple(dict.fromkeys((*self.status.notes, *self._hide([told])))))

    def _fail(self, phase: Phase, cause: str, traffic: Traffic) -> None:
        if self._failure is None and not self._closing.is_set():
            self._failure = self.failed(phase, cause)
            stderr = self._hide(traffic.lines())
            self._set(state="failed", phase=phase, cause=str(self._failure), stderr=stderr, pid=None)
            self._settled.set()

    def _set(self, **fields: Any) -> None:
        before, self.status = self.status, replace(self.status, **fields)
        if self.status != before:
            self._told()

    def _want(self) -> None:
        """Have the owner connect anew."""
        self._unsettle()
        self._wanted.set()

    def _unsettle(self) -> None:
        if self._settled.is_set():
            self._settled = anyio.Event()

    async def _either(self, *events: anyio.Event) -> None:
        async with anyio.create_task_group() as tasks:

            async def first(event: anyio.Event) -> None:
                await event.wait()
                tasks.cancel_scope.cancel()

            for event in events:
                tasks.start_soon(first, event)


def _print(definition: Definition | None) -> str | None:
    return definition.fingerprint if definition else None
