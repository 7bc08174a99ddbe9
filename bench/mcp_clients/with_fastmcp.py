"""FastMCP: one client of all servers, from `mcpServers`."""

from common import leaf, main
from fastmcp import Client


class FastMCP:
    def __init__(self, client, errors):
        self.client, self.errors = client, errors

    async def tools(self):
        found = []
        for tool in await self.client.list_tools() if self.client else []:
            server, _, own = tool.name.partition("_")
            found.append((tool.name, server, own))
        return found

    async def call(self, server, tool, arguments):
        result = await self.client.call_tool(f"{server}_{tool}", arguments, raise_on_error=True)
        return "".join(getattr(part, "text", "") for part in result.content)

    async def changed(self, server):
        return None

    async def close(self):
        if self.client:
            await self.client.__aexit__(None, None, None)


async def opening(servers, deadline):
    client = Client({"mcpServers": servers}, timeout=deadline, init_timeout=deadline)
    try:
        await client.__aenter__()
    except Exception as error:
        return FastMCP(None, {"faulty": leaf(error)})
    names = {tool.name.partition("_")[0] for tool in await client.list_tools()}
    return FastMCP(client, {} if "faulty" in names else {"faulty": "its tools are missing, and nothing says why"})


if __name__ == "__main__":
    main(opening)
