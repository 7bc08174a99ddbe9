"""`sansi make` as a process, killed with SIGKILL, goes on to the same digests."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from made_corpus import SMALL, digests, make_corpus, small_tiny, write_small
from sansi.recipes.runner import Runner

PROGRAM = [sys.executable, "-m", "sansi.cli", "make"]


def command(corpus: Path, out: Path, *more: str) -> list[str]:
    changes = [part for change in SMALL for part in ("--set", change)]
    return [*PROGRAM, str(write_small(corpus)), "--out", str(out), "--threads", "1", *changes, *more]


def run_and_kill(arguments: list[str], now: Callable[[str], bool]) -> bool:
    """Kill the process when a line of its output says so. False: it ended first."""
    with subprocess.Popen(arguments, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, bufsize=1) as process:
        assert process.stdout is not None
        told = []
        for line in process.stdout:
            told.append(line)
            if now(line):
                os.kill(process.pid, signal.SIGKILL)
                break
        else:
            assert process.wait() == 0, "".join(told[-8:])
            return False
        process.wait()
    return True


def test_killed_once_it_goes_on(tmp_path):
    """One kill while shards and mixtures are written; the slow tests kill everywhere, and go on as processes too."""
    corpus = make_corpus(tmp_path / "corpus")
    Runner(small_tiny(corpus), tmp_path / "whole").run(until="worked")
    killed = command(corpus, tmp_path / "killed", "--until", "worked")
    assert run_and_kill(killed, lambda line: line.startswith("== 3/"))
    Runner(small_tiny(corpus), tmp_path / "killed").run(until="worked")
    assert digests(tmp_path / "killed") == digests(tmp_path / "whole")
    assert len(digests(tmp_path / "whole")) == 4
    left = [p.name for p in (tmp_path / "killed").iterdir() if p.name.startswith(".") and p.is_dir()]
    assert not left, "drafts of the killed process are cleaned away"


@pytest.mark.slow
def test_killed_at_every_stage_it_ends_as_if_it_had_never_been(tmp_path):
    corpus = make_corpus(tmp_path / "corpus")
    subprocess.run(command(corpus, tmp_path / "whole"), check=True, capture_output=True)
    wanted, out = digests(tmp_path / "whole"), tmp_path / "killed"
    for number in range(1, len(wanted) + 2):
        place = f"== {number}/"
        run_and_kill(command(corpus, out), lambda line, place=place: line.startswith(place))
    subprocess.run(command(corpus, out), check=True, capture_output=True)
    assert digests(out) == wanted


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(3))
def test_killed_at_random_it_ends_as_if_it_had_never_been(tmp_path, seed):
    corpus, rng = make_corpus(tmp_path / "corpus"), random.Random(seed)
    subprocess.run(command(corpus, tmp_path / "whole"), check=True, capture_output=True)
    out = tmp_path / "killed"
    for _ in range(6):  # somewhere in the stage after a random line: up to a second later
        lines, pause = rng.randrange(1, 60), rng.random()

        def now(line: str, left: list[int] = [lines], pause: float = pause) -> bool:  # noqa: B006
            left[0] -= 1
            if left[0] == 0:
                time.sleep(pause)
            return left[0] == 0

        run_and_kill(command(corpus, out), now)
    subprocess.run(command(corpus, out), check=True, capture_output=True)
    assert digests(out) == digests(tmp_path / "whole")
