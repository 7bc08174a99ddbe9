"""What a tree of processes uses, read from /proc."""

from __future__ import annotations

import errno
import os
import shutil
import subprocess
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass

from sansi.base.processes import process_ids, stat_fields

TICK = os.sysconf("SC_CLK_TCK")
UNSEEN = 10**9  # files: more than any limit
PAGE = os.sysconf("SC_PAGE_SIZE")


@dataclass(frozen=True)
class Usage:
    """Of all processes together."""

    processes: int
    threads: int
    memory: int
    """Bytes that are resident."""
    cpu_seconds: float
    """Of those that live, and of those that they have waited for."""


def usage_of(pid: int, whole_group: bool) -> Usage:
    """Of a process and what descends from it. whole_group: of its process group, where children may have lost it."""
    found = [row for each in members(pid, whole_group) if (row := stat_fields(each))]
    ticks = sum(sum(map(int, row[11:15])) for row in found)
    return Usage(len(found), sum(int(r[17]) for r in found), sum(int(r[21]) for r in found) * PAGE, ticks / TICK)


def members(pid: int, whole_group: bool) -> Iterator[int]:
    """The processes that `usage_of` counts."""
    return _group(pid) if whole_group else tree(pid)


def children(pid: int) -> list[int]:
    try:
        with open(f"/proc/{pid}/task/{pid}/children") as file:
            return [int(word) for word in file.read().split()]
    except OSError:
        return []


def tree(pid: int) -> Iterator[int]:
    """A process and all that descend from it."""
    yield pid
    for child in children(pid):
        yield from tree(child)


def _group(group: int) -> Iterator[int]:
    return (pid for pid in process_ids() if (row := stat_fields(pid)) and int(row[2]) == group)


def folder_usage(folder: str, most_files: int) -> tuple[int, int]:
    """Bytes and files of a folder; it stops counting when there are more than `most_files`.

    What can not be looked into (a folder without rights, or deeper than a path can tell) counts as UNSEEN files.
    """
    size = files = 0
    waiting = [folder]
    while waiting and files <= most_files:
        try:
            with os.scandir(waiting.pop()) as entries:
                for entry in entries:
                    files += 1
                    if files > most_files:
                        break
                    size += entry.stat(follow_symlinks=False).st_blocks * 512
                    if entry.is_dir(follow_symlinks=False):
                        waiting.append(entry.path)
        except OSError as error:  # it changes while we look, or hides
            files += UNSEEN if error.errno in (errno.EACCES, errno.EPERM, errno.ENAMETOOLONG) else 0
    return size, files


def deleted_usage(pids: Iterable[int], device: int, mapped: int) -> int:
    """Bytes of files on a device that have no name any more, and that these processes hold open.

    One that is only mapped does not tell its size, and counts as `mapped` bytes.
    """
    found: dict[int, int] = {}
    for pid in pids:
        with suppress(OSError):
            for inode in _mapped_and_deleted(pid, device):
                found.setdefault(inode, mapped)
        with suppress(OSError):
            for name in os.listdir(f"/proc/{pid}/fd"):
                with suppress(OSError):
                    state = os.stat(f"/proc/{pid}/fd/{name}")
                    if state.st_nlink == 0 and state.st_dev == device:
                        found[state.st_ino] = state.st_blocks * 512
    return sum(found.values())


def _mapped_and_deleted(pid: int, device: int) -> Iterator[int]:
    wanted = f"{os.major(device):02x}:{os.minor(device):02x}"
    with open(f"/proc/{pid}/maps", errors="replace") as file:
        for line in file:
            if line.endswith(" (deleted)\n") and line.split()[3] == wanted:
                yield int(line.split()[4])


def remove_tree(folder: str | os.PathLike[str]) -> None:
    """Delete a folder that strangers filled: however deep, and whatever rights they left."""
    with suppress(OSError, RecursionError):
        shutil.rmtree(folder)
        return
    if os.path.isdir(folder):
        subprocess.run(["chmod", "-R", "u+rwx", "--", folder], capture_output=True)
        subprocess.run(["rm", "-rf", "--", folder], capture_output=True)
