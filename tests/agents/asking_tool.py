"""A tool that asks the user in the middle of its call, as those of MCP servers do."""

import asyncio
import json
import threading

from sansi.agents import ToolContext, tool
from sansi.agents.forms import Question

FORM = {
    "type": "object",
    "properties": {
        "name": {"type": "string", "title": "Whose name", "minLength": 2, "description": "As on the ticket."},
        "seats": {"type": "integer", "minimum": 1, "maximum": 4, "default": 2},
        "price": {"type": "number"},
        "window": {"type": "boolean"},
        "class": {"type": "string", "enum": ["eco", "biz"], "enumNames": ["Economy", "Business"]},
        "meal": {"type": "string", "oneOf": [{"const": "v", "title": "Vegan"}, {"const": "n", "title": "None"}]},
        "days": {"type": "array", "items": {"type": "string", "enum": ["mon", "tue", "wed"]}, "minItems": 1},
    },
    "required": ["name", "class", "days"],
}


may_ask_more = threading.Event()


@tool(timeout=30.0)
async def book(context: ToolContext) -> str:
    """Book a seat."""
    reply = await context.ask(Question("travel", "Whom is it for?", FORM))
    return f"{reply.action} {json.dumps(dict(reply.content), sort_keys=True)}"


@tool(timeout=30.0)
async def several(context: ToolContext) -> str:
    """Asks two things, the second once it may (`may_ask_more`), and shorter than it is."""
    first = asyncio.ensure_future(context.ask(Question("travel", "Whom is it for?", FORM)))
    await asyncio.to_thread(may_ask_more.wait, 30.0)
    note = {"type": "object", "properties": {"note": {"type": "string", "minLength": 5, "maxLength": 2}}}
    second = await context.ask(Question("travel", "A note?", note))
    first.cancel()
    return second.action


@tool(timeout=30.0)
async def sign_in(context: ToolContext) -> str:
    """Sign in somewhere."""
    reply = await context.ask(Question("travel", "Sign in first", url="https://example.com/login?a=1"))
    return reply.action
