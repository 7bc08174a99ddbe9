"""The HTTP application: which routes there are, and what stands before them. It holds no globals."""

from __future__ import annotations

import functools
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fastapi import FastAPI, Request
from fastapi.middleware.gzip import GZipMiddleware
from fastapi.responses import FileResponse, JSONResponse, PlainTextResponse, Response
from fastapi.routing import APIRoute
from fastapi.staticfiles import StaticFiles
from prometheus_client import CONTENT_TYPE_LATEST

from sansi import __version__
from sansi.base.model_card import ModelCard
from sansi.chat import ChatModel
from sansi.serve.api import openapi
from sansi.serve.api.answer_stream import Answer, check_size
from sansi.serve.api.dialect import Dialect, Told
from sansi.serve.api.dialects import places
from sansi.serve.api.errors import find_model
from sansi.serve.api.requests import Policy
from sansi.serve.http import exception_handlers, logs
from sansi.serve.http.access import AccessControl
from sansi.serve.http.admission import Admission
from sansi.serve.http.bodies import Bodies
from sansi.serve.http.computations import add_computations
from sansi.serve.http.document_routes import add_documents
from sansi.serve.http.file_reader import FileReader
from sansi.serve.http.metrics import ServerMetrics
from sansi.serve.http.model_facts import facts_of
from sansi.serve.http.ollama_routes import add_ollama
from sansi.serve.http.paths import PROBES, Paths
from sansi.serve.http.request_log import Record, Recorder, record_of
from sansi.serve.http.settings import LARGEST_LIMIT, ServerSettings, body_limit
from sansi.serve.http.streaming_response import Generation
from sansi.serve.http.tools import add_tools
from sansi.serve.http.workers import Workers

if TYPE_CHECKING:
    from sansi.serve.agent.server_tools import ServerTools

SMALL_BYTES = 2**13  # of a request that renders in a millisecond
RENDERERS, COMPILERS = 2, 2  # threads
STATIC = Path(__file__).parent / "static"
# The page loads nothing from elsewhere and runs no inline script, so text from a model can never become one. Pictures
# that a tool made come as bytes in an answer of this server, and are shown from the page's own memory (blob:).
PAGE_HEADERS = {
    "Content-Security-Policy": "default-src 'self'; img-src 'self' blob:; "
    "form-action 'self'; frame-ancestors 'none'; base-uri 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-cache",
}


def create_app(
    chat_models: Sequence[ChatModel],
    cards: Mapping[str, ModelCard] | None = None,
    settings: ServerSettings | None = None,
    tools: ServerTools | None = None,
) -> FastAPI:
    """The application that serves `chat_models`, each under its `.name`; `cards` say what each is, per name.

    Routes: those of `dialects.places`, GET /v1/models, GET /v1/models/{id}, GET /v1/tools, POST /v1/tools/{name},
    POST /v1/documents, GET /health, GET /metrics, GET /openapi.json, GET / (the chat page). The caller owns the models
    and closes them. `app.state.admission` is what a server tells when it is to stop.
    """
    models = {chat.name: chat for chat in chat_models}
    assert models and len(models) == len(chat_models), "chat models need distinct names"
    settings = settings or ServerSettings()
    max_document = settings.max_body or LARGEST_LIMIT  # a file may be of use that is larger than any context
    if settings.max_body is None:
        settings = replace(settings, max_body=body_limit(max(chat.context_length for chat in chat_models)))
    app = FastAPI(title="Sansi", version=__version__, docs_url=None, redoc_url=None, redirect_slashes=False)
    admission = app.state.admission = Admission(chat_models, settings)
    metrics = ServerMetrics(models, admission)

    def done(record: Record) -> None:
        metrics.ended(record)
        logs.write(record, settings.log_text)

    exception_handlers.add_handlers(app)
    app.add_middleware(AccessControl, settings=settings)
    app.add_middleware(Paths)
    app.add_middleware(Recorder, done=done)  # what is added last stands first
    _add_page(app)
    _add_state(app, models, metrics)
    _add_models(app, models, cards or {}, with_agents=tools is not None)
    bodies = Bodies(settings)
    files = FileReader(models, admission)
    _add_generation(app, models, metrics, bodies, settings.policy, files)
    add_tools(app, bodies)
    if tools is not None:
        from sansi.serve.http.agent_routes import add_agents  # what agents are made of is loaded where they are wanted

        add_agents(app, models, bodies, settings.policy, tools, files)
    add_documents(app, models, bodies, max_document)
    _add_heads(app)
    openapi.describe(app, with_keys=settings.keys is not None)
    return app


def _add_heads(app: FastAPI) -> None:
    """What can be got can be asked about."""
    for route in [one for one in app.routes if isinstance(one, APIRoute) and one.methods == {"GET"}]:
        app.add_api_route(route.path, route.endpoint, methods=["HEAD"], include_in_schema=False)


