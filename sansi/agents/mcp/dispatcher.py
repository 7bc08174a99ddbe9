"""The SDK's dispatcher of requests, with answers repaired before they are validated and failures told apart."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import anyio
from mcp.shared.dispatcher import CallOptions
from mcp.shared.exceptions import MCPError
from mcp.shared.jsonrpc_dispatcher import JSONRPCDispatcher
from mcp_types import CONNECTION_CLOSED

from sansi.agents.mcp.http import HTTP_FAILED
from sansi.agents.mcp.repair import repaired
from sansi.agents.mcp.traffic import ReadStream, Traffic, WriteStream

CLOSED = "Connection closed"  # the SDK's word for it
CLOSING_WAIT = 1.0  # seconds in which a server whose stdin has closed is expected to end
DISCOVER = "server/discover"
HANDSHAKE_VERSION = "2025-11-25"  # whose shapes answers have before a version is agreed upon


class ConnectionLost(MCPError):
    """The connection ended, or the server forgot it.

    sent: whether the request may have reached the server. over: whether nothing more can be asked over it; of HTTP's
    many connections one may break and leave the session whole.
    """

    def __init__(self, cause: str, sent: bool, over: bool = True):
        super().__init__(CONNECTION_CLOSED, cause)
        self.cause, self.sent, self.over = cause, sent, over


class Dispatcher(JSONRPCDispatcher[Any]):
    """One connection's requests and their answers."""

    def __init__(self, read: ReadStream, write: WriteStream, traffic: Traffic, discover_timeout: float):
        super().__init__(read, write)  # type: ignore[arg-type]  # streams by their protocol
        self.traffic, self.discover_timeout = traffic, discover_timeout
        self.version: str | None = None
        self.rejected: dict[str, dict[str, str]] = {}
        """By method: the items of its answers that were left out, and why."""

    async def send_raw_request(
        self, method: str, params: Mapping[str, Any] | None, opts: CallOptions | None = None, **related: Any
    ) -> dict[str, Any]:
        """As the SDK's. Raises ConnectionLost where the connection is what failed."""
        if method == DISCOVER:  # the SDK's own limit of 10 s would come on top of ours
            opts = {**(opts or {}), "timeout": self.discover_timeout}
        begun = not self.traffic.ended.is_set()
        try:
            raw = await super().send_raw_request(method, params, opts, **related)
        except MCPError as error:
            if _is_closed(error):  # why is known once its output has ended, too
                with anyio.move_on_after(CLOSING_WAIT):
                    await self.traffic.ended.wait()
            raise self._told_apart(error, begun) from error
        return repaired(method, self.version or HANDSHAKE_VERSION, raw, self._reject(method))

    def _told_apart(self, error: MCPError, begun: bool) -> Exception:
        data = error.data if isinstance(error.data, dict) else {}
        if error.code == HTTP_FAILED and (data.get("session_lost") or not data.get("sent", True)):
            return ConnectionLost(error.message, sent=False)
        if error.code == HTTP_FAILED and data.get("broken"):
            return ConnectionLost(error.message, sent=True, over=False)
        if _is_closed(error) or (error.code == CONNECTION_CLOSED and self.traffic.ended.is_set()):
            return ConnectionLost(self.traffic.cause or "it closed its stdin", sent=begun)
        return error

    def _reject(self, method: str) -> Any:
        return lambda name, why: self.rejected.setdefault(method, {}).update({name: why})


def _is_closed(error: MCPError) -> bool:
    """By the words, too: servers use the code for other things."""
    return error.code == CONNECTION_CLOSED and error.message == CLOSED
