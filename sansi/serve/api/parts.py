"""An answer as parts that come one after the other: thoughts, texts and calls, each begun, added to and ended."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from sansi.serve.api.response_bodies import Chunk


class Part:
    """A part while it is written. What it tells at each step is its dialect's."""

    def takes(self, event: Any) -> bool:
        """Whether the event adds to this part."""
        raise NotImplementedError

    def begin(self) -> list[Chunk]:
        raise NotImplementedError

    def add(self, event: Any) -> list[Chunk]:
        raise NotImplementedError

    def end(self, whole: bool) -> list[Chunk]:
        """`whole`: it was not cut off."""
        raise NotImplementedError


class Parts:
    """The parts of one answer, of which one at most is open. `make`: the part that begins with an event."""

    def __init__(self, make: Callable[[Any, int], Part]):
        self._make = make
        self._open: Part | None = None
        self.count = 0
        """Parts that have begun."""

    def write(self, event: Any) -> list[Chunk]:
        """What an event tells: it adds to the open part, or ends it and begins the next."""
        chunks: list[Chunk] = []
        if self._open is None or not self._open.takes(event):
            chunks = self.end()
            self._open = self._make(event, self.count)
            self.count += 1
            chunks += self._open.begin()
        return chunks + self._open.add(event)

    def end(self, whole: bool = True) -> list[Chunk]:
        """What ends the open part, if there is one."""
        part, self._open = self._open, None
        return [] if part is None else part.end(whole)
