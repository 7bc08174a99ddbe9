"""One question at a time: whoever asks waits for the turn, in the order of coming, on whatever event loop."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from weakref import WeakKeyDictionary


class Turn:
    """A lock for each event loop: runs on different loops belong to different users, or have approvals of their own."""

    def __init__(self) -> None:
        self._locks: WeakKeyDictionary[asyncio.AbstractEventLoop, asyncio.Lock] = WeakKeyDictionary()

    @asynccontextmanager
    async def mine(self) -> AsyncIterator[None]:
        async with self._locks.setdefault(asyncio.get_running_loop(), asyncio.Lock()):
            yield
