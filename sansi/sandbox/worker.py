"""A Python worker in a sandbox: one for each conversation, which keeps its variables from call to call."""

from __future__ import annotations

import os
import tempfile
import threading
import weakref
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sansi.base.errors import SansiError
from sansi.sandbox.ladder import Rung, open_session, rung_of
from sansi.sandbox.limits import Limits
from sansi.sandbox.rungs import NAMES, Kind
from sansi.sandbox.session import Exchange, Session
from sansi.sandbox.system import Place
from sansi.sandbox.usage import remove_tree

OF_THE_SYSTEM = ("bin", "boot", "dev", "etc", "lib", "lib64", "proc", "run", "sbin", "sys", "usr")
KEPT, LOST = "variables are kept", "variables are gone, files are kept"

MOST_SEEN, DEEPEST = 10_000, 8
"""Files that are looked at for what a call has changed, and folders below one another."""


@dataclass(frozen=True)
class Artifact:
    """Something that came out of a sandbox beside text."""

    name: str
    media_type: str
    data: bytes


@dataclass(frozen=True)
class RunResult:
    """What became of one call."""

    text: str
    """What was printed, and the value of the last expression; the middle is left out when it is long."""
    error: str | None
    """The exception as a traceback, or why the call was stopped; None when all went well."""
    attachments: tuple[Artifact, ...]
    """Figures as PNG."""
    seconds: float
    rung: str
    """The name of the rung that it ran on."""
    timed_out: bool = False
    status: int | None = None
    """Exit status of a command."""
    fresh: bool = False
    """Whether an earlier process of this worker was lost: what the code knew is gone."""
    files: tuple[str, ...] = ()
    """Files of the folder that are new or changed."""


class Worker:
    """Runs code, one piece at a time, in a process that starts with the first.

    folder: what the code sees as its working folder; None makes a private one, which `close` removes.
    readable: folders that it may look at besides, under their own paths. kind: this rung and no other. lost: variables
    of an earlier process are gone, which the first result says.
    Raises SansiError, on the first run, where no rung holds.
    """

    def __init__(
        self,
        folder: Path | None = None,
        limits: Limits | None = None,
        kind: Kind | None = None,
        readable: Sequence[Path] = (),
        lost: bool = False,
    ):
        self.limits = limits or Limits()
        self._readable = tuple(_folder(path) for path in readable)
        self._own_folder = folder is None
        self.folder = Path(tempfile.mkdtemp(prefix="sansi-folder-")) if folder is None else _folder(folder)
        self._kind = kind
        self._session: Session | None = None
        self._held = _Held()
        self._lost = lost
        self._lock = threading.Lock()
        self._finalizer = weakref.finalize(self, self._held.end, os.getpid(), self.folder if self._own_folder else None)

    def run(self, code: str, seconds: float | None = None, cancelled: threading.Event | None = None) -> RunResult:
        """Run Python code; names that it defines stay for the next call. seconds: instead of the limits'."""
        return self._ask({"do": "run", "code": str(code)}, seconds, cancelled)

    def command(
        self, argv: Sequence[str], seconds: float | None = None, cancelled: threading.Event | None = None
    ) -> RunResult:
        """Run a program to its end, in the folder."""
        if isinstance(argv, str) or not argv or not all(isinstance(word, str) and "\0" not in word for word in argv):
            raise SansiError(f"a command is a list of words, not {argv!r}", param="argv")
        return self._ask({"do": "command", "argv": list(argv)}, seconds, cancelled)

    @property
    def rung(self) -> Rung:
        """The rung that it runs on; starts the process if there is none."""
        with self._lock:
            return rung_of(self._running().kind)

    def start(self) -> None:
        """Start the process now, so that the first call need not wait for it."""
        with self._lock:
            self._running()

    def reset(self) -> None:
        """Forget all variables; files stay. A call that is running is stopped."""
        self._stop()
        with self._lock:
            self._end()
            self._lost = False

    def close(self) -> None:
        """End the process, in the middle of a call too, and remove the folder if it is our own."""
        self._stop()
        with self._lock:
            self._end()
        self._finalizer()

    def __enter__(self) -> Worker:
        return self

    def __exit__(self, *raised: object) -> None:
        self.close()

    def _running(self) -> Session:
        if self._session is None:
            self._session = open_session(Place(self.folder, self._readable), self.limits, self._kind)
            self._held.session = self._session
        return self._session

    def _stop(self) -> None:
        if (session := self._session) is not None:
            session.closing.set()

    def _end(self) -> None:
        if self._session is not None:
            self._session.close()
            self._session = self._held.session = None

    def _ask(self, request: dict[str, Any], seconds: float | None, cancelled: threading.Event | None) -> RunResult:
        with self._lock:
            before = snapshot(self.folder)
            session, fresh = self._running(), self._lost
            self._lost = False
            try:
                done = session.exchange(request, seconds or self.limits.seconds, cancelled)
            except BaseException:
                self._end()  # half a talk can not be continued
                self._lost = True
                raise
            if done.dead:
                self._end()
                self._lost = True
            changed = tuple(name for name, state in snapshot(self.folder).items() if before.get(name) != state)
            return _result(done, session, fresh, changed)


