"""What code in a sandbox may use."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields

from sansi.base.errors import SansiError

MIB = 2**20


@dataclass(frozen=True)
class Limits:
    """Quotas of one sandbox. Raises SansiError for values that nothing could run under."""

    seconds: float = 30.0
    """Wall time of one call, in seconds; the code is interrupted, and killed if it goes on."""
    cpu_seconds: float = 60.0
    """CPU time of one call over all its processes and threads, in seconds."""
    memory: int = 1024 * MIB
    """Bytes of memory, of each process and of all of them together."""
    processes: int = 32
    """Processes at one time; threads count to their process."""
    file_size: int = 64 * MIB
    """Bytes that one file may reach."""
    folder_size: int = 256 * MIB
    """Bytes that all files of the sandbox's folder may reach together."""
    folder_files: int = 5_000
    """Files and folders that the sandbox's folder may hold."""
    open_files: int = 256
    """Files that one process may hold open."""
    tmp_size: int = 64 * MIB
    """Bytes of the private /tmp, and as many again of /dev/shm."""
    output: int = 100_000
    """Characters kept of what a call prints: the first and the last halves of it."""
    threads: int = 2
    """Threads that numerical libraries are told to use."""

    def __post_init__(self) -> None:
        for field in fields(self):
            value, least = getattr(self, field.name), LEAST.get(field.name, 1)
            number = isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
            if not number or value < least or (field.type == "int" and value != int(value)):
                raise SansiError(f"{field.name} must be a number of at least {least}, not {value!r}", param=field.name)


LEAST: dict[str, float] = {
    "seconds": 0.05,
    "cpu_seconds": 0.05,
    "memory": 64 * MIB,
    "file_size": 4096,
    "folder_size": 4096,
    "open_files": 32,
    "tmp_size": 4096,
    "output": 200,
}
