"""Jobs for the tests of executors: workers import this module by its name."""

from __future__ import annotations

import os
import time
from collections.abc import Iterable
from pathlib import Path

from sansi.base import SansiError
from sansi.base.files import write_text
from sansi.data.work import Job, LocalExecutor, Watch


def count(output: Path, upto: int) -> None:
    write_text(output, str(sum(range(upto))))


def refuse(output: Path) -> None:
    raise SansiError("the source is not there; give another")


def stumble(output: Path) -> None:
    raise RuntimeError("a bug")


def fill_the_disk(output: Path) -> None:
    raise OSError(28, "No space left on device", str(output))


def die(output: Path) -> None:
    os.kill(os.getpid(), 9)


def records(output: Path, watch: Watch, keys: list[str], seen: Path) -> None:
    """Writes its records; "crash…" kills the worker, "hang…" never ends, "memory…" asks for too much."""
    kept = []
    for key in keys:
        with seen.open("a") as file:
            file.write(key + "\n")
        if reason := watch.at(key):
            kept.append(f"{key}: {reason}")
            continue
        if key.startswith("crash"):
            os._exit(3)
        if key.startswith("once") and seen.read_text().splitlines().count(key) == 1:
            os._exit(3)
        while key.startswith("hang"):
            pass
        if key.startswith("memory"):
            bytearray(1 << 40)
        kept.append(key)
    write_text(output, "\n".join(kept))


def wait_for(output: Path, gate: Path) -> None:
    while not gate.exists():
        time.sleep(0.01)
    write_text(output, "open")


class Stop(Exception):
    """A run is killed."""


class StoppingExecutor(LocalExecutor):
    """Does one job more each time that it is asked, and is killed in the middle of the next."""

    def __init__(self) -> None:
        super().__init__(0)

    def run(self, jobs: Iterable[Job], title: str) -> None:
        waiting = [job for job in jobs if not job.is_done]
        if waiting:
            super().run(waiting[:1], title)
            if len(waiting) > 1:
                raise Stop
