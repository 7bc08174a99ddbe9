"""One progress bar for every long piece of work: done, total, rate, ETA."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn


class Bar:
    """What `progress_bar` yields: `update(n, note)` moves it, whether or not anybody is watching."""

    def __init__(self, progress: Progress, title: str, total: int, done: int):
        self._progress, self._title, self._total, self._done = progress, title, total, done
        self._task = progress.add_task(title, total=total, completed=done, note="", rate="")
        self._first, self._start = done, time.monotonic()  # a resumed run's rate counts what this process did
        self._printed = -1

    def update(self, advance: int = 1, note: str = "") -> None:
        self._done += advance
        rate = (self._done - self._first) / max(time.monotonic() - self._start, 1e-9)
        self._progress.update(self._task, advance=advance, note=note, rate=f"{rate:.3g}/s")
        tenth = 10 * self._done // max(self._total, 1)
        if self._progress.disable and tenth > self._printed:  # a log file gets eleven lines, not a redrawn bar
            self._printed = tenth
            left = timedelta(seconds=round(max(self._total - self._done, 0) / rate)) if rate > 0 else "?"
            done = f"{self._title}: {self._done}/{self._total}, {rate:.3g}/s, {left} left {note}"
            print(done.rstrip(), file=sys.stderr, flush=True)


@contextmanager
def progress_bar(title: str, total: int, done: int = 0) -> Iterator[Bar]:
    """Show progress on stderr: a live bar on a terminal, a line per tenth elsewhere. `done` is where a run resumes."""
    console = Console(stderr=True)
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[rate]}"),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[note]}"),
    )
    with Progress(*columns, console=console, disable=not console.is_terminal) as progress:
        yield Bar(progress, title, total, done)
