"""Saves that are killed with SIGKILL, at each step that they take; what they leave, and who removes it."""

import os
import signal
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from sansi.base import drafts, placing
from sansi.base.files import atomic_folder, clean_drafts, remove_folder, scratch_folder, updated_folder, write_text
from sansi.base.marker import MARKER
from sansi.base.runs import RunFolder

STEPS = ("os.rename", "os.remove", "os.mkdir", "os.rmdir", "os.link", "os.chmod", "shutil.rmtree")
WRITING = os.O_WRONLY | os.O_RDWR


def killed_at(step: int, act: Callable[[], None]) -> bool:
    """Run `act` in a process that kills itself before its `step`-th step; whether it got that far."""
    child = os.fork()
    if child == 0:
        seen = 0

        def count(event: str, facts: tuple) -> None:
            nonlocal seen
            if event in STEPS or (event == "open" and facts[2] & WRITING):
                seen += 1
                if seen > step:
                    os.kill(os.getpid(), signal.SIGKILL)

        sys.addaudithook(count)
        try:
            act()
        finally:
            os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -signal.SIGKILL


def write(target: Path, text: str) -> None:
    with atomic_folder(target) as draft:
        (draft / "sub").mkdir()
        (draft / "a").write_text(text)
        (draft / "sub" / "b").write_text(text)


def update(target: Path, text: str) -> None:
    with updated_folder(target, supersedes=lambda name: name == "only-old") as draft:
        (draft / "a").write_text(text)


def texts(folder: Path) -> dict[str, str]:
    files = (p for p in folder.rglob("*") if p.is_file() and p.name != MARKER)
    return {str(p.relative_to(folder)): p.read_text() for p in files}


@pytest.fixture(params=["one step", "two renames"])
def disk(request, monkeypatch):
    if request.param == "two renames":
        monkeypatch.setattr(placing, "exchange", lambda one, other: False)
    return request.param


def test_a_killed_save_leaves_the_old_folder_or_the_new_one(tmp_path, disk):
    old, new = ({"a": text, "sub/b": text} for text in "12")
    target, step, seen = tmp_path / "model", 0, set()
    write(target, "1")
    while killed_at(step, lambda: write(target, "2")):
        if disk == "one step":
            assert target.exists()
        clean_drafts(tmp_path)
        assert os.listdir(tmp_path) == ["model"], step
        assert texts(target) in (old, new), step
        seen.add(texts(target)["a"])
        write(target, "1")
        assert os.listdir(tmp_path) == ["model"]
        step += 1
    assert step > 20 and seen == {"1", "2"}
    assert texts(target) == new


def test_a_killed_first_save_leaves_nothing_or_all(tmp_path):
    target, step, seen = tmp_path / "model", 0, set()
    while killed_at(step, lambda: write(target, "1")):
        clean_drafts(tmp_path)
        assert os.listdir(tmp_path) in ([], ["model"])
        seen.add(len(texts(target)))
        if target.exists():
            remove_folder(target)
        step += 1
    assert seen == {0, 2}


def test_a_killed_update_keeps_the_files_of_others(tmp_path, disk):
    target, step, seen = tmp_path / "model", 0, set()
    while True:
        (target / "deep" / "er").mkdir(parents=True, exist_ok=True)
        (target / "deep" / "er" / "thesis.txt").write_text("dear")
        (target / "a").write_text("1")
        (target / "only-old").write_text("1")
        if not killed_at(step, lambda: update(target, "2")):
            break
        clean_drafts(tmp_path)
        assert os.listdir(tmp_path) == ["model"]
        found = texts(target)
        assert found.pop("deep/er/thesis.txt") == "dear"
        assert found in ({"a": "1", "only-old": "1"}, {"a": "2"}), step
        seen.add(found["a"])
        step += 1
    assert seen == {"1", "2"}


