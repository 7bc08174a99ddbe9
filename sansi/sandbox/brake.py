"""A bound on processes that the kernel keeps: against a bomb that forks faster than anybody can look.

Of an ordinary user the kernel counts processes (RLIMIT_NPROC). Of root it does not, whatever the namespace: there a
control group counts, and where none can be made, code may start no programs at all.
"""

from __future__ import annotations

import itertools
import os
from contextlib import suppress
from functools import cache
from pathlib import Path

from sansi.base.processes import process_ids

GROUPS = Path("/sys/fs/cgroup")
_numbers = itertools.count(1)
_left: list[Path] = []


@cache
def may_fork() -> bool:
    """Whether there is a brake here, so that code may start processes."""
    if os.geteuid() != 0:
        return True
    for old in (*GROUPS.glob("pids/sansi-*"), *GROUPS.glob("sansi-*")):  # of processes that were killed
        with suppress(OSError, IndexError):
            if not os.path.exists(f"/proc/{old.name.split('-')[1]}"):
                old.rmdir()
    if (group := _make(1)) is None:
        return False
    _remove(group)
    return True


class Brake:
    """A control group for one sandbox, where there can be one: to be entered before any code has run."""

    def __init__(self, most: int):
        needed = os.geteuid() == 0 and may_fork()
        self._group = _make(most) if needed else None
        if needed and self._group is None:
            raise OSError("no control group can be made now")

    def enter(self, pid: int) -> None:
        """Put a process in; what it starts is in it too. Raises OSError where it can not be."""
        if self._group:
            (self._group / "cgroup.procs").write_text(str(pid))

    def remove(self) -> None:
        if self._group:
            _remove(self._group)


def threads_of_user() -> int:
    """How many threads our user has on this machine: what RLIMIT_NPROC is compared with."""
    count = 0
    for pid in process_ids():
        with suppress(OSError):
            if os.stat(f"/proc/{pid}").st_uid == os.geteuid():
                count += len(os.listdir(f"/proc/{pid}/task"))
    return count


def _make(most: int) -> Path | None:
    for parent in (GROUPS / "pids", GROUPS):  # version 1, version 2
        if not (parent / "cgroup.procs").exists():
            continue
        group = parent / f"sansi-{os.getpid()}-{next(_numbers)}"
        try:
            group.mkdir()
            (group / "pids.max").write_text(str(most))
        except OSError:
            _remove(group)
            continue
        return group
    return None


def _remove(group: Path) -> None:
    """Now, or with the next one: while a process of it is dying it stays."""
    _left.append(group)
    for old in list(_left):
        with suppress(OSError):
            old.rmdir()
        if not old.exists():
            with suppress(ValueError):
                _left.remove(old)
