"""Hidden drafts beside their target, and how those of dead processes are told from those of living ones.

A draft is `.NAME.MACHINE-RANDOM`, a folder or a file; its writer holds `.NAME.MACHINE-RANDOM.lock` until it is done.
The system frees a lock when its holder dies, however it dies, so a lock that can be taken is nobody's. Locks reach
other machines on most shared disks and not on all: what another machine wrote is left alone for a day on top of that.
"""

from __future__ import annotations

import hashlib
import os
import platform
import re
import secrets
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path

QUIET_SECONDS = 24 * 3600.0
_LONGEST_NAME = 150  # bytes; the file system's limit is 255, and a draft's name is longer than its target's
_LOCK = re.compile(r"\.(?P<name>.+)\.(?P<machine>[0-9a-f]{8})-[0-9a-f]{8}\.lock", re.DOTALL)


@contextmanager
def draft_beside(target: Path) -> Iterator[Path]:
    """A path for a draft that nobody else has; what lies there belongs to this process until the block is left."""
    lock, handle = _new_lock(target)
    draft = lock.with_name(lock.name.removesuffix(".lock"))
    try:
        yield draft
    finally:
        if not os.path.lexists(draft):  # else the next to come cleans it
            lock.unlink(missing_ok=True)
        os.close(handle)


def clean_drafts(folder: Path, settle: Callable[[Path], None], target: Path | None = None) -> None:
    """Hand the drafts of dead processes in `folder` (of `target` alone, if given) to `settle`, which removes them.

    What can not be read, locked or removed is left: cleaning never stops the work that comes after it.
    """
    with suppress(OSError):
        for entry in sorted(os.listdir(folder)):
            found = _LOCK.fullmatch(entry)
            if found and (target is None or found["name"] == key_of(target)):
                with suppress(OSError):
                    _clean(Path(folder) / entry, found, settle)


def key_of(target: Path) -> str:
    """The target's name as its drafts carry it: long names are cut, and told apart by a digest."""
    name = os.fsencode(target.name)
    if len(name) <= _LONGEST_NAME:
        return target.name
    digest = hashlib.sha256(name).hexdigest()[:8]
    return f"{name[: _LONGEST_NAME - 9].decode('utf-8', 'ignore')}-{digest}"


@cache
def _machine() -> str:
    """This boot of this machine, the same in every container on it."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text()
    except OSError:
        boot = platform.node()
    return hashlib.sha256(boot.encode()).hexdigest()[:8]


def _new_lock(target: Path) -> tuple[Path, int]:
    while True:
        lock = target.with_name(f".{key_of(target)}.{_machine()}-{secrets.token_hex(4)}.lock")
        handle = os.open(lock, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
        if _take(handle) is not False and _is_at(handle, lock):  # else somebody is just cleaning it away
            return lock, handle
        os.close(handle)


def _take(handle: int) -> bool | None:
    """Whether the lock could be had: False while somebody holds it, None where the system or the disk has no locks."""
    try:
        import fcntl  # not on Windows

        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except (ImportError, OSError):
        return None
    return True


def _is_at(handle: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(handle), os.stat(path))
    except OSError:
        return False


def _clean(lock: Path, found: re.Match[str], settle: Callable[[Path], None]) -> None:
    handle = os.open(lock, os.O_RDWR)
    try:
        draft = lock.with_name(lock.name.removesuffix(".lock"))
        if not _take(handle) or not _is_at(handle, lock):
            return
        if found["machine"] != _machine() and not _is_quiet(lock, draft):
            return
        settle(draft)
        if not os.path.lexists(draft):
            lock.unlink()
    finally:
        os.close(handle)


def _is_quiet(*places: Path) -> bool:
    """Whether nothing in the places was written for a day."""
    times = [place.lstat().st_mtime for place in places if os.path.lexists(place)]
    for place in places:
        for root, _, files in os.walk(place):
            times += [os.lstat(os.path.join(root, name)).st_mtime for name in ("", *files)]
    return time.time() - max(times) > QUIET_SECONDS
