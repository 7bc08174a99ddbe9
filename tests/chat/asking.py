"""What tests of a chat ask, and with which tools and forms."""

from __future__ import annotations

import asyncio
import json

import jsonschema_rs

ASK = [{"role": "user", "content": "What is 1 + 1?"}]
PLACE = {
    "type": "object",
    "properties": {"city": {"enum": ["Oslo", "Rome"]}, "days": {"type": "integer", "minimum": 1, "maximum": 9}},
    "required": ["city", "days"],
    "additionalProperties": False,
}


def tool(name, strict=None, parameters=PLACE):
    function = {"name": name, "parameters": parameters}
    return {"type": "function", "function": function if strict is None else function | {"strict": strict}}


def schema(wanted, strict=True):
    return {"type": "json_schema", "json_schema": {"name": "place", "schema": wanted, "strict": strict}}


def fits(text, wanted=PLACE):
    return jsonschema_rs.is_valid(wanted, json.loads(text))


def collected(stream):
    async def collect():
        return [item async for item in stream]

    return asyncio.run(collect())
