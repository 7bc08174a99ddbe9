"""Fetch a package with its registry's own client, check its digest, keep the archive.

A pin names a version and a digest. A registry may have dropped that version: Debian replaces what a security update
mends. The build then stops and says so, unless newer versions are allowed; then the one that the registry has is
taken, and version and digest are told, never in silence.
"""

from __future__ import annotations

import hashlib
import os
import platform
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from urllib.parse import unquote

from sansi.base.digests import file_sha256
from sansi.base.errors import SansiError
from sansi.base.files import scratch_folder
from sansi.data.packages.package import Package

FETCH_SECONDS = 600

Runner = Callable[[Sequence[str], Path], None]


@dataclass(frozen=True)
class Fetched:
    """The archives of a package, checked."""

    archives: tuple[Path, ...]  # none: the standard library, which is there
    version: str
    sha256: str | None  # of the archive; of several, of the list of their digests
    pinned: str  # the version that was asked for

    @property
    def is_newer(self) -> bool:
        """Whether another version than the pinned one was taken, because the registry has that one no more."""
        return bool(self.archives) and self.version != self.pinned


def run_command(command: Sequence[str], folder: Path) -> None:
    """Run a client in `folder`. Raises SansiError with the end of its output when it fails or is not installed."""
    if shutil.which(command[0]) is None:
        raise SansiError(f'"{command[0]}" is not installed')
    try:
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=FETCH_SECONDS, check=False)
    except subprocess.TimeoutExpired as error:
        raise SansiError(f"{command[0]} gave no answer in {FETCH_SECONDS} s") from error
    if done.returncode:
        raise SansiError(f"{' '.join(command[:2])}: {(done.stderr or done.stdout).strip()[-300:]}")


def fetch_package(package: Package, cache: Path, *, allow_newer: bool = False, run: Runner = run_command) -> Fetched:
    """The package's archive in `cache`, downloaded unless it is there already with the pinned digest.

    allow_newer: where the registry has the pinned version no more, take the one that it has.
    Raises SansiError that names the package and what to do when it can not be had.
    """
    if package.kind == "stdlib":
        return Fetched((), platform.python_version(), None, package.version)
    if not package.members:
        return _fetch_one(package, Path(cache) / package.kind, allow_newer, run)
    shelf = Path(cache) / package.kind
    members = [replace(package, package=name, sha256=digest, members=()) for name, digest in package.members]
    _download_together(members, shelf, run)
    all_of_it = [_fetch_one(member, shelf, allow_newer, run) for member in members]
    versions = dict.fromkeys(fetched.version for fetched in all_of_it)
    digests = "\n".join(fetched.sha256 or "" for fetched in all_of_it)
    archives = tuple(fetched.archives[0] for fetched in all_of_it)
    return Fetched(archives, ", ".join(versions), hashlib.sha256(digests.encode()).hexdigest(), package.version)


def _fetch_one(package: Package, shelf: Path, allow_newer: bool, run: Runner) -> Fetched:
    if (kept := _kept(package, shelf)) is not None:
        return kept
    try:
        return _download(package, shelf, package.version or None, run)
    except Unavailable as error:
        if not allow_newer or not package.version:
            raise error.told(package) from error
    try:
        return _download(package, shelf, None, run)
    except Unavailable as error:
        raise error.told(package) from error


def _download_together(packages: Sequence[Package], shelf: Path, run: Runner) -> None:
    """Debian's packages by one command, whose start takes a second. What it does not bring is asked for one by one,
    which tells what is wrong with it."""
    missing = [package for package in packages if package.kind == "deb" and _kept(package, shelf) is None]
    if not missing:
        return
    shelf.mkdir(parents=True, exist_ok=True)
    with scratch_folder(shelf / "download") as draft:
        try:
            run(["apt-get", "download", *(f"{package.package}={package.version}" for package in missing)], draft)
        except SansiError:
            return
        for package in missing:
            for file in draft.glob(f"{package.package}_*.deb"):
                if file_sha256(file) == package.sha256:
                    place = _place(package, shelf, package.version)
                    place.mkdir(exist_ok=True)
                    os.replace(file, place / file.name)


class Unavailable(Exception):
    """Why a registry did not give what it was asked for."""

    def told(self, package: Package) -> SansiError:
        remedy = {
            "npm": "install Node.js with npm and check the network",
            "deb": "on Debian 12 run `apt-get update`; elsewhere these packages can not be fetched",
            "pypi": "check the network and pip's configuration",
        }[package.kind]
        newer = "; if the registry has a newer version, `allow_newer = true` takes it" if package.kind == "deb" else ""
        return SansiError(
            f'source "{package.name}": {package.kind} package {package.package} {package.version}'.rstrip()
            + " can not be fetched "
            f"({self}); {remedy}{newer}, or name the sources to build from without it",
            param="sources",
        )


def _kept(package: Package, shelf: Path) -> Fetched | None:
    """What was downloaded before, if it is what the pin says."""
    for archive in sorted(_place(package, shelf, package.version).glob("[!.]*")):
        digest = file_sha256(archive)
        if package.sha256 in (None, digest):
            version = package.version or version_of(archive.name, package)
            return Fetched((archive,), version, digest, version)
    return None


def _place(package: Package, shelf: Path, version: str) -> Path:
    return shelf / re.sub(r"[^\w.+@~-]", "_", f"{package.package}-{version or 'any'}")


def _download(package: Package, shelf: Path, version: str | None, run: Runner) -> Fetched:
    """Downloaded beside its place and moved there once checked: an interrupted download leaves nothing behind.

    version None: whatever the registry has.
    """
    shelf.mkdir(parents=True, exist_ok=True)
    with scratch_folder(shelf / "download") as draft:
        try:
            run(download_command(package, version), draft)
        except SansiError as error:
            raise Unavailable(str(error)) from error
        files = [path for path in draft.iterdir() if path.is_file()]
        if len(files) != 1:
            raise Unavailable(f"expected one archive, found {sorted(path.name for path in files)}")
        digest = file_sha256(files[0])
        if version is not None and package.sha256 not in (None, digest):
            # Of the very version: no newer one heals that.
            raise Unavailable(f"the download's sha256 is {digest}, the pin {package.sha256}").told(package)
        found = version or version_of(files[0].name, package)
        place = _place(package, shelf, found if package.version else "")
        place.mkdir(exist_ok=True)
        os.replace(files[0], place / files[0].name)
    return Fetched((place / files[0].name,), found, digest, package.version or found)


def version_of(archive: str, package: Package) -> str:
    """The version in the name of an archive, as its registry's client writes it."""
    stem = re.sub(r"\.(tgz|whl|zip|deb|tar\.\w+)$", "", unquote(archive))
    if package.kind == "deb":
        return stem.split("_")[1]
    if package.kind == "npm":
        return stem.removeprefix(package.package.lstrip("@").replace("/", "-") + "-")
    return stem[len(package.package) + 1 :].split("-")[0]


def download_command(package: Package, version: str | None) -> list[str]:
    """The client's command that puts the archive into the working folder."""
    if package.kind == "npm":
        return ["npm", "pack", "--silent", f"{package.package}@{version or 'latest'}"]
    if package.kind == "deb":
        return ["apt-get", "download", f"{package.package}={version}" if version else package.package]
    pip = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--ignore-requires-python"]
    return [*pip, f"{package.package}=={version}" if version else package.package]
