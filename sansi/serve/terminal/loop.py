"""An event loop for a command that Ctrl-C may end at any moment."""

from __future__ import annotations

import asyncio
import signal
import threading
from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")


def run(main: Coroutine[Any, Any, T]) -> T:
    """`asyncio.run`. An interrupt that comes while the loop is being made waits until it runs, and then cancels `main`.

    Otherwise it would leave a loop that is half made and a coroutine that never began, and Python complains of both.
    """
    if not hasattr(signal, "pthread_sigmask") or threading.current_thread() is not threading.main_thread():
        return asyncio.run(main)
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})

    async def listening() -> T:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
        await asyncio.sleep(0)  # one that waited cancels here, before anything has begun
        return await main

    try:
        return asyncio.run(listening())
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
        main.close()