class _Static(StaticFiles):
    def file_response(self, *args: Any, **options: Any) -> Response:
        response = super().file_response(*args, **options)
        response.headers["X-Content-Type-Options"] = "nosniff"
        return response


def _add_page(app: FastAPI) -> None:
    @app.get("/", include_in_schema=False)
    async def page() -> Response:
        return FileResponse(STATIC / "index.html", headers=PAGE_HEADERS)

    app.mount("/static", GZipMiddleware(_Static(directory=STATIC), minimum_size=1024, compresslevel=5))


def _add_state(app: FastAPI, models: Mapping[str, ChatModel], metrics: ServerMetrics) -> None:
    async def health() -> Response:
        closing = app.state.admission.closing
        body = {"status": "stopping" if closing else "ok", "version": __version__, "models": list(models)}
        return JSONResponse(body, status_code=503 if closing else 200)

    for path in PROBES:  # of other servers and of what watches over them, beside our own
        app.get(path, responses=openapi.errors(403), include_in_schema=path == "/health")(health)

    @app.get("/version", responses=openapi.errors(403))
    async def version() -> dict[str, str]:
        return {"version": __version__}

    @app.get("/metrics", response_class=PlainTextResponse, responses=openapi.errors(*openapi.LOOKING))
    async def prometheus() -> Response:
        return Response(metrics.text(), media_type=CONTENT_TYPE_LATEST)


def _add_models(
    app: FastAPI, models: Mapping[str, ChatModel], cards: Mapping[str, ModelCard], with_agents: bool
) -> None:
    """with_agents: the list says that the operator turned on tools for agents, which the page asks for then."""
    created = int(time.time())

    def card(chat: ChatModel, whole: bool = False) -> dict[str, Any]:
        entry = {"id": chat.name, "object": "model", "created": created, "owned_by": "sansi"}
        said = cards.get(chat.name, ModelCard()).to_dict()
        told = {**facts_of(chat), "budget_curve": {"points": said.pop("budget_curve")}}
        if not whole:
            said.pop("text")
        if base := _base_of(chat, models):
            entry |= {"parent": base}
        if said["calls_tools"] is None:
            said.pop("calls_tools")
        length = chat.context_length
        return entry | {"context_length": length, "max_model_len": length, **said, "sansi": told}

    @app.get("/v1/models", responses=openapi.errors(*openapi.LOOKING))
    async def list_models() -> dict[str, Any]:
        listed = {"object": "list", "data": [card(chat) for chat in models.values()]}
        return listed | ({"agent": "/v1/agent/tools"} if with_agents else {})

    @app.get("/v1/models/{name:path}", responses=openapi.errors(*openapi.LOOKING, 404))
    async def retrieve_model(name: str) -> dict[str, Any]:
        return card(find_model(models, name), whole=True)


def _base_of(chat: ChatModel, models: Mapping[str, ChatModel]) -> str | None:
    """The model that an adapter is of; None for a model itself."""
    if getattr(chat, "adapter", None) is None:
        return None
    return next((name for name, one in models.items() if one.engine is chat.engine and one.adapter is None), None)


def _add_generation(
    app: FastAPI,
    models: Mapping[str, ChatModel],
    metrics: ServerMetrics,
    bodies: Bodies,
    policy: Policy,
    files: FileReader,
) -> None:
    admission: Admission = app.state.admission
    # A grammar takes seconds to compile; who needs one shall not make wait who does not.
    renderers, compilers = Workers(RENDERERS, "sansi-render"), Workers(COMPILERS, "sansi-compile")

    async def generate(request: Request, load: Callable[[], Dialect]) -> Response:
        record = record_of(request.scope)
        admission.check()  # what can not be taken on is not read
        body, dialect = await bodies.read(request), load()
        asked = dialect.parse(await files.body_of(body, record), policy)
        chat = find_model(models, asked.model)
        if isinstance(asked, Told):
            return JSONResponse(asked.body)
        record.model, record.stream, record.labels = chat.name, asked.stream, asked.labels
        record.asked = getattr(asked, "messages", None) or getattr(asked, "prompts", None)
        check_size(chat, asked)
        ticket = admission.enter(chat.name, asked.n, record.begun)
        record.releases.append(ticket.release)
        grammar = asked.options.tools or asked.options.response_format
        workers = compilers if grammar else renderers
        small = len(body) <= SMALL_BYTES and not grammar
        elsewhere = None if small else functools.partial(workers.run, ticket=ticket)
        start = functools.partial(Answer.start, chat, asked, dialect, record.begun, elsewhere)
        return Generation(start, ticket, record, metrics.gaps[chat.name], asked.stream, dialect)

    for place in places():
        openapi.add_place(app, place, generate, functools.partial(openapi.generation, strict=policy.strict))
    add_computations(app, models, bodies, policy, renderers, files)
    add_ollama(app, models, bodies)
