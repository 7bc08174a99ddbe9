"""What the built-in tools share: the user's folder, and sandboxed workers by conversation."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Protocol

from sansi.base import SansiError
from sansi.sandbox import Limits, Worker

START_SECONDS = 60.0  # on a busy machine, on top of what runs in a worker
MOST = 8  # processes that are kept; the one used longest ago goes first


class Workspace(Protocol):
    """Where tools are used."""

    @property
    def folder(self) -> Path | None:
        """What the user shares with tools; None: nothing."""

    def close_with(self, end: Callable[[], object], /) -> object:
        """Have this called at the end."""


def shared_folder(workspace: Workspace, tool: str) -> Path:
    """The folder that the user shares. Raises SansiError where there is none."""
    if workspace.folder is None:
        raise SansiError(f'the tool "{tool}" works in a folder of the user\'s; name one', param="folder")
    folder = Path(workspace.folder).resolve()
    if holds_everything(folder):
        raise SansiError(
            f'the tool "{tool}" would have all of {folder}, keys included; name a folder in it', param="folder"
        )
    return folder


def holds_everything(folder: Path) -> bool:
    """Whether it is the user's home, or a folder around it."""
    home = Path.home().resolve()
    return home == folder or folder in home.parents


class Workers:
    """Makes a worker for a conversation when it first needs one, and ends those that were not used for longest.

    readable: folders that every one of them may look at.
    """

    def __init__(self, limits: Limits | None = None, readable: Sequence[Path] = (), most: int = MOST):
        self.limits = limits or Limits()
        self._readable, self._most = tuple(readable), most
        self._workers: OrderedDict[str, Worker] = OrderedDict()
        self._lock = threading.Lock()

    def of(self, conversation: str, folder: Callable[[], Path]) -> Worker:
        """The worker of a conversation; `folder` says where it is to work, if it is new."""
        with self._lock:
            if conversation not in self._workers:
                self._workers[conversation] = Worker(folder(), self.limits, readable=self._readable)
            self._workers.move_to_end(conversation)
            worker = self._workers[conversation]
            idle = list(self._workers)[: -self._most] if len(self._workers) > self._most else []
            ended = [self._workers.pop(name) for name in idle]
        for old in ended:  # it may still be running: nobody waits for that
            threading.Thread(target=old.close, daemon=True).start()
        return worker

    def close(self) -> None:
        """End all of them; their folders stay."""
        with self._lock:
            ended = list(self._workers.values())
            self._workers.clear()
        for worker in ended:
            worker.close()
