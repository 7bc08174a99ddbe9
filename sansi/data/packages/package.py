"""What a package of text is: where it comes from, which of its files are read, and by what.

Its input is cut into parts of some megabytes, always in the same way, so that work goes on after a kill and is shared
among processes. A part is small and picklable: paths and the name of a function.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from sansi.base.errors import SansiError
from sansi.data.parts import PART_BYTES, Records

Registry = Literal["npm", "deb", "pypi", "stdlib"]
PACKED = 4  # times its size that a compressed text has, about


@dataclass(frozen=True)
class PackagePart:
    """Some files of an unpacked package, or one piece of one file, and the function that reads them."""

    name: str
    size: int  # bytes, of a compressed file unpacked, about
    root: Path
    paths: tuple[str, ...]  # relative to `root`
    read: Callable[[PackagePart], Records]
    piece: tuple[int, int] = (0, 1)  # (1, 4): the second quarter of what is in the files

    def records(self) -> Records:
        return self.read(self)

    @property
    def files(self) -> Iterator[Path]:
        return (self.root / path for path in self.paths)

    def share(self, count: int) -> range:
        """Of `count` things in the files, those of this piece."""
        number, pieces = self.piece
        return range(count * number // pieces, count * (number + 1) // pieces)


@dataclass(frozen=True)
class Package:
    """A package of a public registry, pinned, and how text is read from it."""

    name: str  # of the source; used in document ids and file names
    kind: Registry  # which client fetches it
    package: str
    version: str  # exact pin; of "stdlib", what runs
    sha256: str | None  # of the archive; None: of "stdlib", and of what a user names without a digest
    licence: str  # of what does not state its own
    read: Callable[[PackagePart], Records]  # a function of a module, so that other processes find it
    globs: tuple[str, ...] = ()  # the files that are read; none: `read` finds them
    without: frozenset[str] = frozenset()  # names of files and folders that are left out
    together: Callable[[Path], str] | None = None  # path below the root -> key; files of one key are never parted
    members: tuple[tuple[str, str], ...] = ()  # of a source in several packages: name and digest of each
    pieces: int = 1  # into which each file is cut: what is large and in one file
    min_bytes: int = 200  # shorter documents are dropped
    limit_bytes: int | None = None  # of text kept, spread evenly over the source
    default: bool = False  # part of a corpus for which no sources are named

    def parts(self, root: Path) -> list[PackagePart]:
        """The pieces of the unpacked package in `root`. Raises SansiError where a file that it must have is missing."""
        root = Path(root)
        if not self.globs:
            return [PackagePart("all", 0, root, (), self.read)]
        found = find_files(root, self.globs, self.without)
        groups = _groups(root, found, self.together)
        if self.pieces == 1:
            return [_part(group, number, root, self.read) for number, group in enumerate(_filled(groups))]
        return [
            PackagePart(f"{path.relative_to(root)} {n + 1}/{self.pieces}", unpacked_size(path) // self.pieces, root,
                        (path.relative_to(root).as_posix(),), self.read, (n, self.pieces))
            for path in found
            for n in range(self.pieces)
        ]  # fmt: skip


def find_files(root: Path, globs: Iterable[str], without: frozenset[str] = frozenset()) -> list[Path]:
    """The files that match, in the order of their paths. Raises SansiError for a pattern that no file matches."""
    found: set[Path] = set()
    for pattern in globs:
        matching = {path for path in root.glob(pattern) if path.is_file() and not path.is_symlink()}
        if not matching:
            raise SansiError(f'no file matches "{pattern}" in {root}; the package is not the pinned one')
        found |= matching
    return [path for path in sorted(found) if not without & set(path.relative_to(root).parts)]


def unpacked_size(path: Path) -> int:
    return path.stat().st_size * (PACKED if path.suffix in (".gz", ".dz", ".xz") else 1)


def _groups(root: Path, files: list[Path], together: Callable[[Path], str] | None) -> list[list[Path]]:
    if together is None:
        return [[path] for path in files]
    groups: dict[str, list[Path]] = {}
    for path in files:
        groups.setdefault(together(path.relative_to(root)), []).append(path)
    return [groups[key] for key in sorted(groups)]


def _filled(groups: list[list[Path]]) -> Iterator[list[Path]]:
    """The groups one after the other, put together until they fill a part."""
    files: list[Path] = []
    size = 0
    for group in groups:
        files, size = files + group, size + sum(map(unpacked_size, group))
        if size >= PART_BYTES:
            yield files
            files, size = [], 0
    if files:
        yield files


def _part(files: list[Path], number: int, root: Path, read: Callable[[PackagePart], Records]) -> PackagePart:
    paths = tuple(path.relative_to(root).as_posix() for path in files)
    name = paths[0] if len(paths) == 1 else f"{number:05}: {paths[0]} and {len(paths) - 1} more"
    return PackagePart(name, sum(map(unpacked_size, files)), root, paths, read)
