"""What names a document, kept in its shard: read by the document's number, without reading the others'."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from sansi.base.errors import SansiError
from sansi.data.documents import Document
from sansi.data.shards.arrays import map_arrays

OWN = ("id", "url", "title", "sha256", "size")
"""Of each document."""
SHARED = ("source", "language", "licence", "kind")
"""Few values for many documents: a number stands for each combination."""
BRIEF = (*OWN, *SHARED)
DIGEST = 32  # hexadecimal digits of the SHA-256 that are kept: 128 bits
ARRAYS = ("known", "known_ends", "known_shared")


def known_arrays(documents: Sequence[Document]) -> tuple[dict[str, npt.NDArray[Any]], str]:
    """Arrays and a text for a shard's file: what is known of documents 0, 1, …"""
    combinations: dict[tuple[str, ...], int] = {}
    shared = [combinations.setdefault(_shared(one), len(combinations)) for one in documents]
    lines = [
        json.dumps([one.id, one.url, one.title, one.sha256[:DIGEST], one.size], ensure_ascii=False).encode()
        for one in documents
    ]
    ends = np.cumsum([len(line) for line in lines], dtype=np.int64)
    arrays = {
        "known": np.frombuffer(b"".join(lines), np.uint8),
        "known_ends": ends.astype(np.uint32 if len(ends) == 0 or ends[-1] < 1 << 32 else np.int64),
        "known_shared": np.array(shared, np.uint16 if len(combinations) < 1 << 16 else np.uint32),
    }
    return arrays, json.dumps(list(combinations), ensure_ascii=False)


def _shared(document: Document) -> tuple[str, ...]:
    return tuple(getattr(document, name) for name in SHARED)


class Known:
    """What names the documents of a shard. Raises SansiError for a file that is missing or damaged."""

    def __init__(self, path: Path):
        self.path = path
        try:
            file = map_arrays(path)
            self._lines, self._ends, self._shared = (file.arrays[name] for name in ARRAYS)
            self._combinations = json.loads(file.metadata["known_shared"])
        except (OSError, ValueError, KeyError) as error:
            raise self._damaged(error) from error

    def row(self, number: int) -> dict[str, Any]:
        """`BRIEF` of a document."""
        begin = int(self._ends[number - 1]) if number else 0
        try:
            own = json.loads(self._lines[begin : int(self._ends[number])].tobytes())
            shared = self._combinations[int(self._shared[number])]
            return {**dict(zip(OWN, own, strict=True)), **dict(zip(SHARED, shared, strict=True))}
        except (ValueError, IndexError, TypeError) as error:
            raise self._damaged(error) from error

    def _damaged(self, error: Exception) -> SansiError:
        return SansiError(f"{self.path}: missing or damaged ({error}); pack the corpus again")
