"""Several streams read as one."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from typing import Any

AHEAD = 16  # items that wait for the reader, for each stream


class Merged:
    """The items of all streams with the index of theirs, as they come; the first error of any of them is raised.

    Each stream has a task once there are several. `aclose` ends the tasks and closes the streams.
    """

    def __init__(self, streams: Sequence[AsyncIterator[Any]]):
        self._streams = streams
        self._tasks: list[asyncio.Task[None]] = []

    async def __aiter__(self) -> AsyncIterator[tuple[int, Any]]:
        if len(self._streams) == 1:
            async for item in self._streams[0]:
                yield 0, item
            return
        queue = asyncio.Queue[tuple[int, Any, BaseException | None]](AHEAD * len(self._streams))
        self._tasks = [asyncio.create_task(_pump(i, stream, queue)) for i, stream in enumerate(self._streams)]
        left = len(self._tasks)
        while left:
            index, item, error = await queue.get()
            if error is not None and not isinstance(error, StopAsyncIteration):
                raise error
            if error is not None:
                left -= 1
            else:
                yield index, item

    async def aclose(self) -> None:
        """Closing twice is fine."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for stream in self._streams:
            await stream.aclose()  # type: ignore[attr-defined]


async def _pump(
    index: int, stream: AsyncIterator[Any], queue: asyncio.Queue[tuple[int, Any, BaseException | None]]
) -> None:
    """Pass the items on, and in the end an error: StopAsyncIteration where all is well."""
    end: Exception = StopAsyncIteration()
    try:
        async for item in stream:
            await queue.put((index, item, None))
    except Exception as error:
        end = error
    await queue.put((index, None, end))
