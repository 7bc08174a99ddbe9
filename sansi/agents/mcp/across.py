"""Awaiting on one thread's loop what runs on another's."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from contextlib import suppress
from typing import Any, TypeVar

from sansi.base import SansiError

Result = TypeVar("Result")
Post = Callable[[Callable[[], None]], object]
"""Has a loop's thread do something soon, as `call_soon_threadsafe`. Raises RuntimeError or SansiError where it has
ended."""


async def across(post: Post, work: Coroutine[Any, Any, Result]) -> Result:
    """What `work` gives on the loop of `post`. Cancelling this cancels it. Raises what `post` raises.

    `asyncio.wrap_future(asyncio.run_coroutine_threadsafe(…))` does the same by a future more, at twice the price.
    """
    here = asyncio.get_running_loop()
    result: asyncio.Future[Result] = here.create_future()
    tasks: list[asyncio.Task[Result]] = []

    def begin() -> None:
        tasks.append(asyncio.get_running_loop().create_task(work))
        tasks[0].add_done_callback(ended)

    def ended(task: asyncio.Task[Result]) -> None:
        with suppress(RuntimeError):  # nobody is there any more
            here.call_soon_threadsafe(_settle, result, task)

    def cancel() -> None:
        tasks[0].cancel()

    try:
        post(begin)
    except BaseException:
        work.close()
        raise
    try:
        return await result
    except asyncio.CancelledError:
        with suppress(RuntimeError, SansiError):  # it has ended, with all its tasks
            post(cancel)
        raise


def _settle(result: asyncio.Future[Result], task: asyncio.Task[Result]) -> None:
    error = None if task.cancelled() else task.exception()
    if result.done():
        return
    if task.cancelled():
        result.cancel()
    elif error is not None:
        result.set_exception(error)
    else:
        result.set_result(task.result())
