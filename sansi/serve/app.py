"""The HTTP application: routes, error shapes, streaming and disconnects. It holds no globals."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Coroutine, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

from fastapi import FastAPI, Request
from fastapi.responses import FileResponse, JSONResponse, Response, StreamingResponse
from fastapi.staticfiles import StaticFiles
from starlette.exceptions import HTTPException
from starlette.types import Receive

from sansi import __version__
from sansi.base.errors import SansiError
from sansi.chat import ChatModel, ChatResult
from sansi.serve import replies
from sansi.serve.requests import ChatRequest, parse_body, parse_chat_request

T = TypeVar("T")
STATIC = Path(__file__).parent / "static"
MAX_BODY_BYTES = 16 * 2**20
# The page loads nothing from elsewhere and runs no inline script, so text from a model can never become one.
PAGE_HEADERS = {
    "Content-Security-Policy": "default-src 'self'; img-src 'self' data:; frame-ancestors 'none'; base-uri 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-cache",
}
log = logging.getLogger("sansi.serve")


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
        answer = await _Answer.start(_find(models, asked.model), asked)
        return await (_streamed(answer) if asked.stream else _whole(request, answer))

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


# --- generating ------------------------------------------------------------------------------------------------------


class _Answer:
    """One answer under way. Closing it, at its end or early, is what frees the engine's slot."""

    def __init__(self, chat: ChatModel, asked: ChatRequest, items: AsyncIterator[Any]):
        self._asked, self._items = asked, items
        self._reply = replies.Reply(chat.name)

    @classmethod
    async def start(cls, chat: ChatModel, asked: ChatRequest) -> _Answer:
        """Raises SansiError for what is wrong with the messages or options, while a status line can still say so."""
        # Rendering a long conversation takes a while; in a thread it does not hold up the streams of others.
        return cls(chat, asked, await asyncio.to_thread(chat.stream, asked.messages, asked.options))

    async def close(self) -> None:
        await self._items.aclose()  # type: ignore[attr-defined]

    async def completion(self) -> dict[str, Any]:
        """The whole answer as one object."""
        try:
            async for item in self._items:
                if isinstance(item, ChatResult):
                    return self._reply.completion(_whole_or_raise(item))
            raise AssertionError("the chat stream ended without a result")
        finally:
            await self.close()

    async def chunks(self) -> AsyncIterator[dict[str, Any]]:
        """The same answer piece by piece."""
        yield self._reply.first_chunk()
        async for item in self._items:
            if not isinstance(item, ChatResult):
                yield self._reply.event_chunk(item)
                continue
            yield self._reply.last_chunk(_whole_or_raise(item))
            if self._asked.include_usage:
                yield self._reply.usage_chunk(item)


def _whole_or_raise(result: ChatResult) -> ChatResult:
    if result.finish_reason == "abort":  # nobody here asked for that: the engine is being closed
        raise HTTPException(503, "the server is shutting down")
    return result


async def _whole(request: Request, answer: _Answer) -> Response:
    return JSONResponse(await _unless_disconnected(request.receive, answer.completion()))


async def _streamed(answer: _Answer) -> Response:
    async def events() -> AsyncIterator[str]:
        try:
            async for chunk in answer.chunks():
                yield replies.sse(chunk)
            yield replies.sse("[DONE]")
        except HTTPException as error:  # the status line is long gone, so the stream itself has to say it
            yield replies.sse(replies.error(error.detail, kind="server_error"))
        except Exception:
            log.exception("generation failed")
            yield replies.sse(_bug())
        finally:
            await answer.close()

    headers = {"Cache-Control": "no-cache", "X-Accel-Buffering": "no"}
    return StreamingResponse(events(), media_type="text/event-stream", headers=headers)


class ClientGone(Exception):
    """The client closed the connection; nobody is left to read a response."""


async def _unless_disconnected(receive: Receive, work: Coroutine[Any, Any, T]) -> T:
    """The result of `work`, which is cancelled when the client leaves first. The request body must have been read."""
    working, leaving = asyncio.ensure_future(work), asyncio.ensure_future(_disconnected(receive))
    try:
        await asyncio.wait({working, leaving}, return_when=asyncio.FIRST_COMPLETED)
        if not working.done():
            raise ClientGone
        return working.result()
    finally:
        for task in (working, leaving):
            task.cancel()
        await asyncio.gather(working, leaving, return_exceptions=True)


async def _disconnected(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


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
    return JSONResponse(_bug(), status_code=500)


def _bug() -> dict[str, Any]:
    return replies.error("the server failed on this request; its log says why", kind="server_error")
