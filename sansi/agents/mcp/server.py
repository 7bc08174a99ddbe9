"""One server as it is used: calls, resources and prompts over its connection, made again where that is harmless."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import replace
from functools import partial
from typing import Any, TypeVar

from mcp.shared.exceptions import MCPError

from sansi.agents.mcp.connection import Connection
from sansi.agents.mcp.definitions import NOBODY, Caller, CallResult, Definition, Prompt, Resource
from sansi.agents.mcp.dispatcher import ConnectionLost
from sansi.agents.mcp.failures import DeadlinePassed, MCPFailure, Phase
from sansi.agents.mcp.lifecycle import Lifecycle
from sansi.agents.mcp.listing import prompt_of, resource_of, template_of
from sansi.agents.mcp.results import call_result, prompt_result, resource_result
from sansi.agents.mcp.wording import speaks_of_back_channel, words
from sansi.base import SansiError

Result = TypeVar("Result")


class NoBackChannel(Exception):
    """A server wanted to ask in the middle of a call, and its protocol has no way for it."""

    def __init__(self, connection: Connection):
        self.connection = connection


class Server(Lifecycle):
    """Its methods may be awaited by any task of the loop on which `run` runs."""

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
        await connection.calls.idle()
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
            except ConnectionLost:
                raise
            except MCPError:  # templates are the part of resources that many servers leave out
                return found

        return await self._listed(made)

    async def prompts(self) -> list[Prompt]:
        async def made(connection: Connection) -> list[Prompt]:
            offered = connection.capabilities.prompts is not None
            return [prompt_of(self.config.name, each) for each in await connection.prompts()] if offered else []

        return await self._listed(made)

    async def _listed(self, made: Callable[[Connection], Awaitable[Result]]) -> Result:
        """A list. That it cannot be had is noted, too: whoever asks all servers gets the others' lists."""
        try:
            return await self._repeating(made, "list", None, True)
        except MCPFailure as failure:
            self._note(failure.cause)
            raise

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
                raise self.failed(phase, cause, tool) from lost
        connection = await self._connected()
        try:
            return await self._worded(made, connection, phase, tool)
        except ConnectionLost as lost:
            self._drop(connection, lost)
            cause = f"the connection was lost twice ({lost.cause})"
            raise self.failed(phase, cause, tool) from lost

    async def _worded(
        self, made: Callable[[Connection], Awaitable[Result]], connection: Connection, phase: Phase, tool: str | None
    ) -> Result:
        try:
            return await made(connection)
        except (ConnectionLost, MCPFailure):
            raise
        except (MCPError, DeadlinePassed, SansiError, RuntimeError, ValueError) as error:
            raise self.failed(phase, words(error, None), tool) from error

    def _check_unchanged(self, definition: Definition) -> None:
        now = self.definitions.get(definition.name)
        if now is None:
            raise SansiError("the server does not offer it any more")
        if now is not definition and now.fingerprint != definition.fingerprint:
            raise SansiError(
                "not called: the server has changed its definition since it was offered to the model; "
                "it must be looked at and approved anew"
            )
