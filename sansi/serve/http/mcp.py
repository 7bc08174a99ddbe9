"""An MCP server's application behind the same doors as the chat server: names it is called by, origins, keys."""

from __future__ import annotations

import socket

import uvicorn
from starlette.types import ASGIApp

from sansi.serve.http.access import AccessControl
from sansi.serve.http.launch import settings_for
from sansi.serve.http.request_log import Record, Recorder
from sansi.serve.http.settings import ServerSettings

STOP_WITHIN = 5  # seconds that open streams may take to end


def guarded(app: ASGIApp, host: str, settings: ServerSettings) -> ASGIApp:
    """`app` for those who may speak to a server on `host`."""
    return Recorder(AccessControl(app, settings_for(host, settings)), _forget)


def run(app: ASGIApp, listener: socket.socket) -> None:
    """Serve until interrupted."""
    config = uvicorn.Config(app, log_level="warning", timeout_graceful_shutdown=STOP_WITHIN)
    uvicorn.Server(config).run(sockets=[listener])


def _forget(record: Record) -> None:
    """There is no log of requests: what they ask is the client's own affair."""
