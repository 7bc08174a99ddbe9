"""Files below one folder, whatever a path says and whoever changes links meanwhile: the kernel does not leave it.

Where there is openat2 (Linux 5.6), links that stay inside are followed; elsewhere a path is walked step by step, and a
link in it is refused.
"""

from __future__ import annotations

import ctypes
import errno
import os
import secrets
import stat
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from sansi.base.errors import SansiError

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

OPENAT2 = 437
RESOLVE_NO_MAGICLINKS, RESOLVE_BENEATH = 0x02, 0x08
LARGEST = 16 * 2**20  # bytes of a file that is read or written whole
MOST_WALKED = 10_000  # names below a folder
FOLDER = os.O_DIRECTORY | os.O_RDONLY | os.O_CLOEXEC
ASIDE = os.O_CLOEXEC | os.O_NONBLOCK | getattr(os, "O_NOCTTY", 0)  # a pipe or a device must not hold us up


class _How(ctypes.Structure):
    _fields_ = (("flags", ctypes.c_uint64), ("mode", ctypes.c_uint64), ("resolve", ctypes.c_uint64))


@dataclass(frozen=True)
class Entry:
    """One name in a folder."""

    name: str
    kind: str
    """ "file", "folder", "link" or "other"."""
    size: int


class RootedFolder:
    """Every operation takes a path relative to the folder. Raises SansiError, which names the path, for whatever leads
    out of it, is not there, or is not a file. step_by_step: do without openat2."""

    def __init__(self, root: Path, step_by_step: bool = False):
        self.root = Path(os.path.realpath(root))
        if not self.root.is_dir():
            raise SansiError(f"{root} is no folder; give one that is there", param="root")
        self._step_by_step = step_by_step or not _has_openat2()

    def read(self, path: str) -> bytes:
        """The whole file."""
        with self._opened(path, os.O_RDONLY) as descriptor:
            size = os.fstat(descriptor).st_size
            if size > LARGEST:
                raise SansiError(f'"{path}" has {size:,} bytes; at most {LARGEST:,} are read')
            with os.fdopen(os.dup(descriptor), "rb") as file:
                return file.read(LARGEST)

    def write(self, path: str, data: bytes) -> None:
        """Put a file in place, whole or not at all; folders above it are made."""
        if len(data) > LARGEST:
            raise SansiError(f'"{path}" would have {len(data):,} bytes; at most {LARGEST:,} are written')
        above, name = os.path.split(self.relative(path))
        if not name:
            raise SansiError(f'"{path}" is the folder itself; name a file in it')
        mode = self._mode_of(path)
        with self._folder_made(above, path) as folder:
            draft = f".{name[:200]}.{secrets.token_hex(4)}"
            try:
                descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o666, dir_fd=folder)
                with os.fdopen(descriptor, "wb") as file:
                    file.write(data)
                    if mode is not None:
                        os.fchmod(descriptor, mode)
                os.replace(draft, name, src_dir_fd=folder, dst_dir_fd=folder)
            except OSError as error:
                with suppress(OSError):
                    os.unlink(draft, dir_fd=folder)
                raise _told(path, error) from error

    def entries(self, path: str = ".") -> list[Entry]:
        """What is in a folder, by name."""
        try:
            descriptor = self._open(path, FOLDER)
        except OSError as error:
            raise _told(path, error) from error
        try:
            with os.scandir(descriptor) as found:
                return sorted((_entry(each) for each in found), key=lambda each: each.name)
        finally:
            os.close(descriptor)

    def exists(self, path: str) -> bool:
        """Whether there is a file that can be read."""
        try:
            with self._opened(path, os.O_RDONLY):
                return True
        except SansiError:
            return False

    def walk(self, path: str = ".", most: int = MOST_WALKED, skip: Collection[str] = ()) -> Iterator[tuple[str, Entry]]:
        """Paths and entries below a folder, links not followed, at most so many. skip: names of folders that are not
        entered, nor told. Of folders that may not be read the first alone is an error."""
        first = self.relative(path)
        waiting = [first]
        while waiting and most > 0:
            folder = waiting.pop()
            try:
                entries = self.entries(folder or ".")
            except SansiError:  # may not be read, or gone since
                if folder == first:
                    raise
                continue
            for entry in entries:
                if entry.kind == "folder" and entry.name in skip:
                    continue
                name = os.path.join(folder, entry.name)
                yield name, entry
                most -= 1
                if most <= 0:
                    return
                if entry.kind == "folder":
                    waiting.append(name)

    def relative(self, path: str) -> str:
        """The path below the folder, "" for the folder. One that names the folder in full is taken too."""
        try:
            if b"\0" in os.fsencode(path):
                raise SansiError("a path can not hold a zero character")
        except UnicodeEncodeError as error:
            raise SansiError(f"{path!a} is no path: it can not be encoded") from error
        full = os.path.normpath(os.path.join(self.root, path))
        if full != str(self.root) and not full.startswith(str(self.root).rstrip("/") + "/"):
            raise SansiError(f'"{path}" leads out of the folder {self.root}; give a path inside it')
        return os.path.relpath(full, self.root) if full != str(self.root) else ""

    @contextmanager
    def _opened(self, path: str, flags: int) -> Iterator[int]:
        try:
            descriptor = self._open(path, flags | ASIDE)
        except OSError as error:
            raise _told(path, error) from error
        try:
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                what = "a folder" if stat.S_ISDIR(os.fstat(descriptor).st_mode) else "no ordinary file"
                raise SansiError(f'"{path}" is {what}')
            yield descriptor
        finally:
            os.close(descriptor)

    def _open(self, path: str, flags: int) -> int:
        root = os.open(self.root, FOLDER)
        try:
            name = self.relative(path) or "."
            return _walk(root, name, flags) if self._step_by_step else _openat2(root, name, flags)
        finally:
            os.close(root)

    @contextmanager
    def _folder_made(self, folder: str, path: str) -> Iterator[int]:
        """An open folder below the root, made with those above it where it is missing."""
        try:
            made = ""
            for part in [part for part in folder.split("/") if part]:
                with self._kept(made or ".") as above, suppress(FileExistsError):
                    os.mkdir(part, dir_fd=above)
                made = os.path.join(made, part)
            descriptor = self._open(folder or ".", FOLDER)
        except OSError as error:
            raise _told(path, error) from error
        try:
            yield descriptor
        finally:
            os.close(descriptor)

    @contextmanager
    def _kept(self, folder: str) -> Iterator[int]:
        descriptor = self._open(folder, FOLDER)
        try:
            yield descriptor
        finally:
            os.close(descriptor)

    def _mode_of(self, path: str) -> int | None:
        """A file that is replaced stays as readable and executable as it was."""
        try:
            with self._opened(path, os.O_RDONLY) as descriptor:
                return stat.S_IMODE(os.fstat(descriptor).st_mode) & 0o777
        except SansiError:
            return None


