"""From a checkpoint folder to a listening server."""

from __future__ import annotations

import contextlib
import errno
import socket
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from sansi.base.errors import SansiError
from sansi.base.files import read_json

LOOPBACK = ("127.0.0.1", "::1", "localhost")


def serve(folder: str, host: str = "127.0.0.1", port: int = 8000, **options: Any) -> None:
    """Serve the checkpoint in `folder` until interrupted. Port 0 takes a free one. Raises SansiError on bad input.

    options: as for `ChatModel.from_pretrained`.
    """
    listener = bind(host, port)  # first: a taken port is told before the seconds of loading, not after
    try:
        _serve_on(listener, folder, host, options)
    finally:
        listener.close()


def _serve_on(listener: socket.socket, folder: str, host: str, options: Mapping[str, Any]) -> None:
    import uvicorn

    from sansi.chat import ChatModel
    from sansi.serve.app import create_app

    questions = read_examples(folder)
    with ChatModel.from_pretrained(folder, **options) as chat:
        print(f"backend {chat.engine.backend.name}\n{chat.engine.plan}", flush=True)
        app = create_app([chat], {chat.name: questions})
        listener.listen(2048)  # from here on a client is queued, not refused
        _announce(chat.name, host, listener.getsockname()[1])
        config = uvicorn.Config(app, log_level="warning", access_log=False, timeout_graceful_shutdown=3)
        with contextlib.suppress(KeyboardInterrupt):  # uvicorn raises it again once it has shut down
            uvicorn.Server(config).run(sockets=[listener])


def bind(host: str, port: int) -> socket.socket:
    """A bound, not yet listening TCP socket. Raises SansiError when the address can not be had."""
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    except (OSError, OverflowError) as error:
        raise SansiError(f'"{host}" port {port} is not an address of this machine: {error}', param="host") from error
    listener = socket.socket(family, kind, protocol)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
    except (OSError, OverflowError) as error:
        listener.close()
        raise SansiError(_why_not_bound(error, host, port), param="port") from error
    return listener


def read_examples(folder: str) -> list[str]:
    """The questions that the checkpoint offers in `examples.json`, a list of strings; [] when it has none."""
    file = Path(folder) / "examples.json"
    if not file.exists():
        return []
    questions = read_json(file)
    if not isinstance(questions, list) or not all(isinstance(question, str) for question in questions):
        raise SansiError(f"{file}: must be a JSON array of strings")
    return questions


def _why_not_bound(error: Exception, host: str, port: int) -> str:
    if getattr(error, "errno", None) == errno.EADDRINUSE:
        return f"port {port} on {host} is taken by another program; choose another with --port, or 0 for a free one"
    return f"can not listen on {host} port {port}: {error}"


def _announce(name: str, host: str, port: int) -> None:
    shown = f"[{host}]" if ":" in host else host
    print(f"Sansi serves {name}\n  chat  http://{shown}:{port}\n  API   http://{shown}:{port}/v1", flush=True)
    print("Ctrl-C stops it.", flush=True)
    if host not in LOOPBACK:
        print("warning: others on the network can reach this server, and it asks nobody for a key", file=sys.stderr)
