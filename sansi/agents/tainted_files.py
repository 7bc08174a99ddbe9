"""Files that hold text of strangers: which they are is remembered from one conversation to the next.

A file is known by its real path, and its content by a digest, so that a copy or a renamed file is known too. What was
begun and not ended (the program was killed meanwhile) is known by the time: the files of its folder that changed since.
"""

from __future__ import annotations

import hashlib
import os
import sqlite3
import stat
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from sansi.base import SansiError
from sansi.base.state import state_folder

FILE = "strangers.sqlite"
BUSY_SECONDS = 10.0  # that another process may hold the record
SHORTEST = 8  # bytes of a content that is known wherever it stands; shorter ones stand anywhere by chance
LARGEST = 16 * 2**20  # bytes of a file whose content is looked at
MOST_ENTRIES = 100_000  # of a folder that are looked at
MOST_CHANGED = 2000  # files that are noted one by one; beyond, it is their folder
MOST_COMPARED = 16  # files of the same size as a new one
MOST_BYTES = 256 * 2**20  # of contents that are looked at for one call
SLACK = 20_000_000  # nanoseconds by which the clock of a file system may be behind
_SCHEMA = """
CREATE TABLE IF NOT EXISTS files (
    path TEXT PRIMARY KEY, tree INTEGER NOT NULL, origin TEXT NOT NULL, noted REAL NOT NULL);
CREATE TABLE IF NOT EXISTS contents (digest TEXT PRIMARY KEY, size INTEGER NOT NULL, origin TEXT NOT NULL);
CREATE INDEX IF NOT EXISTS contents_size ON contents (size);
CREATE TABLE IF NOT EXISTS begun (
    id INTEGER PRIMARY KEY, folder TEXT NOT NULL, since INTEGER NOT NULL, pid INTEGER NOT NULL, origin TEXT NOT NULL);
"""
State = tuple[int, int, int, int]
"""Size, time of change, time of the last change of anything, number."""
HIDDEN: State = (-1, -1, -1, -1)
"""Of a folder that nobody may look into."""


@dataclass(frozen=True)
class TaintedFile:
    """A file, or a folder with all that is in it, that holds text of strangers."""

    path: Path
    origin: str
    """Whose text it is: what was being done when it was written."""
    noted: float
    """Seconds since 1970."""
    tree: bool = False
    """A folder, with all that is in it."""


