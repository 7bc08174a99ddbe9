"""A server that runs on a free port of the loopback, and clients for it, none of which is in a hurry.

How fast a machine is must decide nothing: what has to happen is waited for, however long it takes (within LONG), and
what must not end too early is held, by `FakeChat.hold_at` or by `Held`.
"""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import httpx
import openai
import pytest
from sansi.engine import Engine
from sansi.serve.agent.server_tools import ServerTools
from sansi.serve.app import create_app
from sansi.serve.http.server import Server
from sansi.serve.http.settings import ServerSettings

LONG = 120.0  # seconds; only what hangs takes so long
# One for all tests: to make one takes longer than to be answered. It keeps no connections, which servers count.
http = httpx.Client(timeout=LONG, limits=httpx.Limits(max_connections=None, max_keepalive_connections=0))


@contextmanager
def running(
    chats: Sequence, cards: dict | None = None, tools: ServerTools | None = None, **settings: object
) -> Iterator[str]:
    """Serve `chats` on a free port of the loopback; yields the base URL. `settings` as for ServerSettings."""
    with serving(chats, cards, tools, **settings) as (url, _):
        yield url


@contextmanager
def serving(
    chats: Sequence, cards: dict | None = None, tools: ServerTools | None = None, **settings: object
) -> Iterator[tuple[str, Server]]:
    """The same, with the server itself."""
    listener = socket.create_server(("127.0.0.1", 0), backlog=1024)
    chosen = ServerSettings(**settings)  # type: ignore[arg-type]
    server = Server(create_app(chats, cards, chosen, tools), chosen)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
    thread.start()
    try:
        assert wait_for(lambda: server.started)
        yield f"http://127.0.0.1:{listener.getsockname()[1]}", server
    finally:
        server.should_exit = True
        thread.join(LONG)
        listener.close()


def wait_for(condition: Callable[[], bool], seconds: float = LONG) -> bool:
    """Whether `condition` came true within the time."""
    deadline = time.monotonic() + seconds
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.01)
    return condition()


def client_of(url: str) -> openai.OpenAI:
    return openai.OpenAI(base_url=f"{url}/v1", api_key="none", max_retries=0, timeout=LONG)


class Held:
    """An engine that makes `steps` steps and then none until `go`: its answers end when a test says so."""

    def __init__(self, engine: Engine, monkeypatch: pytest.MonkeyPatch, steps: int = 0):
        self.steps_before = threading.Semaphore(steps)
        self.scheduled: list[float] = []
        """When each step began, by the monotonic clock."""
        self._go = threading.Event()
        self._schedule = engine._scheduler.schedule
        monkeypatch.setattr(engine._scheduler, "schedule", self._held)

    def go(self) -> None:
        self._go.set()

    def _held(self) -> list:
        while not self._go.is_set() and not self.steps_before.acquire(timeout=0.005):
            pass
        self.scheduled.append(time.monotonic())
        return self._schedule()
