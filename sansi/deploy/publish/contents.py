"""What goes up, and what stays behind and why. Needs no torch."""

from __future__ import annotations

import fnmatch
import os
import stat
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from sansi.base.errors import SansiError
from sansi.base.marker import MARKER
from sansi.deploy.receipt import receipt_path
from sansi.model.formats.gguf.file import is_gguf, split_files

CARD = "README.md"
_DEBRIS = ("*.incomplete", "*.tmp", "*.lock", "*.swp", "*~", "Thumbs.db", "desktop.ini", "events.out.tfevents.*")
_DEBRIS_FOLDERS = ("__pycache__",)


@dataclass(frozen=True)
class PublishedFile:
    """One file of the repository."""

    name: str
    """Its path there."""
    path: Path
    size: int
    """Bytes."""


@dataclass(frozen=True)
class LeftOut:
    """A file that stays behind."""

    name: str
    why: str


@dataclass(frozen=True)
class Contents:
    """A model's files as they lie on the disk, without its card where that is made anew."""

    source: Path
    """The folder or the file that was given."""
    files: tuple[PublishedFile, ...]
    left_out: tuple[LeftOut, ...] = ()

    def file(self, name: str) -> PublishedFile | None:
        return next((file for file in self.files if file.name == name), None)

    def named(self, *endings: str) -> list[PublishedFile]:
        """The files with one of these endings, in any case."""
        return [file for file in self.files if file.name.lower().endswith(endings)]

    @property
    def size(self) -> int:
        return sum(file.size for file in self.files)


def contents_of(source: Path, exclude: Sequence[str] = ()) -> Contents:
    """The files of a model folder, or of a GGUF file: all its parts, and the receipt of its export.

    exclude: patterns of names that stay behind, as a shell writes them; a name alone means it in every folder.
    Raises SansiError where there is nothing to publish, and for a pattern that no file has.
    """
    if source.is_dir():
        return _of_folder(source, exclude)
    if not source.is_file():
        raise SansiError(f"{source}: no such folder or file; give a model folder or a GGUF file", param="model")
    if not is_gguf(source):
        raise SansiError(
            f"{source} is a file, and no GGUF; give the folder that it is in, with config.json beside the weights",
            param="model",
        )
    if exclude:
        raise SansiError(f"--exclude {exclude[0]}: {source} is one file, and nothing else goes up", param="exclude")
    paths = [*split_files(source), *(path for path in [receipt_path(source)] if path.is_file())]
    files = [PublishedFile(path.name, path, path.stat().st_size) for path in paths]
    return Contents(source, tuple(files))


def _of_folder(folder: Path, exclude: Sequence[str]) -> Contents:
    files: list[PublishedFile] = []
    left: list[LeftOut] = []
    unused = set(exclude)
    for path in _below(folder):
        name = path.relative_to(folder).as_posix()
        pattern = next((one for one in exclude if _matches(name, one)), None)
        unused.discard(pattern or "")
        if why := f"--exclude {pattern}" if pattern else _why_left(path, name):
            left.append(LeftOut(name, why))
        else:
            files.append(PublishedFile(name, path, path.stat().st_size))
    if unused:
        raise SansiError(f"--exclude {min(unused)}: {folder} has no such file; check the pattern", param="exclude")
    if not files:
        raise SansiError(f"{folder} has no files to publish; give a model folder", param="model")
    return Contents(folder, tuple(files), tuple(left))


def _below(folder: Path) -> Iterator[Path]:
    """Files, links and what is neither; folders that nobody publishes are not entered, links to folders neither."""
    for root, folders, files in os.walk(folder):
        here = Path(root)
        links = [name for name in folders if (here / name).is_symlink()]
        hidden = [name for name in folders if name.startswith(".") or name in _DEBRIS_FOLDERS]
        for name in sorted({*files, *links, *hidden}):
            yield here / name
        folders[:] = sorted(set(folders) - {*links, *hidden})


def _why_left(path: Path, name: str) -> str | None:
    """Why a file is never published; None: it is."""
    if path.name == MARKER:
        return "Sansi's note of which files it wrote"
    if path.name.startswith("."):
        return "hidden"
    if path.name in _DEBRIS_FOLDERS or any(fnmatch.fnmatch(path.name, pattern) for pattern in _DEBRIS):
        return "left by a program at work"
    if path.is_dir():
        return "a link to a folder"
    if not path.exists():
        raise SansiError(f"{name}: a link that leads nowhere; fetch what it stands for, or delete it")
    if not stat.S_ISREG(path.stat().st_mode):
        return "no file, but a device or a pipe"
    return None


def _matches(name: str, pattern: str) -> bool:
    plain = pattern.rstrip("/")
    parts = [name, name.rpartition("/")[2], *_parents(name)]
    return any(fnmatch.fnmatch(part, plain) for part in parts)


def _parents(name: str) -> Iterable[str]:
    pieces = name.split("/")[:-1]
    return ["/".join(pieces[: n + 1]) for n in range(len(pieces))]
