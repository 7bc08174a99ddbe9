"""Keeps an eye on what no quota of the kernel counts for all processes together: memory, CPU time, files."""

from __future__ import annotations

import os
import time
from pathlib import Path

from sansi.sandbox.limits import MIB, Limits
from sansi.sandbox.usage import Usage, deleted_usage, folder_usage, members, usage_of

FIRST, EVERY, FOLDER_EVERY = 0.04, 0.04, 0.2  # seconds
SHARE = 10  # a look may take a tenth of the time


class Watch:
    """Of one call. group: look at the process group instead of descendants. tmp: the folder that stands for /tmp, where
    it is not bounded by itself. before: bytes and files that the folder held before this process: where that is beyond
    the limit, code can still delete."""

    def __init__(self, pid: int, group: bool, folder: Path, tmp: Path | None, limits: Limits, before: tuple[int, int]):
        self.pid, self.group, self.folder, self.tmp, self.limits = pid, group, folder, tmp, limits
        self.most_bytes, self.most_files = max(limits.folder_size, before[0]), max(limits.folder_files, before[1])
        self.next = time.monotonic() + FIRST
        self.next_folder = self.next
        self.before: Usage | None = None

    def breach(self, now: float) -> str | None:
        """Which limit is exceeded, as a sentence for the model; None when none is, or it is not yet time to look."""
        if now < self.next:
            return None
        found = self._of_processes()
        if not found and now >= self.next_folder:
            found = self.of_folder()
            self.next_folder = self._after(now, FOLDER_EVERY)
        self.next = self._after(now, EVERY)
        return found

    def _after(self, now: float, pause: float) -> float:
        after = time.monotonic()
        return after + max(pause, SHARE * (after - now))

    def _of_processes(self) -> str | None:
        used, limits = usage_of(self.pid, self.group), self.limits
        self.before = self.before or used  # at most FIRST seconds late
        own = 0 if self.group else 2  # bwrap's two
        if used.processes - own > limits.processes:
            return f"stopped: more than {limits.processes} processes at once"
        if used.threads - own > limits.processes * 16:
            return f"stopped: more than {limits.processes * 16} threads at once"
        if used.memory > limits.memory:
            return f"stopped: more than {limits.memory // MIB} MiB of memory in all"
        if used.cpu_seconds - self.before.cpu_seconds > limits.cpu_seconds:
            return f"stopped: more than {limits.cpu_seconds:g} seconds of CPU time"
        return None

    def of_folder(self) -> str | None:
        size, files = folder_usage(os.fspath(self.folder), self.most_files)
        if files > self.most_files:
            return f"stopped: more than {self.limits.folder_files} files in its folder"
        size += deleted_usage(members(self.pid, self.group), os.stat(self.folder).st_dev, self.limits.file_size)
        if size > self.most_bytes:
            return f"stopped: more than {self.limits.folder_size // MIB} MiB in its folder"
        if self.tmp and folder_usage(os.fspath(self.tmp), self.most_files)[0] > self.limits.tmp_size:
            return f"stopped: more than {self.limits.tmp_size // MIB} MiB in its {self.tmp}"
        return None
