"""One progress bar for every long piece of work: done, total, rate, ETA."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn


class Bar:
    """What `progress_bar` yields: `update(n, note)` moves it, whether or not anybody is watching."""

    def __init__(self, progress: Progress, task: object, console: Console, title: str, total: int):
        self._progress, self._task, self._console = progress, task, console
        self._title, self._total, self._done, self._printed = title, total, 0, -1

    def update(self, advance: int = 1, note: str = "") -> None:
        self._done += advance
        self._progress.update(self._task, advance=advance, note=note)  # type: ignore[arg-type]
        tenth = 10 * self._done // max(self._total, 1)
        if not self._console.is_terminal and tenth > self._printed:  # a log file gets eleven lines, not a redrawn bar
            self._printed = tenth
            print(f"{self._title}: {self._done}/{self._total} {note}", file=sys.stderr, flush=True)


@contextmanager
def progress_bar(title: str, total: int, done: int = 0) -> Iterator[Bar]:
    """Show progress on stderr: a live bar with ETA on a terminal, a line per tenth elsewhere."""
    console = Console(stderr=True)
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[note]}"),
    )
    with Progress(*columns, console=console, disable=not console.is_terminal) as progress:
        task = progress.add_task(title, total=total, completed=done, note="")
        bar = Bar(progress, task, console, title, total)
        bar._done = done
        yield bar
