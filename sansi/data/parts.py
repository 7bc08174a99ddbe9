"""Parts: pieces of a source's input, by which work is done, committed and resumed."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol, TypeAlias

from sansi.data.documents import BadRecord, Record

PART_BYTES = 8_000_000
"""About how much input a part holds: what a kill costs at most, for each worker."""
Records: TypeAlias = Iterator[Record | BadRecord]


class Part(Protocol):
    """A piece of input. Small, picklable; of a source that has not changed, the same on every run."""

    @property
    def name(self) -> str:
        """Which piece it is, in words: a file, a range of one, a group of files."""
        ...

    @property
    def size(self) -> int:
        """Bytes of input."""
        ...

    def records(self) -> Records:
        """What it holds, in an order that never changes. Where a record is broken it yields a `BadRecord`."""
        ...
