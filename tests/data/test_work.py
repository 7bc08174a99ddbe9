"""Jobs and executors: the same files whoever runs them, and a record that kills workers costs itself alone."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import jobs_made
import pytest
from sansi.base import SansiError
from sansi.data.work import Job, LocalExecutor, Watch


def counting(folder: Path, count: int = 5) -> list[Job]:
    return [Job(jobs_made.count, folder / str(n), {"upto": n}) for n in range(count)]


@pytest.mark.parametrize("workers", [0, 1, 2])
def test_every_job_leaves_its_file(tmp_path: Path, workers: int):
    LocalExecutor(workers).run(counting(tmp_path / "out"), "counting")
    assert [(tmp_path / "out" / str(n)).read_text() for n in range(5)] == ["0", "0", "1", "3", "6"]


def test_what_is_done_is_not_done_again(tmp_path: Path):
    (tmp_path / "3").write_text("done before")
    LocalExecutor(0).run(counting(tmp_path), "counting")
    assert (tmp_path / "3").read_text() == "done before" and (tmp_path / "4").read_text() == "6"


@pytest.mark.parametrize(
    ("function", "error", "said"),
    [
        (jobs_made.refuse, SansiError, "the source is not there"),
        (jobs_made.stumble, AssertionError, "a bug"),
        (jobs_made.fill_the_disk, SansiError, "the disk is full"),
        (jobs_made.die, SansiError, "two processes that worked on it ended"),
    ],
)
def test_a_job_that_fails_ends_the_run(tmp_path: Path, function, error: type[Exception], said: str):
    with pytest.raises(error, match=said):
        LocalExecutor(1).run([Job(function, tmp_path / "out")], "failing")
    assert not (tmp_path / "out").exists()


def test_records_that_kill_workers_are_left_out_and_told(tmp_path: Path):
    keys = ["a", "crash", "once", "b", "hang", "memory", "c"]
    job = Job(jobs_made.records, tmp_path / "out", {"keys": keys, "seen": tmp_path / "seen"}, watched=True)
    LocalExecutor(1, cpu_seconds=0.3, memory_bytes=1 << 30).run([job], "records")
    assert (tmp_path / "out").read_text().splitlines() == [
        *["a", "crash: crash", "once", "b", "hang: hang", "memory: memory", "c"]
    ]
    assert job.refusals() == {"crash": "crash", "hang": "hang", "memory": "memory"}


def test_refusals_are_remembered(tmp_path: Path):
    job = Job(jobs_made.records, tmp_path / "out", {"keys": ["a", "crash"], "seen": tmp_path / "seen"}, watched=True)
    job.refuse("crash", "crash")
    LocalExecutor(1).run([job], "records")
    assert (tmp_path / "seen").read_text().split() == ["a", "crash"]  # once


def test_functions_that_workers_can_not_find_are_refused(tmp_path: Path):
    with pytest.raises(SansiError, match="define it in a module"):
        Job(lambda output: None, tmp_path / "out")


def test_a_watch_tells_what_is_at_work():
    file = Watch.new_file()
    theirs, ours = Watch(file, {"bad": "crash"}), Watch(file)
    assert ours.key == "" and theirs.at("bad") == "crash" and ours.key == "bad"
    assert theirs.at("ключ" * 2000) is None and ours.key.startswith("ключ")
    theirs.done()
    assert ours.key == ""
    file.unlink()


def test_workers_end_with_whoever_started_them(tmp_path: Path):
    program = (
        f"import sys; sys.path[:] = {sys.path!r}\n"
        "import pathlib, jobs_made; from sansi.data.work import Job, LocalExecutor\n"
        f"out = pathlib.Path({str(tmp_path)!r})\n"
        "LocalExecutor(1).run([Job(jobs_made.wait_for, out / 'out', {'gate': out / 'gate'})], 'waiting')\n"
    )
    run = subprocess.Popen([sys.executable, "-c", program], stderr=subprocess.DEVNULL)
    while not (workers := _children(run.pid)):
        time.sleep(0.01)
    while not list(tmp_path.iterdir()) and _lives(workers[0]) and run.poll() is None and not _imported(workers[0]):
        time.sleep(0.01)
    run.send_signal(signal.SIGKILL)
    run.wait()
    while any(map(_lives, workers)):
        time.sleep(0.01)
    assert not (tmp_path / "out").exists()


def _children(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def _imported(pid: int) -> bool:
    return "sansi-watch" in "".join(os.readlink(f) if f.is_symlink() else "" for f in Path(f"/proc/{pid}/fd").iterdir())


def _lives(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False
