"""From folders to a fleet that listens, and to its end."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import shutil
import socket
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from sansi.base.errors import SansiError
from sansi.base.model_card import ModelCard, read_card
from sansi.base.progress import status
from sansi.serve.fleet.front import Front
from sansi.serve.fleet.places import memory_for, places_for
from sansi.serve.fleet.replica import Job, Replica
from sansi.serve.fleet.router import Router
from sansi.serve.http import logs
from sansi.serve.http.launch import announce, check_adapter_names, model_names, settings_for
from sansi.serve.http.server import Server
from sansi.serve.http.settings import ServerSettings

LONGEST_SOCKET = 100  # bytes of its path, of which the system takes 107
MOST_REPLICAS = 64


def serve(
    folders: Sequence[str],
    host: str,
    listener: socket.socket,
    *,
    replicas: int,
    names: Sequence[str] = (),
    memory: Sequence[float] | None = None,
    settings: ServerSettings | None = None,
    log_format: str = "text",
    open_page: bool = False,
    verbose: bool = False,
    adapters: Mapping[str, str] | None = None,
    **options: Any,
) -> None:
    """Serve the checkpoints in `folders` by several processes until interrupted. Raises SansiError on bad input.

    listener: what `http.launch.bind` made. memory: bytes for all replicas together. Others as for `http.launch.serve`.
    """
    if not hasattr(socket, "AF_UNIX"):
        raise SansiError("--replicas needs Unix sockets, which this system does not have; serve one replica")
    if not 1 <= replicas <= MOST_REPLICAS:
        raise SansiError(f"--replicas {replicas}: 1 to {MOST_REPLICAS} are served", param="replicas")
    chosen = model_names(folders, names)
    check_adapter_names(chosen, adapters or {})
    options |= {"adapters": adapters} if adapters else {}
    settings = settings_for(host, settings or ServerSettings())
    device = str(options.get("device", "auto"))
    job = Job(folders, chosen, settings, memory_for(replicas, device, memory), options, log_format, verbose)
    home = Path(tempfile.mkdtemp(prefix="sansi-fleet-"))  # readable by this user alone, so the sockets are too
    try:
        if len(bytes(home)) > LONGEST_SOCKET - len("/64.sock"):
            raise SansiError(f"{home}: the path is too long for a socket; set TMPDIR to a shorter one")
        router = Router(replicas)
        fleet = [
            Replica(number, job, str(home / f"{number}.sock"), place, router.up, router.down)
            for number, place in enumerate(places_for(replicas, device))
        ]
        sources = dict(zip(chosen, folders, strict=True)) | dict(adapters or {})
        cards = {name: read_card(folder) for name, folder in sources.items()}
        _serve(fleet, Front(fleet, router, list(sources), settings), listener, host, settings, log_format, cards,
               open_page)  # fmt: skip
    finally:
        listener.close()
        shutil.rmtree(home, ignore_errors=True)


def _serve(
    fleet: Sequence[Replica],
    front: Front,
    listener: socket.socket,
    host: str,
    settings: ServerSettings,
    log_format: str,
    cards: Mapping[str, ModelCard],
    open_page: bool,
) -> None:
    logs.configure(log_format)
    listener.listen(2048)
    port = listener.getsockname()[1]
    told = functools.partial(announce, cards, host, port, settings, open_page)

    def on_start() -> None:
        print(f"{len(fleet)} replicas", flush=True)
        told()

    server = FleetServer(front, settings, on_start, fleet)
    server.run(sockets=[listener])
    if server.failed:
        raise server.failed


class FleetServer(Server):
    """A server that starts its replicas first, watches them, and ends them last."""

    failed: SansiError | None = None
    """Why it did not start."""

    def __init__(self, front: Front, settings: ServerSettings, on_start: Any, fleet: Sequence[Replica]):
        super().__init__(front, settings, on_start)
        self._fleet = fleet
        self._watching: list[asyncio.Task[None]] = []

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """The first replica alone: what is wrong with the models is told once, and kernels are compiled once."""
        self._loop = asyncio.get_running_loop()
        starting = asyncio.ensure_future(self._start_all())
        while not starting.done() and not self.should_exit:
            await asyncio.wait([starting], timeout=0.1)
        if self.should_exit:
            starting.cancel()
        else:
            with contextlib.suppress(SansiError):
                await starting
        if self.failed or self.should_exit:
            await self._end_all()
            self.should_exit = True
            self.started = True
            return
        self._watching = [asyncio.ensure_future(replica.watch()) for replica in self._fleet]
        await super().startup(sockets)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        if not self.failed:
            await super().shutdown(sockets)
        await self._end_all()

    async def _start_all(self) -> None:
        first, *others = self._fleet
        try:
            with status(f"starting {len(self._fleet)} replicas"):
                await first.start()
                await asyncio.gather(*(replica.start() for replica in others))
        except SansiError as error:
            self.failed = error
            raise

    async def _end_all(self) -> None:
        await asyncio.gather(*(replica.stop() for replica in self._fleet))
        for task in self._watching:
            task.cancel()