class TaintedFiles:
    """The record, in a file of the user's state folder, for threads and processes. path: another place for it.

    Methods that look treat what can not be looked up as text of strangers; those that note raise SansiError.
    """

    def __init__(self, path: Path | None = None):
        self._path = path

    @property
    def path(self) -> Path:
        return self._path or state_folder() / FILE

    # --- looking -----------------------------------------------------------------------------------------------------

    def origin_of(self, *paths: Path, data: bytes | None = None) -> str | None:
        """Whose text the first of these files holds that is not the user's own; None: all are. data: the content, which
        may be known from elsewhere."""
        try:
            if not self._is_there():
                return None
            with self._opened() as base:
                self._settle(base)
                for real in map(os.path.realpath, paths):
                    if (known := _noted(base, real) or _begun(base, Path(real))) is not None:
                        return known
                return None if data is None else _known_content(base, data)
        except SansiError as error:
            return f"a file of which nobody knows ({error})"

    def origin_below(self, *folders: Path) -> str | None:
        """Whose text some file in these folders holds; None: all of them are the user's own.

        Of a folder with very many files only the first ones are compared with contents that are known from elsewhere.
        """
        try:
            if not self._is_there():
                return None
            with self._opened() as base:
                self._settle(base)
                return next((o for folder in folders if (o := _below(base, os.path.realpath(folder)))), None)
        except SansiError as error:
            return f"files of which nobody knows ({error})"

    def all(self) -> list[TaintedFile]:
        """The files that are noted and still there, by path. Raises SansiError where the record can not be read."""
        if not self._is_there():
            return []
        with self._opened() as base:
            self._settle(base)
            rows = base.execute("SELECT path, origin, noted, tree FROM files ORDER BY path").fetchall()
        return [TaintedFile(Path(p), o, at, bool(tree)) for p, o, at, tree in rows if os.path.lexists(p)]

    # --- noting ------------------------------------------------------------------------------------------------------

    def note(self, path: Path, origin: str, data: bytes | None = None) -> None:
        """A file holds text of strangers, from now on."""
        with self._opened() as base:
            _note(base, os.path.realpath(path), origin)
            if data is not None:
                _note_content(base, data, origin)

    def note_contents(self, contents: Iterable[bytes], origin: str) -> None:
        """Text of strangers that may be put into a file anywhere."""
        with self._opened() as base:
            for data in contents:
                _note_content(base, data, origin)

    def replaced(self, path: Path, data: bytes) -> None:
        """All of a file was written anew by somebody who had read no text of strangers."""
        if self._is_there():
            with self._opened() as base:
                if _known_content(base, data) is None:
                    base.execute("DELETE FROM files WHERE path = ? AND NOT tree", (os.path.realpath(path),))

    def begin(self, folders: Iterable[Path], origin: str) -> list[Begun]:
        """What runs from now on may write text of strangers into these folders; `end` says that it is over."""
        found = []
        for real in dict.fromkeys(map(os.path.realpath, folders)):
            before = snapshot(real)
            with self._opened() as base:
                row = (real, time.time_ns() - SLACK, os.getpid(), origin[:500])
                sql = "INSERT INTO begun (folder, since, pid, origin) VALUES (?, ?, ?, ?)"
                found.append(Begun(base.execute(sql, row).lastrowid or 0, real, origin, before))
        return found

    def end(self, begun: Iterable[Begun]) -> list[str]:
        """Note what has changed since `begin`; returns the folders that had too many changes to note each."""
        trees = []
        for each in begun:
            now = snapshot(each.folder)
            with self._opened() as base:
                changed: list[str] | None = None
                same: dict[str, State] = {}
                if each.before is not None and now is not None:
                    same = {name: state for name, state in now.items() if each.before.get(name) == state}
                    changed = [name for name in now if name not in same]
                if not _note_changed(base, each.folder, changed, each.origin, same):
                    trees.append(each.folder)
                base.execute("DELETE FROM begun WHERE id = ?", (each.id,))
        return trees

    def forget(self, path: Path) -> int:
        """The user says that a file, or all in a folder, is the user's own; how many notes that ends.

        Raises SansiError where there is nothing to forget."""
        real = os.path.realpath(path)
        if not self._is_there():
            return self._nothing(path)
        with self._opened() as base:
            self._settle(base)
            count = base.execute(f"DELETE FROM files WHERE path = ? OR {_INSIDE}", (real, *_inside(real))).rowcount
            for name in [real] if os.path.isfile(real) else (snapshot(real) or {}) if os.path.isdir(real) else []:
                if (data := _content(name)) is not None:
                    digest = hashlib.sha256(data).hexdigest()
                    count += base.execute("DELETE FROM contents WHERE digest = ?", (digest,)).rowcount
            left = _noted(base, real)
        if left is not None:
            raise SansiError(
                f"{path}: the folder that it is in counts as text of strangers ({left}); trust that folder"
            )
        return count or self._nothing(path)

    def _nothing(self, path: Path) -> int:
        raise SansiError(f"{path}: nothing is known of text of strangers in it, so it is trusted", param="path")

    # --- the record --------------------------------------------------------------------------------------------------

    def _is_there(self) -> bool:
        try:
            return self.path.stat().st_size > 0
        except FileNotFoundError:
            return False
        except OSError as error:
            raise SansiError(f"{self.path} can not be read: {error.strerror}") from error

    @contextmanager
    def _opened(self) -> Iterator[sqlite3.Connection]:
        try:
            if not self.path.exists():
                self.path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
                os.close(os.open(self.path, os.O_CREAT | os.O_RDWR, 0o600))
            with closing(sqlite3.connect(self.path, timeout=BUSY_SECONDS)) as base, base:
                base.executescript(_SCHEMA)
                yield base
        except (sqlite3.Error, OSError) as error:
            told = f"which files hold text of strangers can not be looked up or noted: {self.path}: {error}"
            raise SansiError(told, param="state") from error

    def _settle(self, base: sqlite3.Connection) -> None:
        """What was begun by a process that has gone: its changes are noted by their time."""
        rows = base.execute("SELECT id, folder, since, pid, origin FROM begun").fetchall()
        for id, folder, since, pid, origin in rows:
            if not _is_alive(pid):
                files = snapshot(folder)
                changed = None if files is None else [name for name, state in files.items() if state[2] >= since]
                _note_changed(base, folder, changed, origin)
                base.execute("DELETE FROM begun WHERE id = ?", (id,))


@dataclass(frozen=True)
class Begun:
    """Something that runs, and may write text of strangers into a folder."""

    id: int
    folder: str
    origin: str
    before: dict[str, State] | None
    """The files as they were; None: too many to be looked at."""


def snapshot(folder: str) -> dict[str, State] | None:
    """Size, times and number of all below a folder, by path; links are not followed. None: there are too many."""
    found: dict[str, State] = {}
    waiting = [folder]
    while waiting:
        inner = waiting.pop()
        try:
            entries = list(os.scandir(inner))
        except FileNotFoundError:  # gone meanwhile
            continue
        except OSError:  # nobody may look, for now
            found[inner] = HIDDEN
            continue
        for entry in entries:
            with suppress(OSError):
                state = entry.stat(follow_symlinks=False)
                if entry.is_dir(follow_symlinks=False):  # its times and size change with what is in it
                    waiting.append(entry.path)
                    found[entry.path] = (0, 0, 0, state.st_ino)
                else:
                    found[entry.path] = (state.st_size, state.st_mtime_ns, state.st_ctime_ns, state.st_ino)
        if len(found) > MOST_ENTRIES:
            return None
    return found


