"""Sansi's client."""

import asyncio
import time

from common import main
from sansi.agents.mcp import MCPServers, ServerConfig
from sansi.agents.mcp.names import tool_name


class Ours:
    def __init__(self, servers, deadline):
        self.start, self.failed_after = time.perf_counter(), None
        limits = {"start_timeout": deadline, "list_timeout": deadline, "call_timeout": deadline, "call_limit": deadline}
        configs = [
            ServerConfig(name, transport="stdio" if "command" in entry else "auto", **{**entry, **limits})
            for name, entry in ((name, _fields(entry)) for name, entry in servers.items())
        ]
        self.servers = MCPServers(configs, on_change=self.heard)
        status = self.servers.wait()
        self.errors = {one.name: one.cause for one in status.servers if one.state == "failed"}
        self.definitions = self.servers.definitions()

    def heard(self, status):
        if self.failed_after is None and status["faulty"].state == "failed":
            self.failed_after = time.perf_counter() - self.start

    async def tools(self):
        return [(tool_name(d.server, d.name), d.server, d.name) for d in self.definitions]

    async def call(self, server, tool, arguments):
        definition = next(d for d in self.definitions if (d.server, d.name) == (server, tool))
        result = await self.servers.acall(definition, arguments)
        if result.is_error:
            raise RuntimeError(result.text)
        return result.text

    async def changed(self, server):
        return bool(self.servers.status()[server].changes)

    async def close(self):
        await asyncio.to_thread(self.servers.close)


def _fields(entry):
    return {**entry, "args": tuple(entry["args"])} if "args" in entry else entry


async def opening(servers, deadline):
    import mcp.client.session  # noqa: F401  # so that the deadline is not the import's; others import at the top

    return await asyncio.to_thread(Ours, servers, deadline)


if __name__ == "__main__":
    main(opening)
