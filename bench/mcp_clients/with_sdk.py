"""The official SDK's own client, one per server, as its documentation shows."""

from contextlib import AsyncExitStack

from common import leaf, main
from mcp import Client, StdioServerParameters


class SDK:
    def __init__(self):
        self.stack, self.clients, self.errors, self.listed = AsyncExitStack(), {}, {}, {}

    async def open(self, servers, deadline):
        for name, entry in servers.items():
            where = StdioServerParameters(**entry) if "command" in entry else entry["url"]
            try:
                client = await self.stack.enter_async_context(Client(where, read_timeout_seconds=deadline))
                self.listed[name], cursor = [], None
                while True:
                    page = await client.list_tools(cursor=cursor)
                    self.listed[name] += page.tools
                    cursor = page.next_cursor
                    if cursor is None:
                        break
                self.clients[name] = client
            except Exception as error:
                self.errors[name] = leaf(error)
        return self

    async def tools(self):
        return [(tool.name, name, tool.name) for name, tools in self.listed.items() for tool in tools]

    async def call(self, server, tool, arguments):
        result = await self.clients[server].call_tool(tool, arguments)
        text = "".join(getattr(part, "text", "") for part in result.content)
        if result.is_error:
            raise RuntimeError(text)
        return text

    async def changed(self, server):
        return None

    async def close(self):
        await self.stack.aclose()


async def opening(servers, deadline):
    return await SDK().open(servers, deadline)


if __name__ == "__main__":
    main(opening)
