"""Unpack archives: of each the files that are read, and no other, so that gigabytes of manuals take little room."""

from __future__ import annotations

import io
import os
import re
import sysconfig
import tarfile
import zipfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from sansi.base.errors import SansiError
from sansi.base.files import scratch_folder
from sansi.data.packages.fetch import Fetched

Wanted = Callable[[str], bool]
_AR, _AR_HEAD = b"!<arch>\n", 60


def unpack_package(fetched: Fetched, folder: Path, globs: Iterable[str] = ()) -> Path:
    """The files of a package that match, in `folder`, which is there whole or not at all, and is left as it is where it
    is there. The standard library is read where it lies.

    globs: as `Path.glob` has them; none: all files. Raises SansiError for an archive that can not be unpacked.
    """
    if not fetched.archives:
        return Path(sysconfig.get_path("stdlib"))
    folder = Path(folder)
    if not folder.is_dir():
        with scratch_folder(folder) as draft:
            (draft / "files").mkdir()
            for archive in fetched.archives:
                unpack(archive, draft / "files", matching(globs))
            os.replace(draft / "files", folder)
    return folder


def unpack(archive: Path, folder: Path, wanted: Wanted = lambda name: True) -> None:
    """Unpack the wanted files of a .tgz, .tar.*, .whl, .zip or .deb; links are left out, and members that would leave
    the folder refused."""
    try:
        if archive.suffix in (".whl", ".zip"):
            with zipfile.ZipFile(archive) as wheel:
                wheel.extractall(folder, [name for name in wheel.namelist() if wanted(name)])
        else:
            with _open_tar(archive) as tar:
                for member in tar:
                    if member.isreg() and wanted(member.name.removeprefix("./")):
                        tar.extract(member, folder, filter="data")
    except (tarfile.TarError, zipfile.BadZipFile, EOFError) as error:
        raise SansiError(f"{archive}: can not be unpacked ({error}); delete it, and it is fetched again") from error


@contextmanager
def _open_tar(archive: Path) -> Iterator[tarfile.TarFile]:
    if archive.suffix != ".deb":
        with tarfile.open(archive) as tar:
            yield tar
        return
    name, data = next((m for m in _ar_members(archive) if m[0].startswith("data.tar")), ("", b""))
    if not data or name.endswith(".zst"):
        raise tarfile.ReadError(f'no Debian package whose files Python can read ("{name}")')
    with tarfile.open(fileobj=io.BytesIO(data)) as tar:
        yield tar


def _ar_members(archive: Path) -> Iterator[tuple[str, bytes]]:
    """Names and contents of an archive of `ar`, which is what a .deb is: man page ar(5)."""
    with archive.open("rb") as file:
        if file.read(len(_AR)) != _AR:
            raise tarfile.ReadError("no Debian package")
        while len(head := file.read(_AR_HEAD)) == _AR_HEAD:
            name, size = head[:16].decode("latin-1").strip().rstrip("/"), head[48:58].decode("latin-1").strip()
            if not size.isdigit():
                raise tarfile.ReadError("a damaged Debian package")
            data = file.read(int(size))
            if len(data) < int(size):
                raise tarfile.ReadError("a Debian package that is cut off")
            file.seek(int(size) % 2, os.SEEK_CUR)
            yield name, data


def matching(globs: Iterable[str]) -> Wanted:
    """Whether a name inside an archive is one that `Path.glob` would find by one of these patterns."""
    patterns = [re.compile(_regex(pattern)) for pattern in globs]
    return lambda name: not patterns or any(pattern.fullmatch(name) for pattern in patterns)


def _regex(pattern: str) -> str:
    parts = re.split(r"(\*\*/|\*|\?|\[[^\]]+\])", pattern)
    special = {"**/": "(?:.*/)?", "*": "[^/]*", "?": "[^/]"}
    return "".join(special.get(part) or (part if part.startswith("[") else re.escape(part)) for part in parts)
