"""One progress bar for every long piece of work: done, total, rate, ETA. And a line for what has no total."""

from __future__ import annotations

import contextlib
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from datetime import timedelta
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:  # rich is imported where a bar is drawn: a server that draws none does not wait for it
    from rich.progress import Progress


def _bytes(count: float) -> str:
    from rich.filesize import decimal

    return decimal(int(count))


UNITS: Mapping[str, Callable[[float], str]] = MappingProxyType(
    {"things": lambda count: f"{count:.0f}", "bytes": _bytes}
)
"""How a count is shown, by what is counted."""
RATES: Mapping[str, Callable[[float], str]] = MappingProxyType({**UNITS, "things": lambda rate: f"{rate:.3g}"})


class Bar:
    """What `progress_bar` yields: `update(n, note)` moves it, whether or not anybody is watching, from any thread."""

    def __init__(self, progress: Progress, title: str, total: int, done: int, unit: str, lines: bool):
        self._progress, self._title, self._total, self._done = progress, title, total, done
        self._count, self._rate, self._lines = UNITS[unit], RATES[unit], lines
        self._task = progress.add_task(title, total=total, completed=done, note="", rate="", counts=self._counts())
        self._first, self._start = done, time.monotonic()  # a resumed run's rate counts what this process did
        self._printed = -1
        self._lock = threading.Lock()

    def update(self, advance: int = 1, note: str = "") -> None:
        with self._lock:
            self._done += advance
            rate = (self._done - self._first) / max(time.monotonic() - self._start, 1e-9)
            shown = f"{self._rate(rate)}/s"
            self._progress.update(self._task, advance=advance, note=note, rate=shown, counts=self._counts())
            tenth = 10 * self._done // max(self._total, 1)
            if self._progress.disable and self._lines and tenth > self._printed:
                self._printed = tenth  # a log file gets eleven lines, not a redrawn bar
                left = timedelta(seconds=round(max(self._total - self._done, 0) / rate)) if rate > 0 else "?"
                done = f"{self._title}: {self._counts()}, {shown}, {left} left {note}"
                print(done.rstrip(), file=sys.stderr, flush=True)

    def describe(self, title: str) -> None:
        """What is being done now."""
        self._title = title
        self._progress.update(self._task, description=title)

    def _counts(self) -> str:
        return f"{self._count(self._done)}/{self._count(self._total)}"


@contextlib.contextmanager
def progress_bar(title: str, total: int, done: int = 0, *, unit: str = "things", lines: bool = True) -> Iterator[Bar]:
    """Show progress on stderr: a live bar on a terminal; elsewhere a line per tenth, or nothing without `lines`.

    done: where a run resumes. unit: "things" or "bytes".
    """
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

    console = Console(stderr=True)
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.fields[counts]}"),
        TextColumn("{task.fields[rate]}"),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[note]}"),
    )
    with Progress(*columns, console=console, disable=not console.is_terminal) as progress:
        yield Bar(progress, title, total, done, unit, lines)


def status(text: str) -> contextlib.AbstractContextManager[Any]:
    """A line on stderr that says what takes so long, for somebody who watches."""
    if not sys.stderr.isatty():
        return contextlib.nullcontext()
    from rich.console import Console

    return Console(stderr=True).status(text)
