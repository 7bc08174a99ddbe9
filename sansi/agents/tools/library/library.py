"""The files of folders as an index that follows them: what is new, changed or gone is so at the next search."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from sansi.agents.context import nobody
from sansi.agents.tools.library.embeddings import Embeddings
from sansi.agents.tools.library.index import Found, Index
from sansi.base.errors import SansiError
from sansi.base.words import count as counted
from sansi.documents import Document, Limits, read_document

LEFT_OUT = frozenset(["node_modules", "__pycache__", "venv", "site-packages", "build", "dist", "target"])
MOST_FILES, MOST_BYTES = 5000, 512 * 2**20


@dataclass
class Library:
    """Files that are searched.

    sources: files and folders; hidden files, and what programs make (`node_modules`), are left out, and no link leads
    out of a folder. index: where it is kept; by default in memory.
    """

    sources: tuple[Path, ...]
    index: Index = field(default_factory=Index)
    embeddings: Embeddings | None = None
    limits: Limits = field(default_factory=Limits)
    notes: list[str] = field(default_factory=list)
    """What could not be read or was left out, a sentence each; anew with every `refresh`."""
    _unreadable: dict[str, tuple[str, str]] = field(default_factory=dict)

    @classmethod
    def of(cls, *sources: str | Path, **options: object) -> Library:
        """Raises SansiError for a source that is not there."""
        paths = tuple(Path(source).expanduser().resolve() for source in sources)
        if missing := [path for path in paths if not path.exists()]:
            raise SansiError(f"{missing[0]} is not there", param="sources")
        return cls(paths, **options)  # type: ignore[arg-type]

    @property
    def names(self) -> list[str]:
        return list(self.index.states())

    def add(self, name: str, document: Document) -> None:
        """A document that is in no source."""
        self.index.add(name, document, state="given")

    def refresh(self, progress: Callable[[str], None] = nobody, stop: Callable[[], bool] = lambda: False) -> None:
        """Read what is new or changed, and forget what is gone. progress: told of each file that is read; stop: asked
        before each."""
        self.notes = []
        known, found = self.index.states(), dict(self._files())
        for name in [name for name, state in known.items() if name not in found and state != "given"]:
            self.index.remove(name)
        for name, path in found.items():
            if stop():
                return
            self._read(name, path, known.get(name), progress)

    def search(self, query: str, count: int = 5, files: Iterable[str] | None = None) -> list[Found]:
        """As `Index.search`; where the embeddings' server fails, by words alone, with a note."""
        if self.embeddings is not None:
            try:
                return self.index.search(query, count, files, self.embeddings)
            except SansiError as error:
                self.notes.append(f"searched by words alone, as {error}")
        return self.index.search(query, count, files)

    def close(self) -> None:
        self.index.close()

    def _read(self, name: str, path: Path, known: str | None, progress: Callable[[str], None]) -> None:
        try:
            stat = path.stat()
            state = f"{stat.st_mtime_ns}-{stat.st_size}"
            if known == state:
                return
            if self._unreadable.get(name, ("", ""))[0] != state:
                progress(f"reading {name}")
                self._unreadable.pop(name, None)
                self.index.add(name, read_document(_bytes(path, self.limits), name, limits=self.limits), state)
                return
        except SansiError as error:
            self._unreadable[name] = (state, str(error))
        except OSError as error:
            self.index.remove(name)
            self.notes.append(f"“{name}” can not be read: {error.strerror or error}")
            return
        self.index.remove(name)
        self.notes.append(self._unreadable[name][1])

    def _files(self) -> Iterator[tuple[str, Path]]:
        """Names and paths. A name is the path within its source, with the source's own name before it where there are
        several."""
        count = size = 0
        for source in self.sources:
            for path in [source] if source.is_file() else _walk(source):
                count += 1
                size += _size(path)
                if count > MOST_FILES or size > MOST_BYTES:
                    self.notes.append(f"searched is only the first part: {counted(count - 1, 'file')}")
                    return
                yield self._name(path, source), path

    def _name(self, path: Path, source: Path) -> str:
        inside = path.name if source.is_file() else path.relative_to(source).as_posix()
        return inside if len(self.sources) == 1 or source.is_file() else f"{source.name}/{inside}"


def _walk(folder: Path) -> Iterator[Path]:
    for root, folders, files in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith(".") and name not in LEFT_OUT)
        for name in sorted(files):
            path = Path(root, name)
            if not name.startswith(".") and path.is_file() and path.resolve().is_relative_to(folder):
                yield path


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0


def _bytes(path: Path, limits: Limits) -> bytes:
    with path.open("rb") as file:
        return file.read(limits.max_bytes + 1)
