"""Ollama's routes beside those that answer: which models there are, and what is done elsewhere."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from fastapi import FastAPI, Request
from fastapi.responses import Response

from sansi import __version__
from sansi.base.errors import SansiError
from sansi.chat import ChatModel
from sansi.serve.api import openapi
from sansi.serve.api.errors import ServeError, find_model
from sansi.serve.api.fields import show
from sansi.serve.api.ollama import models as told
from sansi.serve.api.ollama.request import LATEST
from sansi.serve.api.ollama.schema import ERROR
from sansi.serve.api.requests import parse_body
from sansi.serve.http.bodies import Bodies
from sansi.serve.http.model_facts import facts_of


def add_ollama(app: FastAPI, models: Mapping[str, ChatModel], bodies: Bodies) -> None:
    """GET /api/tags, /api/ps and /api/version, POST /api/show; a sentence at the others."""
    since = time.time()
    looking = openapi.errors(*openapi.LOOKING, schema=ERROR)

    @app.get("/api/tags", responses=openapi.told(told.TAGS) | looking)
    async def tags() -> dict[str, Any]:
        return told.tags({name: told.entry(chat, facts_of(chat)) for name, chat in models.items()}, since)

    @app.get("/api/ps", responses=openapi.told(told.PS) | looking)
    async def running() -> dict[str, Any]:
        return {"models": [told.running(chat, facts_of(chat)) for chat in models.values()]}

    @app.get("/api/version", responses=openapi.told(told.VERSION) | looking)
    async def version() -> dict[str, Any]:
        return {"version": __version__}

    @app.post("/api/show", **openapi.shown(told.SHOWN, ERROR))
    async def shown(request: Request) -> dict[str, Any]:
        body = parse_body(await bodies.read(request))
        name = body.get("model") or body.get("name")
        if not isinstance(name, str):
            raise SansiError(f'"model" must be the name of a model, not {show(name)}', param="model")
        chat = find_model(models, name.removesuffix(LATEST))
        return told.shown(chat, facts_of(chat), since)

    for path, instead in told.NOT_HERE.items():
        app.api_route(path, methods=["POST", "DELETE"], include_in_schema=False)(_elsewhere(path, instead))


def _elsewhere(path: str, instead: str) -> Callable[[], Awaitable[Response]]:
    async def refuse() -> Response:
        raise ServeError(501, f"{path} is not offered: {instead}", "not_offered")

    return refuse
