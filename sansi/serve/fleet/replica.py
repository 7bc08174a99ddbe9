"""One replica: a process that serves the models on a socket of its own, started again whenever it ends."""

from __future__ import annotations

import asyncio
import contextlib
import os
import pickle
import signal
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from sansi.base.errors import SansiError
from sansi.serve.fleet.upstream import Lost, ask
from sansi.serve.http.settings import ServerSettings

State = Literal["starting", "up", "down", "stopped"]
LOOK_SECONDS = 2.0
"""Between two questions whether it still answers."""
ANSWER_SECONDS = 30.0
"""Without an answer to which it counts as hung, and is ended."""
FIRST_LOOK_SECONDS = 0.05
SHORTEST_PAUSE, LONGEST_PAUSE = 0.5, 30.0
"""Before it is started again: doubled each time that it ends within STEADY_SECONDS."""
STEADY_SECONDS = 60.0
STOP_SECONDS = 10.0
"""From SIGTERM to SIGKILL, for a replica that computes nothing any more."""


@dataclass(frozen=True)
class Job:
    """What a replica's process is told."""

    folders: Sequence[str]
    names: Sequence[str]
    settings: ServerSettings
    memory: Sequence[float] | None
    options: Mapping[str, Any]
    log_format: str = "text"
    verbose: bool = False


@dataclass(frozen=True)
class Place:
    """Where one computes."""

    cpus: tuple[int, ...] = ()
    """Processors; empty: all that there are."""
    gpu: str | None = None
    """What CUDA_VISIBLE_DEVICES is to say."""


@dataclass
class Replica:
    """A process, and what becomes of it. `watch` runs for as long as the fleet does."""

    number: int
    job: Job
    socket: str
    place: Place
    on_up: Callable[[int], None] = lambda number: None
    on_down: Callable[[int], None] = lambda number: None
    state: State = "starting"
    restarts: int = 0
    _process: asyncio.subprocess.Process | None = None
    _stopping: asyncio.Event = field(default_factory=asyncio.Event)

    async def start(self) -> None:
        """Start it, and wait until it answers. Raises SansiError where it ends before."""
        self.state = "starting"
        self._process = await self._spawn()
        if not await self._until_it_answers(self._process):
            code = self._process.returncode
            self.state = "down"
            raise SansiError(f"replica {self.number} ended with code {code} before it answered; its error is above")
        self.state = "up"
        self.on_up(self.number)

    async def watch(self) -> None:
        """From its start on: start it again when it ends or hangs, until the fleet stops."""
        pause = SHORTEST_PAUSE
        while not self._stopping.is_set():
            began = asyncio.get_running_loop().time()
            if self.state == "up":
                await self._until_it_ends()
                self.on_down(self.number)
            if self._stopping.is_set():
                return
            self.state = "down"
            lasted = asyncio.get_running_loop().time() - began
            pause = SHORTEST_PAUSE if lasted > STEADY_SECONDS else min(2 * pause, LONGEST_PAUSE)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._stopping.wait(), pause)
            if self._stopping.is_set():
                return
            self.restarts += 1
            with contextlib.suppress(SansiError):  # it has told why; after a pause it is tried again
                await self.start()

    async def stop(self) -> None:
        """End it: told first, then forced."""
        self._stopping.set()
        self.state = "stopped"
        process = self._process
        if process is None or process.returncode is not None:
            return
        with contextlib.suppress(ProcessLookupError):
            process.send_signal(signal.SIGTERM)
        try:
            await asyncio.wait_for(process.wait(), STOP_SECONDS)
        except TimeoutError:
            _kill(process)
            await process.wait()

    @property
    def pid(self) -> int | None:
        return self._process.pid if self._process else None

    async def _spawn(self) -> asyncio.subprocess.Process:
        environment = dict(os.environ)
        if self.place.gpu is not None:
            environment["CUDA_VISIBLE_DEVICES"] = self.place.gpu
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "sansi.serve.fleet.child"),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.DEVNULL if self.number or self.restarts else None,  # what all say, one says
            env=environment,
            start_new_session=True,  # Ctrl-C is the front's, which lets answers end
        )
        assert process.stdin is not None
        told = pickle.dumps((self.job, self.socket, self.place.cpus))  # from this program to itself, by a pipe
        with contextlib.suppress(OSError):
            process.stdin.write(len(told).to_bytes(8, "little") + told)
            await process.stdin.drain()  # the pipe stays open: its end tells the child that this process is gone
        return process

    async def _until_it_answers(self, process: asyncio.subprocess.Process) -> bool:
        """False where it ends first. How long a model loads is nobody's to bound."""
        while process.returncode is None and not self._stopping.is_set():
            if await self._answers(FIRST_LOOK_SECONDS * 20):
                return True
            await asyncio.sleep(FIRST_LOOK_SECONDS)
        return False

    async def _until_it_ends(self) -> None:
        """Or until it hangs, which it is ended for."""
        process = self._process
        assert process is not None
        ended = asyncio.ensure_future(process.wait())
        try:
            while not ended.done() and not self._stopping.is_set():
                await asyncio.wait([ended], timeout=LOOK_SECONDS)
                if not ended.done() and not await self._answers(ANSWER_SECONDS):
                    if ended.done() or self._stopping.is_set():
                        return
                    print(f"replica {self.number} does not answer any more and is ended", file=sys.stderr, flush=True)
                    _kill(process)
                    await ended
        finally:
            ended.cancel()

    async def _answers(self, seconds: float) -> bool:
        try:
            async with asyncio.timeout(seconds):
                answer = await ask(self.socket, b"GET", b"/health", [(b"host", b"localhost")], b"")
                answer.close()
                return answer.status == 200
        except (Lost, TimeoutError):
            return False


def _kill(process: asyncio.subprocess.Process) -> None:
    with contextlib.suppress(ProcessLookupError):
        process.kill()