def _openat2(root: int, path: str, flags: int) -> int:
    how = _How(flags | os.O_CLOEXEC, 0, RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS)
    size = ctypes.c_size_t(ctypes.sizeof(how))
    descriptor = _libc().syscall(OPENAT2, root, os.fsencode(path), ctypes.byref(how), size)
    if descriptor < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), path)
    return int(descriptor)


def _walk(root: int, path: str, flags: int) -> int:
    """Folder by folder; a link is not followed."""
    *above, last = [part for part in path.split("/") if part not in ("", ".")] or ["."]
    folder = os.dup(root)
    try:
        for part in above:
            inner = os.open(part, FOLDER | os.O_NOFOLLOW, dir_fd=folder)
            os.close(folder)
            folder = inner
        return os.open(last, flags | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=folder)
    finally:
        os.close(folder)


def _entry(found: os.DirEntry[str]) -> Entry:
    state = found.stat(follow_symlinks=False)
    kinds = ((stat.S_ISREG, "file"), (stat.S_ISDIR, "folder"), (stat.S_ISLNK, "link"))
    kind = next((kind for test, kind in kinds if test(state.st_mode)), "other")
    return Entry(found.name, kind, state.st_size if kind == "file" else 0)


def _told(path: str, error: OSError) -> SansiError:
    if error.errno in (errno.EXDEV, errno.ELOOP):
        return SansiError(f'"{path}" is a link that leads out of the folder, or one that is not followed')
    if error.errno == errno.ENOENT:
        return SansiError(f'"{path}" is not there')
    if error.errno == errno.ENOTDIR:
        return SansiError(f'"{path}": a file stands where a folder should be')
    if error.errno == errno.EISDIR:
        return SansiError(f'"{path}" is a folder')
    return SansiError(f'"{path}" can not be used ({error.strerror})')


@cache
def _libc() -> ctypes.CDLL:
    return ctypes.CDLL(None, use_errno=True)


@cache
def _has_openat2() -> bool:
    """Not on other systems, in old kernels, nor where a container forbids what it does not know."""
    if not hasattr(os, "O_PATH"):
        return False
    try:
        os.close(_openat2(-100, ".", FOLDER))
    except OSError as error:
        return error.errno not in (errno.ENOSYS, errno.EPERM)
    return True
