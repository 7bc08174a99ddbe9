"""One request from its arrival to its last byte: its id, what is logged and counted of it, and what it holds.

A pure ASGI middleware, the outermost: what it cleans up is cleaned up however a request ends.
"""

from __future__ import annotations

import logging
import random
import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from sansi.chat import ChatResult, TextResult
from sansi.serve.api import response_bodies
from sansi.serve.api.errors import ClientGone
from sansi.serve.http.error_responses import error_response

KEY = "sansi.record"  # in the scope of a request
SANE_ID = re.compile(rb"[A-Za-z0-9._:+/=-]{1,128}")
ANTHROPIC = "/v1/messages"  # whose clients look for the id under another name
GONE = 499  # no status of HTTP, but the customary number in logs for a client that left
# Ids need not be secret, only distinct; asking the system for each would hand over the interpreter's lock.
_random = random.Random()
log = logging.getLogger("sansi.serve")


@dataclass
class Record:
    """What is known of a request. Whoever handles it fills in its part."""

    id: str
    method: str
    path: str
    begun: float = field(default_factory=time.monotonic)
    status: int = 0
    route: str = "other"
    key: int | None = None
    model: str | None = None
    stream: bool = False
    first_token: float | None = None
    """Seconds from the arrival of the request to its first text."""
    results: list[ChatResult | TextResult] = field(default_factory=list)
    error: str | None = None
    asked: Any = None
    """What was asked, for a log that may have it."""
    labels: Mapping[str, Any] = field(default_factory=dict)
    """What the request says of itself, for the log alone."""
    releases: list[Callable[[], None]] = field(default_factory=list)
    """Called at the end, whatever happened."""
    seconds: float = 0.0
    elsewhere: bool = False
    """Another process has logged it."""


def record_of(scope: Scope) -> Record:
    return scope[KEY]


class Recorder:
    """Makes a Record for each request, and hands it to `done` at its end. A bug becomes a 500 with the request's id."""

    def __init__(self, app: ASGIApp, done: Callable[[Record], None]):
        self._app, self._done = app, done

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        record = scope[KEY] = Record(_id_of(scope), scope["method"], scope["path"])
        header = (b"x-request-id", record.id.encode())
        headers = [header, (b"request-id", header[1])] if record.path.startswith(ANTHROPIC) else [header]

        async def tell(message: Message) -> None:
            if message["type"] == "http.response.start":
                record.status = message["status"]
                message["headers"] = [*message.get("headers", ()), *headers]
            await send(message)

        try:
            await self._app(scope, receive, tell)
        except ClientGone:
            record.status, record.error = GONE, "client_gone"
        except Exception:
            log.exception("request %s failed", record.id)
            record.error = "bug"
            if record.status:
                raise  # the answer is half sent: closing the connection is all that is left
            await error_response(record.path, response_bodies.bug(), 500)(scope, receive, tell)
        finally:
            self._end(record, scope)

    def _end(self, record: Record, scope: Scope) -> None:
        for release in record.releases:
            release()
        record.route = getattr(scope.get("route"), "path", "other")
        record.seconds = time.monotonic() - record.begun
        self._done(record)


def _id_of(scope: Scope) -> str:
    """The client's own id, where it is one that can stand in a log and a header; else a new one."""
    given = next((value for name, value in scope["headers"] if name == b"x-request-id"), b"")
    return given.decode() if SANE_ID.fullmatch(given) else f"req-{_random.getrandbits(128):032x}"
