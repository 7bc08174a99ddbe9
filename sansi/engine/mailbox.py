"""From the stepping thread into an event loop: one wake-up for all its streams, and no more than the loop can take.

Each wake-up costs every stream that has news some 0.1 ms in the loop: parsing, JSON, the socket. With many streams of a
fast model that would be more than the loop has, and it would take it from the model. So deliveries keep a distance that
grows with the number of streams; what came meanwhile is one delta. First tokens and ends do not wait.
"""

from __future__ import annotations

import asyncio
from collections import deque
from dataclasses import dataclass, field
from typing import TypeVar

from sansi.engine.results import Completion, Delta

DISTANCE = 0.001  # seconds between two deliveries, for each open stream
LONGEST = 0.04  # and at most: text still flows to the eye
AT_ONCE = 4  # streams that are delivered in one turn of the loop

T = TypeVar("T")
Item = Delta | Completion | Exception


@dataclass(eq=False)
class Stream:
    """The news of one request. The stepping thread posts, the event loop takes.

    Both use `items` without a lock: one end grows, the other is cut off, and the list itself is never replaced.
    """

    mailbox: Mailbox
    items: list[Item] = field(default_factory=list)
    begun: bool = False
    ready: bool = False  # something was delivered that was not taken yet
    waiter: asyncio.Future[None] | None = None

    def post(self, item: Item) -> None:
        """Called by the stepping thread. Raises RuntimeError when the event loop is closed."""
        if self.mailbox.loop.is_closed():
            raise RuntimeError("nobody listens any more")
        urgent = not self.begun or not isinstance(item, Delta)
        self.begun = True
        self.items.append(item)
        self.mailbox.announce(self, urgent)

    async def take(self) -> list[Item]:
        """What came since the last call, at least one; deltas that came together are one."""
        if not self.ready:
            self.waiter = self.mailbox.loop.create_future()
            await self.waiter
        self.ready = False
        return merged(_taken(self.items))

    def deliver(self) -> None:
        self.ready = bool(self.items)
        if self.ready and self.waiter is not None and not self.waiter.done():
            self.waiter.set_result(None)


class Mailbox:
    """All streams that one event loop has from one engine."""

    def __init__(self, loop: asyncio.AbstractEventLoop):
        self.loop = loop
        self.open = 0  # streams
        self._waiting: list[Stream] = []  # those with news that may wait; as `Stream.items`
        self._due: deque[Stream] = deque()  # those that the loop has come for, of which it delivers a few at a time
        self._woken = False  # the loop will come for them
        self._next = 0.0  # the earliest time of the next delivery

    def announce(self, stream: Stream, urgent: bool) -> None:
        """Called by the stepping thread."""
        if urgent:
            self.loop.call_soon_threadsafe(stream.deliver)
            return
        self._waiting.append(stream)
        if not self._woken:
            self._woken = True
            self.loop.call_soon_threadsafe(self._come)

    def _come(self) -> None:
        if self.loop.time() < self._next:
            self.loop.call_at(self._next, self._deliver)
        else:
            self._deliver()

    def _deliver(self) -> None:
        self._next = self.loop.time() + min(LONGEST, DISTANCE * self.open)
        self._woken = False  # first: what is announced from here on is taken below, or wakes the loop again
        self._due.extend(dict.fromkeys(_taken(self._waiting)))
        self._deliver_some()

    def _deliver_some(self) -> None:
        """A few at a time: between them the loop sees to new requests, and to first tokens."""
        for _ in range(min(AT_ONCE, len(self._due))):
            self._due.popleft().deliver()
        if self._due:
            self.loop.call_soon(self._deliver_some)


def _taken(growing: list[T]) -> list[T]:
    """What a list holds now, which is cut off it while another thread may append."""
    taken = growing[: len(growing)]
    del growing[: len(taken)]
    return taken


def merged(items: list[Item]) -> list[Item]:
    """The same news, with neighbouring deltas as one."""
    if len(items) < 2 or not isinstance(items[1], Delta):
        return items
    deltas = [item for item in items if isinstance(item, Delta)]  # whatever else there is comes last
    return [_joined(deltas), *items[len(deltas) :]]


def _joined(deltas: list[Delta]) -> Delta:
    first = deltas[0]
    return Delta(
        ids=tuple(token for delta in deltas for token in delta.ids),
        logprobs=None if first.logprobs is None else tuple(x for delta in deltas for x in delta.logprobs or ()),
        top_logprobs=None
        if first.top_logprobs is None
        else tuple(x for delta in deltas for x in delta.top_logprobs or ()),
        forced_at=deltas[-1].forced_at,
    )
