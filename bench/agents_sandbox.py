"""Part `sandbox` of bench/agents.py: time to a first result and of each later call, beside what isolates nothing."""

from __future__ import annotations

import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import ExitStack
from functools import partial
from pathlib import Path

from sansi.sandbox import Worker, survey
from sansi.sandbox.rungs import NAMES, Kind
from sansi.sandbox.system import visible

ROUNDS, CALLS = 15, 40
FIRST, CALL = "1 + 1", "x = 1"
LOOP = "t = 0\nfor i in range(100000):\n    t += i * i"
PEER = Path(__file__).resolve().parent / "peers" / "smolagents_peer.py"

Take = Callable[[], tuple[float, float, float]]
"""One round: milliseconds to a first result, of a later call, of a loop of 100,000."""


def sandbox(smolagents_python: str | None) -> str:
    """Round after round, each contender once: what the machine does meanwhile falls on all of them."""
    with ExitStack() as stack:
        takes: dict[str, Take] = {
            f"Sansi, {NAMES[kind]}": partial(_worker, kind)
            for kind, reason in survey().items()
            if reason is None and kind != "bubblewrap-as-root"
        }
        takes["`python -I -S -c` for each call (isolates nothing, keeps nothing)"] = _plain
        if smolagents_python:
            peer = stack.enter_context(_peer(smolagents_python))
            takes["smolagents' LocalPythonExecutor (isolates nothing)"] = lambda: _smolagents(peer)
        rounds = [{name: take() for name, take in takes.items()} for _ in range(ROUNDS + 1)][1:]
    lines = ["| | first result, ms | a call, ms | a loop of 100,000, ms |", "|---|--:|--:|--:|"]
    for name in takes:
        first, call, loop = (statistics.median(each[name][i] for each in rounds) for i in range(3))
        lines.append(f"| {name} | {first:.1f} | {call:.2f} | {loop:.1f} |")
    return "\n".join(lines)


def _worker(kind: Kind) -> tuple[float, float, float]:
    with Worker(kind=kind) as worker:
        first = _ms(lambda: worker.run(FIRST))
        calls = [_ms(lambda: worker.run(CALL)) for _ in range(CALLS)]
        return first, statistics.median(calls), _ms(lambda: worker.run(LOOP))


def _plain() -> tuple[float, float, float]:
    def run(code: str) -> float:
        return _ms(lambda: subprocess.run([visible().python, "-I", "-S", "-c", code], capture_output=True, check=True))

    return run(f"print({FIRST})"), statistics.median(run(CALL) for _ in range(5)), run(LOOP)


def _peer(python: str) -> subprocess.Popen[str]:
    return subprocess.Popen([python, str(PEER)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


def _smolagents(peer: subprocess.Popen[str]) -> tuple[float, float, float]:
    assert peer.stdin and peer.stdout

    def run(code: str) -> float:
        assert peer.stdin and peer.stdout
        peer.stdin.write(code.replace("\n", "\\n") + "\n")
        peer.stdin.flush()
        return float(peer.stdout.readline())

    return run(f"new {FIRST}"), statistics.median(run(CALL) for _ in range(CALLS)), run(LOOP)


def _ms(action: Callable[[], object]) -> float:
    begun = time.perf_counter()
    action()
    return (time.perf_counter() - begun) * 1000


if __name__ == "__main__":
    print(sandbox(sys.argv[1] if len(sys.argv) > 1 else None))
