"""`sansi` with an engine that takes its time, 50 ms a step, until a line comes on its standard input."""

from __future__ import annotations

import sys
import threading

from sansi.cli import main
from sansi.engine.scheduler import Scheduler

hurry = threading.Event()
schedule = Scheduler.schedule


def slow_schedule(self: Scheduler) -> list:
    hurry.wait(0.05)
    return schedule(self)


def listen() -> None:
    sys.stdin.readline()
    hurry.set()


if __name__ == "__main__":
    Scheduler.schedule = slow_schedule  # type: ignore[method-assign]
    threading.Thread(target=listen, daemon=True).start()
    main()
