"""A job: one call of a function that leaves one file. What is done is told by the file, so a killed run goes on."""

from __future__ import annotations

import mmap
import os
import struct
import sys
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sansi.base.errors import SansiError
from sansi.base.files import read_json, write_json

_LENGTH = struct.Struct("<I")
_LONGEST_KEY = 4000  # bytes


@dataclass(frozen=True)
class Job:
    """`function(output, **arguments)` writes the file `output`, whole or not at all, and nothing else that counts.

    What it writes depends on the arguments and on the files that they name alone, never on time, order or who runs it.
    A job whose output is there is done.
    """

    function: Callable[..., None]
    """Of a module: workers find it by its name."""
    output: Path
    arguments: Mapping[str, Any] = field(default_factory=dict)
    watched: bool = False
    """The function takes `watch` too, and tells it each record: what kills the worker then costs that record alone."""
    size: int = 1
    """For progress: what it counts among the others, bytes of its input as a rule."""

    def __post_init__(self) -> None:
        module = getattr(self.function, "__module__", None)
        if module in (None, "__main__") or "<" in getattr(self.function, "__qualname__", "<"):
            raise SansiError(
                f"{self.function!r} can not be found by other processes; define it in a module that can be imported"
            )

    @property
    def is_done(self) -> bool:
        return self.output.exists()

    @property
    def refusals_file(self) -> Path:
        """Records of this job that killed two workers, and how."""
        return self.output.with_name(f"{self.output.name}.refused.json")

    def refusals(self) -> dict[str, str]:
        return read_json(self.refusals_file) if self.refusals_file.is_file() else {}

    def refuse(self, key: str, reason: str) -> None:
        """Note that a record is to be left out. On disk, so that a run that goes on need not find it out again."""
        write_json(self.refusals_file, self.refusals() | {key: reason})


class Watch:
    """What a worker is at: a key that its supervisor can read whatever becomes of the worker."""

    def __init__(self, file: Path | None = None, refused: Mapping[str, str] | None = None):
        """file: what both sides map into memory; None: nobody looks."""
        self.refused = dict(refused or {})
        self._file = file
        self._map = None
        if file is not None:
            handle = os.open(file, os.O_RDWR)
            self._map = mmap.mmap(handle, _LENGTH.size + _LONGEST_KEY)
            os.close(handle)

    @classmethod
    def new_file(cls) -> Path:
        """An empty file for a watch; it is removed by whoever made it."""
        handle, name = tempfile.mkstemp(prefix="sansi-watch-")
        os.ftruncate(handle, _LENGTH.size + _LONGEST_KEY)
        os.close(handle)
        return Path(name)

    def at(self, key: str) -> str | None:
        """Note that the record `key` comes now. Returns why it must be left out, if it must."""
        self._write(key)
        return self.refused.get(key)

    def done(self) -> None:
        """No record is at work."""
        self._write("")

    @property
    def key(self) -> str:
        """The record at work, or ""."""
        if self._map is None:
            return ""
        (size,) = _LENGTH.unpack(self._map[: _LENGTH.size])
        return self._map[_LENGTH.size : _LENGTH.size + size].decode("utf-8", "replace")

    def _write(self, key: str) -> None:
        if self._map is not None:
            raw = key.encode("utf-8", "replace")[:_LONGEST_KEY]
            self._map[: _LENGTH.size + len(raw)] = _LENGTH.pack(len(raw)) + raw


def run_job(job: Job, watch: Watch) -> None:
    """Run a job in this process."""
    if job.watched:
        job.function(job.output, watch=watch, **job.arguments)
        watch.done()
    else:
        job.function(job.output, **job.arguments)
    if not job.is_done:
        raise AssertionError(f"{job.function.__qualname__} left no {job.output}")


def worker_command(file: Path, requests: int, replies: int, memory: int) -> list[str]:
    """How a worker is started: with the paths of this process, be it an installed package or a checkout."""
    start = (
        f"import sys; sys.path[:] = {sys.path!r}; from sansi.data.work.worker_main import main; "
        f"main({str(file)!r}, {requests}, {replies}, {memory})"
    )
    return [sys.executable, "-c", start]
