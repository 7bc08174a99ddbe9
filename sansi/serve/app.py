"""The HTTP application: routes, error shapes, streaming and disconnects. It holds no globals."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from fastapi import FastAPI, Request
from fastapi.responses import FileResponse, JSONResponse, Response
from fastapi.staticfiles import StaticFiles
from starlette.exceptions import HTTPException

from sansi import __version__
from sansi.base.errors import SansiError
from sansi.chat import ChatModel
from sansi.serve import replies
from sansi.serve.answers import Answer, ClientGone, streamed, whole
from sansi.serve.requests import parse_body, parse_chat_request

STATIC = Path(__file__).parent / "static"
MAX_BODY_BYTES = 16 * 2**20
# The page loads nothing from elsewhere and runs no inline script, so text from a model can never become one.
PAGE_HEADERS = {
    "Content-Security-Policy": "default-src 'self'; img-src 'self' data:; frame-ancestors 'none'; base-uri 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-cache",
}


def create_app(chat_models: Sequence[ChatModel], examples: Mapping[str, Sequence[str]] | None = None) -> FastAPI:
    """The application that serves `chat_models`, each under its `.name`; `examples` are questions to offer per name.

    Routes: GET /v1/models, GET /v1/models/{id}, POST /v1/chat/completions, GET /health, GET / (the chat page).
    The caller owns the models and closes them.
    """
    models = {chat.name: chat for chat in chat_models}
    assert models and len(models) == len(chat_models), "chat models need distinct names"
    app = FastAPI(title="Sansi", version=__version__, docs_url=None, redoc_url=None, openapi_url=None)
    app.add_exception_handler(SansiError, _on_sansi_error)
    app.add_exception_handler(HTTPException, _on_http_error)
    app.add_exception_handler(ClientGone, _on_client_gone)
    app.add_exception_handler(Exception, _on_bug)
    _add_page(app)
    _add_models(app, models, examples or {})

    @app.post("/v1/chat/completions")
    async def chat_completions(request: Request) -> Response:
        asked = parse_chat_request(parse_body(await _read_body(request)))
        answer = await Answer.start(_find(models, asked.model), asked)
        return await (streamed(answer) if asked.stream else whole(request, answer))

    return app


def _add_page(app: FastAPI) -> None:
    @app.get("/", include_in_schema=False)
    async def page() -> Response:
        return FileResponse(STATIC / "index.html", headers=PAGE_HEADERS)

    app.mount("/static", StaticFiles(directory=STATIC))


def _add_models(app: FastAPI, models: dict[str, ChatModel], examples: Mapping[str, Sequence[str]]) -> None:
    created = int(time.time())

    def card(chat: ChatModel) -> dict[str, Any]:
        card = {"id": chat.name, "object": "model", "created": created, "owned_by": "sansi"}
        return card | {"context_length": chat.context_length, "examples": list(examples.get(chat.name, ()))}

    @app.get("/health")
    async def health() -> dict[str, Any]:
        return {"status": "ok", "version": __version__, "models": list(models)}

    @app.get("/v1/models")
    async def list_models() -> dict[str, Any]:
        return {"object": "list", "data": [card(chat) for chat in models.values()]}

    @app.get("/v1/models/{name:path}")
    async def retrieve_model(name: str) -> dict[str, Any]:
        return card(_find(models, name))


class UnknownModel(SansiError):
    """The request names a model that is not served here: 404, where every other mistake is 400."""


def _find(models: dict[str, ChatModel], name: str) -> ChatModel:
    if name not in models:
        raise UnknownModel(f'the model "{name}" is not served here; served: {", ".join(models)}', param="model")
    return models[name]


async def _read_body(request: Request) -> bytes:
    body = bytearray()
    async for part in request.stream():
        body += part
        if len(body) > MAX_BODY_BYTES:
            raise HTTPException(413, f"the request body is larger than {MAX_BODY_BYTES >> 20} MiB")
    return bytes(body)


# --- errors ----------------------------------------------------------------------------------------------------------


async def _on_sansi_error(_: Request, error: Exception) -> Response:
    unknown = isinstance(error, UnknownModel)
    code = "model_not_found" if unknown else None
    body = replies.error(str(error), param=getattr(error, "param", None), code=code)
    return JSONResponse(body, status_code=404 if unknown else 400)


async def _on_http_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    message = {404: f"there is nothing at {request.url.path}", 405: f"{request.method} is not allowed here"}
    kind = "server_error" if error.status_code >= 500 else "invalid_request_error"
    body = replies.error(message.get(error.status_code, str(error.detail)), kind)
    return JSONResponse(body, status_code=error.status_code, headers=error.headers)


async def _on_client_gone(_: Request, error: Exception) -> Response:
    return Response(status_code=499)  # nobody reads it; the number is the customary one for the log


async def _on_bug(_: Request, error: Exception) -> Response:
    return JSONResponse(replies.bug(), status_code=500)
