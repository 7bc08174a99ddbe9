"""What a folder holds, as one digest: so that a changed input is noticed, and one that was only touched is not."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from sansi.base.digests import file_sha256
from sansi.base.errors import SansiError

# Records, diaries and pictures: what a later stage reads does not depend on them, and times stand in them.
NOT_CONTENT = frozenset(
    {
        *("stage.json", "metrics.jsonl", "report.md", "optimizer.safetensors", "trainer.json", "history.json"),
        *("data.json", "plots"),
    }
)


@dataclass(frozen=True)
class FileDigest:
    """A file's content, and how to see at a glance that it is still the same."""

    size: int
    mtime_ns: int
    sha256: str


@dataclass(frozen=True)
class Content:
    """The files of a folder that count, by their path in it."""

    files: dict[str, FileDigest]

    @property
    def digest(self) -> str:
        """One digest of all names and contents; neither times nor places are in it."""
        lines = [f"{name}\0{file.sha256}\n" for name, file in sorted(self.files.items())]
        return hashlib.sha256("".join(lines).encode()).hexdigest()

    def to_dict(self) -> dict[str, Any]:
        return {name: asdict(file) for name, file in self.files.items()}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Content:
        return cls({name: FileDigest(**file) for name, file in values.items()})

    def differences(self, other: Content) -> list[str]:
        """What `other` has otherwise, a few words for each file."""
        names = sorted(self.files.keys() | other.files.keys())
        return [difference for name in names if (difference := self._difference(name, other))]

    def _difference(self, name: str, other: Content) -> str:
        ours, theirs = self.files.get(name), other.files.get(name)
        if ours is None or theirs is None:
            return f"{name} is {'new' if ours is None else 'missing'}"
        return "" if ours.sha256 == theirs.sha256 else f"{name} has another content"


def read_content(path: Path) -> Content:
    """Digest the files of a folder, or one file. Raises SansiError where there is nothing."""
    files = {name: _digest(file) for name, file in _files(Path(path))}
    if not files:
        raise SansiError(f"{path}: there is nothing there that could be read")
    return Content(files)


def changes_since(path: Path, known: Content) -> list[str]:
    """What has become of the files of a folder since `known`; those that were put beside them do not count.

    Files with the same size and time are not read again.
    """
    files = {name: _digest(file, known.files[name]) for name, file in _files(Path(path)) if name in known.files}
    return known.differences(Content(files))


def _files(path: Path) -> Iterator[tuple[str, Path]]:
    if path.is_file():
        yield path.name, path
    for file in sorted(path.rglob("*")):
        parts = file.relative_to(path).parts
        hidden = any(part.startswith(".") or part in NOT_CONTENT for part in parts)
        if file.is_file() and not hidden and file.suffix != ".png":
            yield "/".join(parts), file


def _digest(file: Path, known: FileDigest | None = None) -> FileDigest:
    status = file.stat()
    if known and (known.size, known.mtime_ns) == (status.st_size, status.st_mtime_ns):
        return known
    return FileDigest(status.st_size, status.st_mtime_ns, file_sha256(file))