class _Held:
    """What must not outlive a worker that nobody closed."""

    session: Session | None = None

    def end(self, maker: int, folder: Path | None) -> None:
        if os.getpid() != maker:  # a copy of the process: it is not ours to end
            return
        if self.session is not None:
            self.session.close()
        if folder is not None:
            remove_tree(folder)


def run_command(
    argv: Sequence[str], folder: Path | None = None, limits: Limits | None = None, seconds: float | None = None
) -> RunResult:
    """Run one program in a sandbox of its own."""
    with Worker(folder, limits) as worker:
        return worker.command(argv, seconds)


def snapshot(folder: Path) -> dict[str, tuple[int, int]]:
    """Size and time of the files in a folder and below it, by path from it; no link is followed.

    Caches of Python and hidden folders are left out, and so is what is deeper or more than anybody would look at.
    """
    found: dict[str, tuple[int, int]] = {}
    _look(folder, "", found)
    return found


def _look(folder: Path | str, below: str, found: dict[str, tuple[int, int]]) -> None:
    with os.scandir(folder) as entries:
        for entry in entries:
            if len(found) >= MOST_SEEN:
                return
            if entry.is_file(follow_symlinks=False):
                state = entry.stat(follow_symlinks=False)
                found[below + entry.name] = (state.st_size, state.st_mtime_ns)
            elif entry.is_dir(follow_symlinks=False) and _is_looked_into(entry.name, below):
                _look(entry.path, f"{below}{entry.name}/", found)


def _is_looked_into(name: str, below: str) -> bool:
    return name != "__pycache__" and not name.startswith(".") and below.count("/") < DEEPEST


def _result(done: Exchange, session: Session, fresh: bool, changed: tuple[str, ...]) -> RunResult:
    reply = done.reply or {}
    names = reply.get("figures") or []
    pictures = tuple(
        Artifact(str(name), "image/png", data) for name, data in zip(names, done.blobs, strict=False) if _is_png(data)
    )
    status = reply.get("status")
    return RunResult(
        text=done.output,
        error=_error(done),
        attachments=pictures,
        seconds=done.seconds,
        rung=NAMES[session.kind],
        timed_out=done.timed_out,
        status=status if isinstance(status, int) else None,
        fresh=fresh,
        files=changed,
    )


def _error(done: Exchange) -> str | None:
    if done.dead:
        why = f"{done.stopped}; the process was killed" if done.stopped else f"the process died ({done.dead})"
        return f"{why}: {LOST}"
    if done.stopped:
        return f"{done.stopped}; {KEPT}"
    error = (done.reply or {}).get("error")
    return None if error is None else str(error)


def _is_png(data: bytes) -> bool:
    return data.startswith(b"\x89PNG\r\n\x1a\n")


def _folder(folder: Path) -> Path:
    path = Path(os.path.realpath(folder))
    if not path.is_dir():
        raise SansiError(f"{folder} is no folder; a sandbox needs one to work in", param="folder")
    if str(path) == "/" or path.parts[1] in OF_THE_SYSTEM:
        raise SansiError(f"{path} belongs to the system and is not given to a sandbox; name another", param="folder")
    return path
