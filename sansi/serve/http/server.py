"""The process's server: uvicorn's, with an end that leaves no answer half said."""

from __future__ import annotations

import asyncio
import gc
import logging
import socket
import sys
from abc import abstractmethod
from collections.abc import Callable
from types import FrameType
from typing import Any, Protocol

import uvicorn

from sansi.base import collector
from sansi.serve.http.connection import Connection
from sansi.serve.http.settings import ServerSettings

# How long the engine's thread may keep the interpreter while the event loop wants it; Python's 5 ms would add up to
# several times that on the way from a request to its first token.
SWITCH_SECONDS = 0.0005
# An idle connection stays for longer than clients (5 to 15 s) and proxies (60 s) keep theirs: one that the server
# closes first may be closed under a request that is on its way, and nobody can tell whether that was read.
IDLE_SECONDS = 75
LAST_WORDS_SECONDS = 3  # for the errors of the answers that had to be ended


class Ending(Protocol):
    """What a server tells and asks when it is to stop."""

    @abstractmethod
    def close(self) -> None:
        """Take on nothing more; what runs goes on."""

    @abstractmethod
    def under_way(self) -> int:
        """How much has to end before the server may."""

    @abstractmethod
    def end_all(self) -> None:
        """End what runs."""


class Server(uvicorn.Server):
    """`app.state.admission` is told when nothing more is to be taken on. `on_start` is called once it answers, and
    signals are its own.

    The first SIGTERM or Ctrl-C: nothing new is taken on (503), what runs may end within `grace` seconds, and is then
    ended with an error. The second: the end, at once. The process then goes on after `run`."""

    def __init__(self, app: Any, settings: ServerSettings, on_start: Callable[[], None] = lambda: None):
        super().__init__(
            uvicorn.Config(
                app,
                http=Connection,
                ws="none",
                lifespan="off",
                log_config=None,
                log_level="error",  # a line for each broken request would let anybody fill the log
                access_log=False,
                proxy_headers=False,
                server_header=False,
                timeout_keep_alive=IDLE_SECONDS,
                timeout_graceful_shutdown=LAST_WORDS_SECONDS,
            )
        )
        self._admission: Ending = app.state.admission
        self._grace, self._on_start = settings.grace, on_start
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stopping: asyncio.Task[None] | None = None
        self._told = False

    def run(self, sockets: list[socket.socket] | None = None) -> None:
        """Serve until told to stop. It has the process to itself: collector and threads are tuned for streams."""
        gc.collect()
        collector.wake()
        gc.freeze()  # what is loaded stays; looking through it again takes a tenth of a second, in which nobody speaks
        before = sys.getswitchinterval()
        sys.setswitchinterval(SWITCH_SECONDS)
        try:
            super().run(sockets)
        finally:
            sys.setswitchinterval(before)
            gc.unfreeze()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        self._loop = asyncio.get_running_loop()
        await super().startup(sockets)
        self._on_start()

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Called by uvicorn for a signal. (Its own method would raise the signal again at the end.)"""
        self.stop()

    def stop(self) -> None:
        """Begin to stop; called again: stop at once. From any thread, or a signal handler."""
        if self._told or self._loop is None:
            logging.getLogger("uvicorn.error").setLevel(logging.CRITICAL)  # of what is torn off, not all need be told
            self.should_exit = self.force_exit = True
            return
        self._told = True
        self._loop.call_soon_threadsafe(self._begin_stop)

    def _begin_stop(self) -> None:
        self._admission.close()  # here, not in the task: the next request finds it closed
        self._stopping = asyncio.ensure_future(self._stop())

    async def _stop(self) -> None:
        if left := self._admission.under_way():
            told = f"stopping: {left} answers may end within {self._grace:g} seconds; Ctrl-C again stops at once"
            print(told, file=sys.stderr, flush=True)
            if not await self._idle_within(self._grace):
                self._admission.end_all()
                await self._idle_within(LAST_WORDS_SECONDS)
        self.should_exit = True

    async def _idle_within(self, seconds: float) -> bool:
        ends = asyncio.get_running_loop().time() + seconds
        while self._admission.under_way() and asyncio.get_running_loop().time() < ends:
            await asyncio.sleep(0.02)
        return not self._admission.under_way()
