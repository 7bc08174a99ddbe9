"""smolagents: `MCPClient` of several servers."""

import asyncio

from common import leaf, main
from mcp import StdioServerParameters
from smolagents import MCPClient


class Smolagents:
    def __init__(self, client, listed, errors):
        self.client, self.listed, self.errors = client, listed, errors

    async def tools(self):
        return self.listed

    async def call(self, server, tool, arguments):
        found = [each for each in self.client.get_tools() if each.name == tool]
        return str(await asyncio.to_thread(found[0 if server == "faulty" else -1], **arguments))

    async def changed(self, server):
        return None

    async def close(self):
        await asyncio.to_thread(self.client.disconnect)


async def opening(servers, deadline):
    parameters = [
        StdioServerParameters(**entry) if "command" in entry else {"url": entry["url"], "transport": "streamable-http"}
        for entry in servers.values()
    ]
    try:
        client = await asyncio.to_thread(
            lambda: MCPClient(parameters, structured_output=False, adapter_kwargs={"connect_timeout": deadline})
        )
        names = [each.name for each in client.get_tools()]
    except Exception as error:
        return Smolagents(None, [], {"faulty": leaf(error)})
    # It says no more of a tool than its name: the last is the sound server's.
    listed = [(name, "faulty", name) for name in names[:-1]] + [(names[-1], "sound", names[-1])]
    return Smolagents(client, listed, {})


if __name__ == "__main__":
    main(opening)
