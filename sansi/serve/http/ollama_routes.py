"""Ollama's routes beside those that answer: which models there are, and what is done elsewhere."""

from __future__ import annotations

import functools
import time
from collections.abc import Awaitable, Callable, Mapping
from types import ModuleType
from typing import Any

from fastapi import FastAPI, Request
from fastapi.responses import Response

from sansi import __version__
from sansi.base.errors import SansiError
from sansi.base.shown import show
from sansi.chat import ChatModel
from sansi.serve.api import openapi
from sansi.serve.api.errors import ServeError, find_model
from sansi.serve.api.other_servers import LATEST
from sansi.serve.api.requests import parse_body
from sansi.serve.http.bodies import Bodies
from sansi.serve.http.model_facts import facts_of

NOT_HERE: Mapping[str, str] = {
    "/api/pull": "models are not loaded over HTTP; run `sansi pull NAME` and serve what it names",
    "/api/push": "models are not published over HTTP; see `sansi export --help`",
    "/api/create": "models are not made over HTTP; serve a checkpoint folder, or see `sansi make --help`",
    "/api/copy": "models are not copied over HTTP; a model is served under the name of its folder",
    "/api/delete": "models are not removed over HTTP; see `sansi remove --help`",
    "/api/embed": "a chat model makes no embeddings; use a server with an embedding model",
    "/api/embeddings": "a chat model makes no embeddings; use a server with an embedding model",
}


def add_ollama(app: FastAPI, models: Mapping[str, ChatModel], bodies: Bodies) -> None:
    """GET /api/tags, /api/ps and /api/version, POST /api/show; a sentence at the others."""
    since = time.time()

    async def tags() -> dict[str, Any]:
        told = _told()
        return told.tags({name: told.entry(chat, facts_of(chat)) for name, chat in models.items()}, since)

    async def running() -> dict[str, Any]:
        return {"models": [_told().running(chat, facts_of(chat)) for chat in models.values()]}

    async def version() -> dict[str, Any]:
        return {"version": __version__}

    async def shown(request: Request) -> dict[str, Any]:
        body = parse_body(await bodies.read(request))
        name = body.get("model") or body.get("name")
        if not isinstance(name, str):
            raise SansiError(f'"model" must be the name of a model, not {show(name)}', param="model")
        chat = find_model(models, name.removesuffix(LATEST))
        return _told().shown(chat, facts_of(chat), since)

    for path, route, schema in (("tags", tags, "TAGS"), ("ps", running, "PS"), ("version", version, "VERSION")):
        app.get(f"/api/{path}")(openapi.later(route, functools.partial(_looked_at, schema)))
    app.post("/api/show")(openapi.later(shown, _shown))
    for path, instead in NOT_HERE.items():
        app.api_route(path, methods=["POST", "DELETE"], include_in_schema=False)(_elsewhere(path, instead))


def _told() -> ModuleType:
    """What tells of models, loaded with its dialect: when somebody speaks it."""
    from sansi.serve.api.ollama import models

    return models


def _looked_at(schema: str) -> Mapping[str, Any]:
    from sansi.serve.api.ollama.schema import ERROR

    answers = openapi.told(getattr(_told(), schema))
    return {"responses": answers | openapi.errors(*openapi.LOOKING, schema=ERROR)}


def _shown() -> Mapping[str, Any]:
    from sansi.serve.api.ollama.schema import ERROR

    return openapi.shown(_told().SHOWN, ERROR)


def _elsewhere(path: str, instead: str) -> Callable[[], Awaitable[Response]]:
    async def refuse() -> Response:
        raise ServeError(501, f"{path} is not offered: {instead}", "not_offered")

    return refuse
