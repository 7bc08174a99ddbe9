"""Lines out of chunks of bytes, in linear time and bounded memory, however long a line and wherever a chunk ends."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

KEPT = 4096  # bytes of a dropped line's two ends: its id stands at one of them


@dataclass(frozen=True)
class DroppedLine:
    """A line over the limit. Only its ends are kept."""

    size: int
    """Bytes, its line break not counted."""
    head: bytes
    tail: bytes


class LineReader:
    """Fed chunks, it gives the lines that they complete."""

    def __init__(self, max_bytes: int):
        self.max_bytes = max_bytes
        self._parts: list[bytes] = []
        self._size = 0
        self._head = b""

    def feed(self, chunk: bytes) -> Iterator[bytes | DroppedLine]:
        start = 0
        while (end := chunk.find(b"\n", start)) >= 0:
            self._add(chunk[start:end])
            yield self._line()
            start = end + 1
        self._add(chunk[start:])

    def finish(self) -> Iterator[bytes | DroppedLine]:
        """The last line, where the stream ended without a line break."""
        if self._size:
            yield self._line()

    def _add(self, part: bytes) -> None:
        if not part:
            return
        self._parts.append(part)
        self._size += len(part)
        if self._size > self.max_bytes:
            joined = b"".join(self._parts)
            self._head = self._head or joined[:KEPT]
            self._parts = [joined[-KEPT:]]

    def _line(self) -> bytes | DroppedLine:
        joined, size, head = b"".join(self._parts), self._size, self._head
        self._parts, self._size, self._head = [], 0, b""
        return DroppedLine(size, head, joined[-KEPT:]) if size > self.max_bytes else joined
