"""The programs that the benches compare: how each is started, asked and measured, in a process of its own."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any

PEERS = Path(__file__).parent / "peers"
GIB = 2**30


class ContenderError(Exception):
    """The contender's own words about what went wrong."""


@dataclass(frozen=True)
class Spec:
    """A contender: which interpreter runs which script of `peers/`, on which weights."""

    name: str
    python: str
    script: str
    model: str
    options: Mapping[str, Any] = field(default_factory=lambda: MappingProxyType({}))
    bits: float = 32
    """Bits per weight, of which the physical limit is made."""
    outer_bits: float | None = None
    """Those of the embedding and the head, where they differ."""
    memory_options: Mapping[str, Any] = field(default_factory=lambda: MappingProxyType({}))
    """Options that make the peak of memory comparable: room for the keys and values of one context of 4,096."""
    only: tuple[str, ...] = ()
    """The only cases it takes part in; empty: all."""
    environment: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))

    def guessed_bytes(self) -> int:
        """What the weights may take, to make room before the process is started."""
        path = Path(self.model)
        files = path.glob("*.safetensors") if path.is_dir() else [path]
        size = sum(file.stat().st_size for file in files)
        return int(size * self.bits / 16) if path.is_dir() else size  # checkpoints are bfloat16


class Process:
    """A running contender. It computes only while `run` waits for it."""

    def __init__(self, spec: Spec, log: Path, threads: int = 2, options: Mapping[str, Any] | None = None):
        self.spec = spec
        environment = {
            **os.environ,
            "OMP_NUM_THREADS": str(threads),
            "TOKENIZERS_PARALLELISM": "false",
            "PYTHONPATH": os.pathsep.join(filter(None, (str(PEERS.parent.parent), os.environ.get("PYTHONPATH")))),
            **spec.environment,
        }
        with log.open("a") as errors:
            self._process = subprocess.Popen(
                [spec.python, str(PEERS / spec.script)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
                env=environment,
            )
        try:
            merged = {"threads": threads, **spec.options, **(options or {})}
            self.facts = self._ask({"do": "load", "model": spec.model, "options": merged})["facts"]
        except BaseException:
            self.close()
            raise

    def run(self, case: Mapping[str, Any]) -> dict[str, Any]:
        """The contender's answer to one case. Raises ContenderError."""
        return self._ask({"do": "run", "case": case})

    def peak_megabytes(self) -> float:
        """Most resident memory so far, of the process and its children."""
        return sum(_status(pid, "VmHWM") for pid in _family(self._process.pid)) / 1024

    def close(self) -> None:
        self._process.kill()
        self._process.wait()

    def _ask(self, request: Mapping[str, Any]) -> dict[str, Any]:
        assert self._process.stdin is not None and self._process.stdout is not None
        try:
            self._process.stdin.write(json.dumps(request) + "\n")
            self._process.stdin.flush()
            line = self._process.stdout.readline()
        except BrokenPipeError:
            line = ""
        if not line:
            raise ContenderError(f"{self.spec.name} died (exit status {self._process.wait()}); see its log")
        reply = json.loads(line)
        if "error" in reply:
            raise ContenderError(f"{self.spec.name}: {reply['error']}")
        return reply


class Pool:
    """Contenders stay loaded while memory lasts; the one that waited longest makes room for the next.

    start: (spec, log, threads) -> what `get` gives; it has `close`.
    """

    def __init__(self, logs: Path, threads: int, reserve: int = 2 * GIB, start: Callable[..., Any] = Process):
        self._logs, self._threads, self._reserve, self._start = logs, threads, reserve, start
        self._alive: dict[str, Any] = {}

    def get(self, spec: Spec) -> Any:
        process = self._alive.pop(spec.name, None)
        if process is None:
            self._make_room(2 * spec.guessed_bytes() + self._reserve)
            process = self._start(spec, self._logs / f"{spec.name}.log", self._threads)
        self._alive[spec.name] = process  # the last is the youngest
        return process

    def fresh(self, spec: Spec) -> Process:
        """One more process, for its peak of memory alone; the caller closes it."""
        self._make_room(2 * spec.guessed_bytes() + self._reserve)
        return Process(spec, self._logs / f"{spec.name}.log", self._threads, spec.memory_options)

    def drop(self, name: str) -> None:
        if name in self._alive:
            self._alive.pop(name).close()

    def close(self) -> None:
        for name in list(self._alive):
            self.drop(name)

    def _make_room(self, needed: int) -> None:
        while self._alive and available_bytes() < needed:
            self.drop(next(iter(self._alive)))


def available_bytes() -> int:
    lines = Path("/proc/meminfo").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("MemAvailable")) * 1024


def _family(pid: int) -> list[int]:
    found = [pid]
    for parent in found:
        for task in Path(f"/proc/{parent}/task").glob("*/children"):
            found += [int(child) for child in task.read_text().split()]
    return found


def _status(pid: int, key: str) -> int:
    """Kilobytes."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except FileNotFoundError:
        return 0
    return next((int(line.split()[1]) for line in lines if line.startswith(key)), 0)
