"""Reading a large file so that nothing is read twice: a broken connection or a killed process is gone on from."""

from __future__ import annotations

import errno
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path

from sansi.base.digests import file_sha256
from sansi.base.errors import SansiError
from sansi.model.hub.repository import Report

PATIENCE = (0.5, 1.0, 2.0, 4.0, 8.0)
"""Seconds before the next try, while none brings anything."""


class Broken(Exception):
    """The connection broke, or the server was busy: a new request may go on."""


@dataclass(frozen=True)
class Stream:
    """An answer that is being read."""

    first: int
    """Where in the file its first byte belongs; 0 from a server that knows no ranges."""
    pieces: Iterable[bytes]


Open = Callable[[int], AbstractContextManager[Stream]]
"""From the byte to begin with to the answer. It, and reading from it, raises Broken for what a new try may mend."""


def read_rest(half: Path, size: int, opened_at: Open, report: Report, stop: threading.Event) -> None:
    """Append to `half` until it has `size` bytes, with new tries as long as some of them bring something.

    Raises the `__cause__` of the last Broken when PATIENCE is at its end, ConnectionError if the answers just end.
    """
    if half.exists() and half.stat().st_size > size:
        half.unlink()
    have = _size(half)
    report(have)
    tries = 0
    while have < size and not stop.is_set():
        problem: BaseException = ConnectionError("its answer ends too early")
        try:
            _read_some(half, opened_at, have, report, stop)
        except Broken as error:
            problem = error.__cause__ or error
        before, have = have, _size(half)
        tries = 0 if have > before else tries + 1
        if tries > len(PATIENCE):
            raise problem from None
        if have < size:
            stop.wait(PATIENCE[max(tries - 1, 0)])


def _read_some(half: Path, opened_at: Open, have: int, report: Report, stop: threading.Event) -> None:
    with opened_at(have) as stream, half.open("ab") as out:
        if stream.first != have:
            out.truncate(0)
            report(-have)
        for piece in stream.pieces:
            if stop.is_set():
                return
            out.write(piece)
            report(len(piece))


def check_digest(path: Path, sha256: str, what: str, endpoint: str) -> None:
    """Delete the file and raise SansiError unless its content is what the hub says."""
    if file_sha256(path) == sha256:
        return
    path.unlink()
    raise wrong_bytes(what, endpoint)


def wrong_bytes(what: str, endpoint: str) -> SansiError:
    """The error for a file whose digest is not the hub's."""
    todo = f"it was deleted: start again; if it comes wrong again, {endpoint} or a proxy on the way is broken"
    return SansiError(f"{what} came with other bytes than the hub's digest says; {todo}")


@contextmanager
def disk_explained(cache: Path, variable: str) -> Iterator[None]:
    """Say what to do where the cache can not be written. variable: what moves it elsewhere."""
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            todo = f"make room, or set {variable} to a folder on another disk, and start again: what came is kept"
            raise SansiError(f"the disk is full at {cache}; {todo}") from error
        if error.errno in (errno.EACCES, errno.EROFS, errno.EPERM):
            todo = f"set {variable} to a folder that you may write to"
            raise SansiError(f"{cache} can not be written ({error.strerror}); {todo}") from error
        raise


def _size(file: Path) -> int:
    return file.stat().st_size if file.exists() else 0
