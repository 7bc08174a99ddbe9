"""What the built-in tools share: the user's folder, and sandboxed workers by conversation."""

from __future__ import annotations

import threading
import time
from collections import Counter, OrderedDict
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol

from sansi.base import SansiError
from sansi.base.words import count
from sansi.sandbox import Limits, Worker

START_SECONDS = 60.0  # on a busy machine, on top of what runs in a worker
MOST = 8  # processes that are kept; the one used longest ago goes first
PATIENCE, LOOK = 30.0, 0.5  # seconds that a conversation waits for room, and between looks at whether it still does


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
    """Makes a worker for a conversation when it first needs one, and ends those that were not used for longest; never
    one that is at work. readable: folders that every one of them may look at.
    """

    def __init__(
        self,
        limits: Limits | None = None,
        readable: Sequence[Path] = (),
        most: int = MOST,
        patience: float = PATIENCE,
    ):
        self.limits = limits or Limits()
        self._readable, self._most, self._patience = tuple(readable), most, patience
        self._workers: OrderedDict[str, Worker] = OrderedDict()
        self._users: Counter[str] = Counter()
        self._given_up: set[str] = set()
        self._free = threading.Condition()

    @contextmanager
    def of(
        self, conversation: str, folder: Callable[[], Path], cancelled: threading.Event | None = None
    ) -> Iterator[Worker]:
        """The worker of a conversation while it is used; `folder` says where it is to work, if it is new.

        Raises SansiError where all are at work for others for as long as one waits, or the call is cancelled.
        """
        with self._free:
            worker = self._workers.get(conversation) or self._new(conversation, folder, cancelled)
            self._users[conversation] += 1
            self._workers.move_to_end(conversation)
        try:
            yield worker
        finally:
            with self._free:
                self._users[conversation] -= 1
                self._free.notify_all()

    def _new(self, conversation: str, folder: Callable[[], Path], cancelled: threading.Event | None) -> Worker:
        """A new worker, once there is room for it; another call of the conversation may have made it meanwhile."""
        end = time.monotonic() + self._patience
        while (found := self._workers.get(conversation)) is None and not self._make_room():
            if time.monotonic() >= end or (cancelled is not None and cancelled.is_set()):
                others = count(self._most, "other conversation")
                raise SansiError(f"the sandbox is in use by {others}, and no more can use it now: try again later")
            self._free.wait(LOOK)
        if found is not None:
            return found
        worker = Worker(folder(), self.limits, readable=self._readable, lost=conversation in self._given_up)
        self._given_up.discard(conversation)
        self._workers[conversation] = worker
        return worker

    def _make_room(self) -> bool:
        """End the one that was not used for longest, if there are too many; False: all are at work."""
        if len(self._workers) < self._most:
            return True
        idle = next((name for name in self._workers if not self._users[name]), None)
        if idle is None:
            return False
        del self._users[idle]
        self._given_up.add(idle)
        threading.Thread(target=self._workers.pop(idle).close, daemon=True).start()  # nobody waits for that
        return True

    def close(self) -> None:
        """End all of them, those that are at work too; their folders stay."""
        with self._free:
            ended = list(self._workers.values())
            self._workers.clear()
        for worker in ended:
            worker.close()
