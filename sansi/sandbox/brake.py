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
    """A control group for one sandbox, where there can be one. Raises OSError where there should be and is none."""

    def __init__(self, most: int):
        needed = os.geteuid() == 0 and may_fork()
        self._group = _make(most) if needed else None
        if needed and self._group is None:
            raise OSError("no control group can be made now")

    @property
    def file(self) -> str | None:
        """Where a process writes 0 to enter, before any code has run; what it starts is in the group too.

        A thread that moves itself (version 1 has `tasks` for that) need not wait for all others of the machine, which
        costs the kernel ten milliseconds when one process moves another.
        """
        if self._group is None:
            return None
        return str(next(path for name in ("tasks", "cgroup.procs") if (path := self._group / name).exists()))

    def entered(self, command: list[str]) -> list[str]:
        """The command as one that enters first, and is not started where it can not."""
        return ["/bin/sh", "-c", 'echo 0 > "$0" && exec "$@"', self.file, *command] if self.file else command

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
