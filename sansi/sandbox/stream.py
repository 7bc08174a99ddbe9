"""Output of any length in bounded memory: its beginning and its end."""

from __future__ import annotations


class HeadTail:
    """Bytes as they come; what is between the first and the last `limit / 2` is dropped and counted."""

    def __init__(self, limit: int):
        self.half = max(1, limit // 2)
        self.head, self.tail = bytearray(), bytearray()
        self.total = 0

    def add(self, data: bytes) -> None:
        self.total += len(data)
        room = self.half - len(self.head)
        self.head += data[:room] if room > 0 else b""
        self.tail += data[max(0, room) :]
        if len(self.tail) > 4 * self.half:  # now and then, so that each byte is moved only a few times
            del self.tail[: -self.half]

    def text(self) -> str:
        """What is kept, with a line that says what is not."""
        tail = self.tail[-self.half :]
        dropped = self.total - len(self.head) - len(tail)
        head = self.head.decode("utf-8", "replace")
        if not dropped:
            return (self.head + tail).decode("utf-8", "replace")
        return f"{head}\n[... {dropped:,} of {self.total:,} bytes left out ...]\n{tail.decode('utf-8', 'replace')}"
