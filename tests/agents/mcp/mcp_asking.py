"""A server on the official SDK that asks its user in the middle of a call: `python mcp_asking.py` on stdio."""

import sys

from mcp.server import MCPServer
from mcp.server.mcpserver import Context
from pydantic import BaseModel

server = MCPServer("asking", log_level="ERROR")
READ_ONLY = {"annotations": {"readOnlyHint": True}} if "read-only" in sys.argv else {}


class Colour(BaseModel):
    colour: str


async def paint(ctx: Context) -> str:
    """Paint it."""
    return str(await ctx.elicit("Which colour?", Colour))


if "read-only" in sys.argv:
    import mcp_types

    server.tool(annotations=mcp_types.ToolAnnotations(read_only_hint=True))(paint)
else:
    server.tool()(paint)

server.run("stdio")
