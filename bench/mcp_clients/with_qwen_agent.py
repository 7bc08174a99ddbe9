"""Qwen-Agent: its `MCPManager`, with the `mcp` of the 1.x line that it was written for."""

import asyncio
import json

from common import leaf, main


class QwenAgent:
    def __init__(self, tools, errors):
        self.made, self.errors = tools, errors

    async def tools(self):
        found = []
        for tool in self.made:
            server, _, own = tool.name.partition("-")
            found.append((tool.name, server, own))
        return found

    async def call(self, server, tool, arguments):
        made = next(each for each in self.made if each.name == f"{server}-{tool}")
        return str(await asyncio.to_thread(made.call, json.dumps(arguments)))

    async def changed(self, server):
        return None

    async def close(self):
        from qwen_agent.tools.mcp_manager import MCPManager

        await asyncio.to_thread(MCPManager().shutdown)


async def opening(servers, deadline):
    try:
        from qwen_agent.tools.mcp_manager import MCPManager

        given = {
            name: {**entry, **({"type": "streamable-http"} if "url" in entry else {})}
            for name, entry in servers.items()
        }
        tools = await asyncio.to_thread(lambda: MCPManager().initConfig({"mcpServers": given}))
    except BaseException as error:
        return QwenAgent([], {"faulty": leaf(error)})
    return QwenAgent(tools, {})


if __name__ == "__main__":
    main(opening)
