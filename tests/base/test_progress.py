import io
import re

import pytest
import rich.console
from rich.console import Console
from sansi.base import progress
from sansi.base.progress import progress_bar


def test_a_log_file_gets_a_line_per_tenth(capsys):
    with progress_bar("train", 1000) as bar:
        for step in range(1000):
            bar.update(1, f"loss {step}")
    out, err = capsys.readouterr()
    lines = err.splitlines()
    assert out == ""
    assert len(lines) == 11
    assert re.fullmatch(r"train: 100/1000, \S+/s, \d+:\d\d:\d\d left loss 99", lines[1])
    assert lines[-1].startswith("train: 1000/1000, ")


def test_a_resumed_bar_starts_where_it_was(capsys):
    with progress_bar("train", 100, done=90) as bar:
        bar.update(10)
    assert capsys.readouterr().err.startswith("train: 100/100, ")


def test_the_rate_counts_what_this_process_did(capsys, monkeypatch):
    clock = iter([0.0, 10.0])
    monkeypatch.setattr(progress.time, "monotonic", lambda: next(clock, 10.0))
    with progress_bar("train", 200, done=100) as bar:
        bar.update(50)
    assert capsys.readouterr().err == "train: 150/200, 5/s, 0:00:10 left\n"


@pytest.mark.parametrize("total", [0, 3])
def test_totals_that_do_not_divide_by_ten(capsys, total):
    with progress_bar("short", total) as bar:
        for _ in range(total):
            bar.update()
    assert len(capsys.readouterr().err.splitlines()) == total


def test_bytes_are_shown_as_sizes_and_what_is_done_by_its_name(capsys):
    with progress_bar("", 2_000_000, unit="bytes") as bar:
        bar.describe("weights")
        bar.update(1_500_000)
    assert capsys.readouterr().err.startswith("weights: 1.5 MB/2.0 MB, ")


def test_a_bar_without_lines_is_quiet_in_a_log_file(capsys):
    with progress_bar("budget 16", 10, lines=False) as bar:
        bar.update(10)
    assert capsys.readouterr().err == ""


def test_an_error_passes_through():
    with pytest.raises(KeyError), progress_bar("train", 3):
        raise KeyError("x")


def test_a_terminal_gets_a_bar_with_rate_and_eta(monkeypatch):
    screen = io.StringIO()
    monkeypatch.setattr(rich.console, "Console", lambda stderr: Console(file=screen, force_terminal=True, width=120))
    with progress_bar("train", 10) as bar:
        bar.update(10, "loss 0.5")
    shown = screen.getvalue()
    assert "10/10" in shown
    assert "/s" in shown
    assert "loss 0.5" in shown
