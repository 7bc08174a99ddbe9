"""Files in requests are read aside, as those that are sent alone: few at a time, and each in its place of the queue."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import Any

from sansi.chat import ChatModel
from sansi.serve.api import attachments
from sansi.serve.api.errors import find_model
from sansi.serve.api.requests import parse_body
from sansi.serve.http.admission import Admission
from sansi.serve.http.document_routes import MAX_CHARACTERS, MAX_PAGES, READERS, SECONDS
from sansi.serve.http.request_log import Record
from sansi.serve.http.workers import Workers


class FileReader:
    """Reads the bodies of requests that may hold files."""

    def __init__(self, models: Mapping[str, ChatModel], admission: Admission):
        self._models, self._admission = models, admission
        self._workers = Workers(READERS, "sansi-attachments")

    async def body_of(self, raw: bytes, record: Record) -> dict[str, Any]:
        """The body as an object, in which files are text. Raises SansiError for what cannot be read, ServeError."""
        body = parse_body(raw)
        if not attachments.may_have_files(raw) or not attachments.has_files(body):
            return body
        given = body.get("model")
        chat = find_model(self._models, given) if isinstance(given, str) else next(iter(self._models.values()))
        ticket = self._admission.enter(chat.name, 1, record.begun)
        try:
            async with ticket.limits():
                await self._workers.run(functools.partial(_read, body), ticket)
        finally:
            ticket.release()
        return body


def _read(body: dict[str, Any]) -> None:
    from sansi.documents import Limits

    attachments.read_files(body, Limits(max_pages=MAX_PAGES, max_characters=MAX_CHARACTERS, seconds=SECONDS))
