"""What a tree of processes uses, read from /proc."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass

TICK = os.sysconf("SC_CLK_TCK")
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
    found = [row for each in (_group(pid) if whole_group else tree(pid)) if (row := _stat(each))]
    ticks = sum(sum(map(int, row[11:15])) for row in found)
    return Usage(len(found), sum(int(r[17]) for r in found), sum(int(r[21]) for r in found) * PAGE, ticks / TICK)


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
    for name in os.listdir("/proc"):
        if name.isdigit() and (row := _stat(int(name))) and int(row[2]) == group:
            yield int(name)


def _stat(pid: int) -> list[str] | None:
    """The fields of /proc/PID/stat after the name, from the state on; None when the process is gone."""
    try:
        with open(f"/proc/{pid}/stat") as file:
            return file.read().rpartition(")")[2].split()
    except OSError:
        return None


def folder_usage(folder: str, most_files: int) -> tuple[int, int]:
    """Bytes and files of a folder; it stops counting when there are more than `most_files`."""
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
        except OSError:  # it changes while we look
            continue
    return size, files
