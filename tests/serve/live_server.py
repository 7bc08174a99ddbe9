"""A server that runs on a free port of the loopback, and the official client for it."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import openai
from sansi.serve.app import create_app
from sansi.serve.server import Server
from sansi.serve.settings import ServerSettings


@contextmanager
def running(chats: Sequence, examples: dict | None = None, **settings: object) -> Iterator[str]:
    """Serve `chats` on a free port of the loopback; yields the base URL. `settings` as for ServerSettings."""
    with serving(chats, examples, **settings) as (url, _):
        yield url


@contextmanager
def serving(chats: Sequence, examples: dict | None = None, **settings: object) -> Iterator[tuple[str, Server]]:
    """The same, with the server itself."""
    listener = socket.create_server(("127.0.0.1", 0), backlog=1024)
    chosen = ServerSettings(**settings)  # type: ignore[arg-type]
    server = Server(create_app(chats, examples, chosen), chosen)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
    thread.start()
    try:
        assert wait_for(lambda: server.started, 10)
        yield f"http://127.0.0.1:{listener.getsockname()[1]}", server
    finally:
        server.should_exit = True
        thread.join(10)
        listener.close()


def wait_for(condition: Callable[[], bool], seconds: float = 5.0) -> bool:
    """Whether `condition` came true within the time."""
    deadline = time.monotonic() + seconds
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.01)
    return condition()


def client_of(url: str) -> openai.OpenAI:
    return openai.OpenAI(base_url=f"{url}/v1", api_key="none", max_retries=0, timeout=30)
