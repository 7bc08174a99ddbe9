"""Files as text: what the chat page sends of a PDF comes back as the text of its pages, and nothing is kept."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import Any

from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse, Response

from sansi.base.errors import SansiError
from sansi.chat import ChatModel
from sansi.serve.api import openapi
from sansi.serve.api.errors import find_model
from sansi.serve.api.schemas import COUNT, TEXT, list_of, object_of, or_null
from sansi.serve.api.tokenizer import codec_of
from sansi.serve.http.bodies import Bodies
from sansi.serve.http.request_log import record_of
from sansi.serve.http.workers import Workers

READERS = 2  # files at a time; each PDF has a process of its own
MAX_CHARACTERS, MAX_PAGES, SECONDS = 2_000_000, 1000, 20.0
DOCUMENT = object_of(
    {
        "object": {"const": "document"},
        "name": or_null(TEXT),
        "media_type": TEXT,
        "title": or_null(TEXT),
        "pages": or_null(COUNT),
        "text": TEXT,
        "tokens": or_null(COUNT),
        "notes": list_of(TEXT),
    }
)
_FILE = {"required": True, "content": {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}}}


def add_documents(app: FastAPI, models: Mapping[str, ChatModel], bodies: Bodies, max_body: int) -> None:
    """POST /v1/documents with a file as body. It passes the gate of its model, as whatever takes its time does."""
    workers, first = Workers(READERS, "sansi-documents"), next(iter(models))

    @app.post(
        "/v1/documents",
        responses=openapi.told(DOCUMENT) | openapi.errors(*openapi.ERRORS),
        openapi_extra={"requestBody": _FILE},
    )
    async def read(request: Request, name: str | None = None, model: str = first) -> Response:
        record, admission = record_of(request.scope), app.state.admission
        admission.check()
        chat = find_model(models, model)
        data = await bodies.read(request, max_body)
        ticket = admission.enter(chat.name, 1, record.begun)
        record.releases.append(ticket.release)
        work = functools.partial(document_of, chat, data, name, request.headers.get("content-type"))
        async with ticket.limits():
            return JSONResponse(await workers.run(work, ticket))


def document_of(chat: ChatModel, data: bytes, name: str | None, media_type: str | None) -> dict[str, Any]:
    """The body of the answer. Raises SansiError for what cannot be read, with a `code` that says why."""
    from sansi.documents import Limits, read_document  # loaded when somebody has a file

    limits = Limits(len(data), MAX_PAGES, MAX_CHARACTERS, SECONDS)  # of bytes the body's limit decides
    found = read_document(data, name, media_type, limits)
    return {
        "object": "document",
        "name": name,
        "media_type": found.media_type,
        "title": found.title,
        "pages": found.pages,
        "text": found.text,
        "tokens": _tokens(chat, found.text),
        "notes": list(found.notes),
    }


def _tokens(chat: ChatModel, text: str) -> int | None:
    """None where the model is elsewhere, and its tokenizer with it."""
    try:
        codec_of(chat)
    except SansiError:
        return None
    return len(chat.ids_of(text, False))
