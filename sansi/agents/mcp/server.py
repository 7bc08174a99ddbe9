"""One server: a task of its own that connects, notices when the connection is lost, and connects anew when needed."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import replace
from functools import partial
from typing import Any, TypeVar

import anyio
from mcp.shared.exceptions import MCPError
from pydantic import ValidationError

from sansi.agents.forms import Ask
from sansi.agents.mcp.config import ServerConfig
from sansi.agents.mcp.connection import Connection, connect
from sansi.agents.mcp.definitions import NOBODY, Caller, CallResult, Definition, Prompt, Resource
from sansi.agents.mcp.dispatcher import ConnectionLost
from sansi.agents.mcp.failures import DeadlinePassed, MCPFailure, Phase
from sansi.agents.mcp.foreign import description, one_line
from sansi.agents.mcp.http import speaks_sse_perhaps
from sansi.agents.mcp.listing import definitions_of, prompt_of, resource_of, template_of
from sansi.agents.mcp.process import Begun, ServerProcess
from sansi.agents.mcp.results import call_result, prompt_result, resource_result
from sansi.agents.mcp.status import Change, ServerStatus
from sansi.agents.mcp.traffic import Traffic
from sansi.agents.mcp.wording import leaf, speaks_of_back_channel, words
from sansi.base import SansiError

Result = TypeVar("Result")
CHANGES_KEPT = 100


class NoBackChannel(Exception):
    """A server wanted to ask in the middle of a call, and its protocol has no way for it."""

    def __init__(self, connection: Connection):
        self.connection = connection


class Server:
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

    async def run(self) -> None:
        """Connect, and again each time that somebody needs the server after it was lost; until `close`."""
        if self.config.problem is not None or self.config.disabled:
            self._cannot_start()
            return
        while not self._closing.is_set():
            self._unsettle()
            self._set(state="starting")
            await self._connect()
            self._connection = None
            self._settled.set()
            await self._either(self._wanted, self._closing)
            self._wanted = anyio.Event()
        if isinstance(self._begun, ServerProcess):
            await self._begun.stop(0)
        self._set(state="closed")

    def close(self) -> None:
        self._closing.set()

    def current(self) -> ServerStatus:
        """The status with what has been odd up to now. From any thread."""
        connection = self._connection
        if connection is None:
            return self.status
        notes = (*self.status.notes, *connection.notes, *connection.left_out(), *connection.traffic.oddities)
        return replace(self.status, notes=tuple(dict.fromkeys(notes)))

    async def settled(self) -> None:
        """Until it is not starting any more."""
        await self._settled.wait()

    def restart(self) -> None:
        """Connect anew, if it is not connected."""
        if self._connection is None:
            self._want()

    async def call(self, definition: Definition, arguments: dict[str, Any], caller: Caller = NOBODY) -> CallResult:
        """One call of a tool. Raises MCPFailure; a tool that says itself that it failed gives its result."""

        async def made(connection: Connection) -> CallResult:
            self._check_unchanged(definition)
            try:
                result = call_result(await connection.call(definition.name, arguments, caller), definition)
            except MCPError as error:
                if connection.era == "legacy" or not speaks_of_back_channel(str(error)):
                    raise
                raise NoBackChannel(connection) from error
            if result.is_error and connection.era == "modern" and speaks_of_back_channel(result.text):
                raise NoBackChannel(connection)
            return result

        try:
            return await self._repeating(made, "call", definition.name, definition.repeatable)
        except NoBackChannel as missing:
            await self._turn_to_legacy(missing.connection, definition)
        return await self._repeating(made, "call", definition.name, definition.repeatable)

    async def _turn_to_legacy(self, connection: Connection, definition: Definition) -> None:
        """Speak the older protocol from now on, once no other call runs: only there a server can ask in the middle of
        a call. Raises MCPFailure where that cannot be, or where it is not harmless to make the call again."""
        asked = "it asks the user in the middle of a call, which its newer protocol has no way for"
        before, failed = self.config, partial(MCPFailure, self.config.name, "call", tool=definition.name)
        if before.era == "modern":
            raise failed(cause=f'{asked}; "era": "legacy" in its configuration speaks the older one to it')
        note = f'{asked}: it is spoken to by the older one ("era": "legacy" in its configuration does so at once)'
        if before.era == "auto":  # else another call has seen to it
            self.config = replace(before, era="legacy", notes=(*before.notes, note))
        await connection.idle()
        self._drop(connection, ConnectionLost("the older protocol is wanted", sent=False))
        try:
            await self._connected()
        except MCPFailure as error:
            self.config = replace(before, era="modern")
            cause = f'{asked}, and it does not start with the older one ("era": "legacy"): {error.cause}'
            raise failed(cause=cause) from error
        if not definition.repeatable:
            raise failed(
                cause=f"{asked}: it is spoken to by the older one from now on. The call was not repeated, since it may "
                "have done something before it asked; make it again"
            )

    async def read_resource(self, uri: str) -> CallResult:
        async def made(connection: Connection) -> CallResult:
            return resource_result(await connection.read_resource(uri))

        return await self._repeating(made, "call", None, True)

    async def get_prompt(self, name: str, arguments: dict[str, str]) -> CallResult:
        async def made(connection: Connection) -> CallResult:
            return prompt_result(await connection.get_prompt(name, arguments))

        return await self._repeating(made, "call", None, True)

    async def resources(self) -> list[Resource]:
        async def made(connection: Connection) -> list[Resource]:
            if connection.capabilities.resources is None:
                return []
            found = [resource_of(self.config.name, each) for each in await connection.resources()]
            try:
                return found + [template_of(self.config.name, each) for each in await connection.templates()]
            except MCPError:  # templates are the part of resources that many servers leave out
                return found

        return await self._repeating(made, "list", None, True)

    async def prompts(self) -> list[Prompt]:
        async def made(connection: Connection) -> list[Prompt]:
            offered = connection.capabilities.prompts is not None
            return [prompt_of(self.config.name, each) for each in await connection.prompts()] if offered else []

        return await self._repeating(made, "list", None, True)

    # The owner's part.

    def _cannot_start(self) -> None:
        if self.config.disabled:
            self._set(state="disabled", cause=f'MCP server "{self.config.name}" is disabled by its configuration')
        else:
            self._failure = MCPFailure(self.config.name, "configuration", self.config.problem or "")
            self._set(state="failed", phase="configuration", cause=str(self._failure))
        self._settled.set()

    async def _connect(self) -> None:
        """One connection from its beginning to its end. Whatever goes wrong becomes the status."""
        traffic = Traffic()
        cause = await self._cause_of_end(self.config, traffic)
        if cause is None:
            return
        refused = self.config.transport == "auto" and speaks_sse_perhaps(cause) and not traffic.healthy
        if not refused:
            self._fail("list" if traffic.healthy else "start", words(cause, traffic))
            return
        traffic = Traffic()
        other = await self._cause_of_end(replace(self.config, transport="sse"), traffic)
        if other is not None:
            both = f"it speaks neither streamable HTTP ({words(cause, traffic)}) nor SSE ({words(other, traffic)})"
            self._fail("list" if traffic.healthy else "start", both)

    async def _cause_of_end(self, config: ServerConfig, traffic: Traffic) -> BaseException | None:
        """What ended one connection, from its beginning on; None where nothing went wrong."""
        try:
            await self._one_connection(config, traffic)
        except BaseException as error:
            cause = leaf(error)
            if isinstance(cause, anyio.get_cancelled_exc_class()):
                raise
            return cause
        return None

    async def _one_connection(self, config: ServerConfig, traffic: Traffic) -> None:
        """Connect, list the tools, then stay until the connection ends or is not wanted any more."""
        begun, self._begun = self._begun, None
        async with anyio.create_task_group() as tasks:

            async def watch() -> None:
                """Tell that the time is over when it is, not when the server's processes are gone."""
                await anyio.sleep(config.start_timeout)
                if not traffic.healthy:
                    self._fail(
                        "start", f"no answer within {config.start_timeout:g} s (start_timeout_s){traffic.told()}"
                    )
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
            notes=tuple(dict.fromkeys(told)),
            protocol=connection.protocol,
            transport=connection.transport,
            server=one_line(f"{info.name} {info.version}") if info else None,
            instructions=description(connection.session.instructions or "") or None,
            pid=connection.process.pid if connection.process else None,
            restarts=self.status.restarts + self._connected_before,
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
        self._connection, self._failure, self._connected_before = connection, None, True
        self._set(state="ready", phase=None, cause=None)
        self._settled.set()
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(connection.watch)
            tasks.start_soon(self._relist, connection)
            await connection.traffic.ended.wait()
            tasks.cancel_scope.cancel()
        self._connection = None
        if not self._closing.is_set():
            cause = f'MCP server "{self.config.name}" was lost: {connection.traffic.cause}'
            stderr = tuple(connection.process.stderr.lines) if connection.process else ()
            self._set(state="lost", cause=cause, stderr=stderr, pid=None)

    async def _relist(self, connection: Connection) -> None:
        """List the tools anew whenever the server says that they are others."""
        while True:
            await connection.changed.wait()
            connection.changed = anyio.Event()
            try:
                await self._list(connection)
                self._set(state="ready")
            except (MCPError, ValidationError, DeadlinePassed, SansiError) as error:
                told = f"its tools changed, and the new list could not be read: {words(error, connection.traffic)}"
                self._set(notes=(*self.status.notes, told))

    def _fail(self, phase: Phase, cause: str) -> None:
        if self._failure is None and not self._closing.is_set():
            self._failure = MCPFailure(self.config.name, phase, cause)
            self._set(state="failed", phase=phase, cause=str(self._failure), pid=None)
            self._settled.set()

    def _set(self, **fields: Any) -> None:
        self.status = replace(self.status, **fields)
        self._told()

    def _want(self) -> None:
        """Have the owner connect anew."""
        self._failure = None
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

    # The callers' part.

    async def _repeating(
        self, made: Callable[[Connection], Awaitable[Result]], phase: Phase, tool: str | None, repeatable: bool
    ) -> Result:
        """What `made` gives. When the connection is lost below it, once more over a new one, if that is harmless."""
        connection = await self._connected()
        try:
            return await self._worded(made, connection, phase, tool)
        except ConnectionLost as lost:
            self._drop(connection, lost)
            if lost.sent and not repeatable:
                cause = (
                    f"the connection was lost while it ran ({lost.cause}); whether it was done is not known, and it "
                    "was not repeated, since the server does not say that this is harmless"
                )
                raise MCPFailure(self.config.name, phase, cause, tool) from lost
        connection = await self._connected()
        try:
            return await self._worded(made, connection, phase, tool)
        except ConnectionLost as lost:
            self._drop(connection, lost)
            cause = f"the connection was lost twice ({lost.cause})"
            raise MCPFailure(self.config.name, phase, cause, tool) from lost

    async def _worded(
        self, made: Callable[[Connection], Awaitable[Result]], connection: Connection, phase: Phase, tool: str | None
    ) -> Result:
        try:
            return await made(connection)
        except (ConnectionLost, MCPFailure):
            raise
        except (MCPError, ValidationError, DeadlinePassed, SansiError, RuntimeError) as error:
            raise MCPFailure(self.config.name, phase, words(error, None), tool) from error

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
            raise MCPFailure(self.config.name, "call", "the servers were closed")
        raise self._failure or MCPFailure(self.config.name, "start", "it was lost again at once")

    def _check_unchanged(self, definition: Definition) -> None:
        now = self.definitions.get(definition.name)
        if now is None:
            raise SansiError("the server does not offer it any more")
        if now is not definition and now.fingerprint != definition.fingerprint:
            raise SansiError(
                "not called: the server has changed its definition since it was offered to the model; "
                "it must be looked at and approved anew"
            )


def _print(definition: Definition | None) -> str | None:
    return definition.fingerprint if definition else None