_INSIDE = "substr(path, 1, ?) = ?"


def _inside(folder: str) -> tuple[int, str]:
    start = folder.rstrip("/") + "/"
    return len(start), start


def _note(base: sqlite3.Connection, path: str, origin: str, tree: bool = False) -> None:
    sql = "INSERT OR REPLACE INTO files (path, tree, origin, noted) VALUES (?, ?, ?, ?)"
    base.execute(sql, (path, int(tree), origin[:500], time.time()))


def _note_content(base: sqlite3.Connection, data: bytes, origin: str) -> None:
    if len(data) >= SHORTEST:
        row = (hashlib.sha256(data).hexdigest(), len(data), origin[:500])
        base.execute("INSERT OR REPLACE INTO contents (digest, size, origin) VALUES (?, ?, ?)", row)


def _note_changed(
    base: sqlite3.Connection, folder: str, changed: list[str] | None, origin: str, same: Mapping[str, State] = {}
) -> bool:
    """Note files one by one, or, where they are too many, the folder; whether it was one by one. same: files that have
    not changed; a copy of one does not make its content somebody else's."""
    by_size: dict[int, list[str]] = {}
    for name, state in same.items():
        by_size.setdefault(state[0], []).append(name)
    if changed is None or len(changed) > MOST_CHANGED:
        common = folder if not changed else os.path.commonpath(changed)
        _note(base, common if os.path.isdir(common) else os.path.dirname(common), origin, tree=True)
        return False
    left = MOST_BYTES
    for name in changed:
        hidden = os.path.isdir(name) and not os.access(name, os.R_OK | os.X_OK)
        _note(base, name, origin, tree=hidden)
        data = _content(name) if left > 0 else None
        if data is not None:
            left -= len(data)
            if not any(_content(other) == data for other in by_size.get(len(data), ())[:MOST_COMPARED]):
                _note_content(base, data, origin)
    return True


def _noted(base: sqlite3.Connection, path: str) -> str | None:
    """By its own path, or a folder that it is in."""
    above = [path]
    while (parent := os.path.dirname(above[-1])) != above[-1]:
        above.append(parent)
    sql = f"SELECT origin FROM files WHERE path = ? OR (tree AND path IN ({', '.join('?' * len(above))})) LIMIT 1"
    row = base.execute(sql, (path, *above)).fetchone()
    return None if row is None else str(row[0])


def _begun(base: sqlite3.Connection, path: Path) -> str | None:
    """By what runs at this moment in a folder that it is in, and may have written it."""
    for folder, since, origin in base.execute("SELECT folder, since, origin FROM begun"):
        try:
            if path.is_relative_to(folder) and path.lstat().st_ctime_ns >= since:
                return str(origin)
        except OSError:
            continue
    return None


def _known_content(base: sqlite3.Connection, data: bytes) -> str | None:
    if len(data) < SHORTEST:
        return None
    digest = hashlib.sha256(data).hexdigest()
    row = base.execute("SELECT origin FROM contents WHERE digest = ?", (digest,)).fetchone()
    return None if row is None else str(row[0])


def _below(base: sqlite3.Connection, folder: str) -> str | None:
    if (known := _noted(base, folder)) is not None:
        return known
    for path, origin in base.execute(f"SELECT path, origin FROM files WHERE {_INSIDE}", _inside(folder)).fetchall():
        if os.path.lexists(path):
            return str(origin)
        base.execute("DELETE FROM files WHERE path = ?", (path,))  # its content is known still
    running = base.execute("SELECT origin FROM begun WHERE folder = ?", (folder,)).fetchone()
    return str(running[0]) if running is not None else _copied(base, folder)


def _copied(base: sqlite3.Connection, folder: str) -> str | None:
    """By contents that are known from elsewhere: a file that was copied or renamed."""
    sizes = {size for (size,) in base.execute("SELECT DISTINCT size FROM contents")}
    left = MOST_BYTES
    for name, state in (snapshot(folder) or {}).items() if sizes else ():
        if state[0] in sizes and left > 0 and (data := _content(name)) is not None:
            left -= len(data)
            if (origin := _known_content(base, data)) is not None:
                return origin
    return None


def _content(path: str) -> bytes | None:
    """Of an ordinary file that is not too large."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return None
    state = os.fstat(descriptor)
    if not stat.S_ISREG(state.st_mode) or state.st_size > LARGEST:
        os.close(descriptor)
        return None
    with open(descriptor, "rb") as file:
        return file.read(LARGEST)


def _is_alive(pid: int) -> bool:
    if pid == os.getpid():
        return True
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True
    return True
