"""Tools that the server runs itself, for whoever asks: harmless ones, with bounded work."""

from __future__ import annotations

import asyncio
import functools
from typing import TYPE_CHECKING, Any

from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse, Response

from sansi.serve.api import openapi
from sansi.serve.api.errors import ServeError
from sansi.serve.http.bodies import Bodies
from sansi.serve.http.request_log import record_of

if TYPE_CHECKING:
    from sansi.agents import Tool


@functools.cache
def tools() -> dict[str, Tool]:
    """By name. What they are made of is loaded when one is first wanted, not with the server."""
    from sansi.agents import Tool, calculator

    return {"calculator": Tool.from_function(calculator, timeout=5.0)}


def add_tools(app: FastAPI, bodies: Bodies) -> None:
    """Routes: GET /v1/tools, their definitions in OpenAI's form; POST /v1/tools/{name}, with the arguments as body."""

    @app.get("/v1/tools", responses=openapi.errors(*openapi.LOOKING))
    async def list_tools() -> dict[str, Any]:
        return {"object": "list", "data": [tool.spec for tool in tools().values()]}

    @app.post("/v1/tools/{name}", responses=openapi.errors(*openapi.LOOKING, 404, 408, 413, 415, 429))
    async def run_tool(name: str, request: Request) -> Response:
        if name not in tools():
            raise ServeError(
                404, f'there is no tool "{name[:64]}" here; there are: {", ".join(tools())}', "tool_not_found"
            )
        arguments = (await bodies.read(request)).decode("utf-8", "replace")
        # What is wrong with a call is a result, too: it is told to the model, which may do better.
        seen = await asyncio.to_thread(tools()[name].call, arguments)
        record_of(request.scope).error = None if seen.status == "ok" else seen.status
        return JSONResponse({"object": "tool_result", "content": seen.text, "status": seen.status})