def test_a_killed_removal_leaves_all_or_nothing(tmp_path):
    target, step = tmp_path / "model", 0
    write(target, "1")
    while killed_at(step, lambda: remove_folder(target)):
        assert texts(target) in ({}, {"a": "1", "sub/b": "1"})
        clean_drafts(tmp_path)
        assert os.listdir(tmp_path) in ([], ["model"])
        write(target, "1")
        step += 1
    assert step > 5 and os.listdir(tmp_path) == []


def test_a_killed_file_is_the_old_one_or_the_new_one(tmp_path):
    file, step = tmp_path / "a.json", 0
    write_text(file, "1")
    while killed_at(step, lambda: write_text(file, "2")):
        assert file.read_text() in "12"
        write_text(file, "1")
        assert os.listdir(tmp_path) == ["a.json"]
        step += 1
    assert step > 3


@pytest.mark.parametrize("stride", [11, pytest.param(1, marks=pytest.mark.slow)])
def test_a_second_kill_while_the_first_is_cleaned_up(tmp_path, disk, stride):
    target = tmp_path / "model"
    for step in range(0, 40, stride):
        write(target, "1")
        killed_at(step, lambda: write(target, "2"))
        again = 0
        while killed_at(again, lambda: clean_drafts(tmp_path)):
            again += 1
        assert texts(target)["a"] in "12"
        assert os.listdir(tmp_path) == ["model"]


def test_an_opened_run_has_no_drafts_of_the_dead(tmp_path):
    run = RunFolder(tmp_path)
    for step in (1, 2):
        assert killed_at(12, lambda step=step: write(run.checkpoint(step), "1"))
    assert len(os.listdir(run.checkpoints)) > 0
    RunFolder(tmp_path)
    assert os.listdir(run.checkpoints) == []


@pytest.mark.parametrize("scratch", [False, True])
def test_the_draft_of_a_living_process_is_left_alone(tmp_path, scratch):
    target = tmp_path / "model"
    (ready, tell_ready), (go, tell_go) = os.pipe(), os.pipe()
    child = os.fork()
    if child == 0:
        with (scratch_folder if scratch else atomic_folder)(target) as draft:
            (draft / "a").write_text("theirs")
            os.write(tell_ready, b".")
            os.read(go, 1)
            whole = (draft / "a").read_text() == "theirs"
        os._exit(0 if whole else 1)
    os.read(ready, 1)
    write(target, "ours")
    clean_drafts(tmp_path)
    assert texts(target)["a"] == "ours"
    os.write(tell_go, b".")
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert texts(target)["a"] == ("ours" if scratch else "theirs")
    assert os.listdir(tmp_path) == ["model"]


def test_two_threads_do_not_take_each_other_for_dead(tmp_path):
    target, meet = tmp_path / "model", threading.Barrier(2)

    def one(text: str) -> None:
        with atomic_folder(target) as draft:
            (draft / "a").write_text(text)
            meet.wait(60)
            clean_drafts(tmp_path)
            meet.wait(60)
            assert (draft / "a").read_text() == text

    threads = [threading.Thread(target=one, args=(text,)) for text in "12"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert texts(target)["a"] in "12" and os.listdir(tmp_path) == ["model"]


def test_what_another_machine_wrote_is_left_for_a_day(tmp_path, monkeypatch):
    target = tmp_path / "model"
    with monkeypatch.context() as patch:
        patch.setattr(drafts, "_machine", lambda: "0123abcd")
        assert killed_at(12, lambda: write(target, "1"))
    left = sorted(os.listdir(tmp_path))
    assert left
    clean_drafts(tmp_path)
    assert sorted(os.listdir(tmp_path)) == left
    for path in sorted(tmp_path.rglob("*"), reverse=True):
        os.utime(path, (0, 0))
    clean_drafts(tmp_path)
    assert os.listdir(tmp_path) == []


def test_what_is_no_draft_of_ours_is_left_alone(tmp_path):
    for name in (".model.abcd", ".model.0123abcd-0123abcd", ".lock", ".other.0123abcd-0123abcd.lock.txt"):
        (tmp_path / name).write_text("mine")
    write(tmp_path / "model", "1")
    clean_drafts(tmp_path)
    assert len(os.listdir(tmp_path)) == 5
