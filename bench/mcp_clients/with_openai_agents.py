"""OpenAI's Agents SDK: its manager of servers, which keeps those that connected."""

from common import leaf, main

from agents.mcp import MCPServerManager, MCPServerStdio, MCPServerStreamableHttp


class OpenAIAgents:
    def __init__(self, manager, errors):
        self.manager, self.errors = manager, errors
        self.servers = {server.name: server for server in manager.active_servers}
        self.listed = {}

    async def tools(self):
        for name, server in self.servers.items():
            try:
                self.listed[name] = await server.list_tools()
            except Exception as error:
                self.errors[name] = leaf(error)
        return [(f"mcp_{name}_{tool.name}", name, tool.name) for name, tools in self.listed.items() for tool in tools]

    async def call(self, server, tool, arguments):
        result = await self.servers[server].call_tool(tool, arguments)
        text = "".join(getattr(part, "text", "") for part in result.content)
        if getattr(result, "is_error", getattr(result, "isError", False)):
            raise RuntimeError(text)
        return text

    async def changed(self, server):
        return None

    async def close(self):
        await self.manager.cleanup_all()


async def opening(servers, deadline):
    made = [
        MCPServerStdio(params=entry, name=name, client_session_timeout_seconds=deadline)
        if "command" in entry
        else MCPServerStreamableHttp(params=entry, name=name, client_session_timeout_seconds=deadline)
        for name, entry in servers.items()
    ]
    manager = MCPServerManager(made, connect_timeout_seconds=deadline, connect_in_parallel=True)
    await manager.connect_all()
    errors = {server.name: leaf(error) for server, error in manager.errors.items()}
    client = OpenAIAgents(manager, errors)
    await client.tools()
    return client


if __name__ == "__main__":
    main(opening)
