"""A server's tools as tools like any other: named for their server, with effects, cancellation and attachments."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Protocol

from sansi.agents.context import ToolContext
from sansi.agents.mcp.config import ServerConfig
from sansi.agents.mcp.definitions import NOBODY, Caller, CallResult, Definition
from sansi.agents.mcp.failures import MCPFailure
from sansi.agents.mcp.foreign import without_folders
from sansi.agents.mcp.names import tool_name
from sansi.agents.observation import Result
from sansi.agents.tool import Effect, Tool
from sansi.base import SansiError

MARGIN = 5.0  # seconds by which the loop's own limit is later than the server's, whose error says more


class Servers(Protocol):
    """What is needed of `MCPServers`."""

    async def acall(
        self, definition: Definition, arguments: Mapping[str, Any], caller: Caller = NOBODY
    ) -> CallResult: ...


def tool_of(servers: Servers, config: ServerConfig, definition: Definition) -> Tool:
    """The tool of one definition. Calling it once its definition has changed is an error: it must be approved anew."""

    async def call(*, _sansi_context: ToolContext, **arguments: Any) -> Result:
        caller = Caller(_sansi_context.progress, _sansi_context.ask, _sansi_context.conversation)
        try:
            result = await servers.acall(definition, arguments, caller)
        except MCPFailure as failure:
            if not config.discreet:
                raise
            raise SansiError(without_folders(str(failure))) from failure
        return Result(result.text, result.files, is_error=result.is_error)

    return Tool(
        name=tool_name(definition.server, definition.name),
        description=definition.description,
        parameters=definition.schema,
        function=call,
        timeout=config.call_limit + MARGIN,
        effects=effects_of(config, definition),
        polling=definition.name in config.polling,
        origin=f"mcp:{definition.server}",
        title=definition.name,  # rules are about this one; a server may call itself for people what it likes
        tainted=not config.trusted,
        show=lambda arguments: _shown(definition, arguments),
    )


def effects_of(config: ServerConfig, definition: Definition) -> frozenset[Effect]:
    """What a call may do. What a server says of its tools is believed only where the user trusts the server."""
    if not config.trusted:
        return frozenset({"read", "write", "network"})
    effects: set[Effect] = {"read"} if definition.read_only else {"read", "write"}
    return frozenset(effects | {"network"}) if definition.open_world else frozenset(effects)


def _shown(definition: Definition, arguments: Mapping[str, Any]) -> str:
    given = json.dumps(dict(arguments), ensure_ascii=False, indent=2, default=str)
    return f'MCP server "{definition.server}", tool "{definition.name}":\n{given}'
