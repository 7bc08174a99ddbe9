"""Attempts to get out of a sandbox: all are blocked on every rung, and outside they succeed."""

import json
import os
import shutil
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest
from sansi.base import SansiError
from sansi.sandbox import Limits, Worker, best_rung, ladder, session
from sansi.sandbox.check import attempts_on, attempts_without, escapes
from sansi.sandbox.inside.attempts import ATTEMPTS
from sansi.sandbox.inside.proof import QUICK
from sansi.sandbox.rungs import KINDS

ROOT = Path(__file__).resolve().parents[2]
without = cache(attempts_without)


def test_every_attempt_is_blocked(kind):
    results = attempts_on(kind)
    assert escapes(results) == {}
    assert len(results) == len(ATTEMPTS) > 100


@pytest.mark.parametrize("name", [name for name, each in ATTEMPTS.items() if each.outside in ("anyone", "root")])
def test_it_would_succeed_outside(name):
    """An attempt that can not succeed proves nothing."""
    if ATTEMPTS[name].outside == "root" and not _is_mighty():
        pytest.skip("only root with its capabilities gets through even without a sandbox")
    assert without()[name].startswith("escaped"), without()[name]


def test_no_attempt_is_a_mistake():
    assert not {name: said for name, said in without().items() if said.startswith("mistake")}


def test_a_bomb_of_open_files_ends_at_its_limit(kind):
    with Worker(kind=kind, limits=Limits(open_files=64)) as worker:
        assert "OSError: " in worker.run("kept = []\nwhile True: kept.append(open('/dev/null'))").error
        assert worker.run("n = len(kept)\nkept.clear()\nn < 64").text == "True\n"


def test_the_quick_attempts_run_at_every_start(monkeypatch, some_rung):
    """One that gets through ends the session before any code has run, and the next rung is tried."""
    monkeypatch.setattr(ladder, "_failed", {})
    real = session.canaries
    allowed = {**real(), "secret": "/proc/cpuinfo", "token": "processor"}  # all rungs show it
    monkeypatch.setattr(session, "canaries", lambda: allowed)
    with Worker() as worker:
        with pytest.raises(SansiError, match="read_a_secret: read /proc/cpuinfo") as raised:
            worker.run("open('ran', 'w')")
        assert not os.listdir(worker.folder)
    assert "no code is run" in str(raised.value)


def test_without_any_rung_nothing_runs(monkeypatch):
    monkeypatch.setattr(ladder, "_failed", dict.fromkeys(KINDS, "not here"))
    with (
        Worker() as worker,
        pytest.raises(SansiError, match="no sandbox holds here, so no code is run"),
    ):
        worker.run("1")


def test_the_rung_says_how_it_was_proven(some_rung):
    rung = best_rung()
    assert rung.kind in KINDS and f"{len(QUICK)} of {len(QUICK)}" in rung.proven


def _is_mighty() -> bool:
    lines = Path("/proc/self/status").read_text().splitlines()
    held = next(int(line.split()[1], 16) for line in lines if line.startswith("CapEff"))
    return os.geteuid() == 0 and bool(held >> 21 & 1)  # CAP_SYS_ADMIN


# The settings in which people run this. Each is a process of its own that tries every rung.


def _report(*prefix: str, python: str = sys.executable) -> dict:
    command = [*prefix, python, "-m", "sansi.sandbox", "--json"]
    done = subprocess.run(
        command, cwd=ROOT, env={"PATH": os.environ["PATH"]}, capture_output=True, text=True, timeout=600
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.mark.slow
def test_as_we_are():
    _check(_report(), at_least=1)


@pytest.mark.slow
def test_as_an_unprivileged_user():
    if os.geteuid() != 0:
        pytest.skip("we are one already")
    python = "/usr/bin/python3"
    if not shutil.which("setpriv") or not os.access(python, os.X_OK):
        pytest.skip("needs setpriv and a Python that everybody may run, /usr/bin/python3")
    report = _report("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "--inh-caps=-all", python=python)
    assert report["rungs"]["bubblewrap-as-root"]
    _check(report, at_least=1)


OFF = ("bwrap", "--unshare-user", "--disable-userns", "--bind", "/", "/", "--dev-bind", "/dev", "/dev")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("rights", "rung"),
    [((), "bubblewrap-as-root"), (("--cap-drop", "ALL", "--uid", "1000", "--gid", "1000"), "landlock")],
)
def test_where_user_namespaces_are_off(rights, rung):
    if not shutil.which("bwrap"):
        pytest.skip("needs bwrap, to turn them off")
    report = _report(*OFF, *rights)
    assert report["rungs"]["bubblewrap"]
    if rung not in report["attempts"]:
        pytest.skip(f"{rung} can not be had here: {report['rungs'][rung]}")
    _check(report, at_least=1)


@pytest.mark.slow
def test_root_without_control_groups_starts_no_programs():
    """Nothing would brake a bomb there: the kernel does not count root's processes."""
    if not shutil.which("bwrap") or os.geteuid() != 0:
        pytest.skip("needs bwrap, and root")
    code = "from sansi.sandbox import Worker\nwith Worker() as w: print(w.run('import os; print(1 + 1); os.fork()'))"
    off = (*OFF, "--cap-drop", "ALL")
    hidden = ("--tmpfs", "/sys/fs/cgroup")
    done = subprocess.run(
        [*off, *hidden, sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=300
    )
    assert "text='2\\n'" in done.stdout and "PermissionError" in done.stdout, done.stdout + done.stderr


def _check(report: dict, at_least: int) -> None:
    assert len(report["attempts"]) >= at_least, report["rungs"]
    assert {kind: escapes(results) for kind, results in report["attempts"].items() if escapes(results)} == {}
    through = [name for name, said in report["without"].items() if said.startswith("escaped")]
    assert len(through) > 50, report["without"]
