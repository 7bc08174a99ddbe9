"""An event loop for a command that Ctrl-C may end at any moment."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import threading
from collections.abc import Coroutine, Iterator
from types import FrameType
from typing import Any, TypeVar

T = TypeVar("T")


def run(main: Coroutine[Any, Any, T]) -> T:
    """`asyncio.run`. An interrupt that comes while the loop is being made is raised once it is made.

    Otherwise it would leave a loop that is half made and a coroutine that never began, and Python complains of both.
    """
    try:
        with contextlib.ExitStack() as stack:
            with _interrupts_wait():
                runner = stack.enter_context(asyncio.Runner())
            return runner.run(main)
    finally:
        main.close()


@contextlib.contextmanager
def _interrupts_wait() -> Iterator[None]:
    """Raises KeyboardInterrupt at its end, if one came. (Were the signal blocked, another thread would take it.)"""
    default, came = signal.default_int_handler, []
    if threading.current_thread() is not threading.main_thread() or signal.getsignal(signal.SIGINT) is not default:
        yield
        return

    def note(number: int, frame: FrameType | None) -> None:
        came.append(number)

    signal.signal(signal.SIGINT, note)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, default)
    if came:
        raise KeyboardInterrupt
