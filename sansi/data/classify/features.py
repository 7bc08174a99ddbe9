"""A text as a vector of hashed words: what the linear classifiers see."""

from __future__ import annotations

import itertools
import re
import zlib
from collections import Counter

import numpy as np
import numpy.typing as npt

SIZE = 1 << 14  # of the vector
READ = 4000  # characters of a text that are looked at
_WORD = re.compile(r"[^\W\d_]+|\d+|[^\w\s]")


class _Known(dict[str, int]):
    def __missing__(self, word: str) -> int:
        if len(self) > 1 << 18:
            self.clear()
        place = self[word] = zlib.crc32(word.encode("utf-8", "surrogatepass")) % SIZE
        return place


_known = _Known()


def features(text: str) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float32]]:
    """Places and values [n], of Euclidean length 1: words in lower case and pairs of neighbours, by the roots of their
    counts. Numbers count as one word by their length, marks as words."""
    words = _WORD.findall(text[:READ].lower())
    words = [f"#{min(len(word), 4)}" if word.isdigit() else word for word in words]
    counts = Counter(map(_known.__getitem__, words))
    counts.update(map(_known.__getitem__, map("_".join, itertools.pairwise(words))))
    places = np.fromiter(counts.keys(), np.int64, len(counts))
    values = np.sqrt(np.fromiter(counts.values(), np.float32, len(counts)))
    return places, (values / max(float(np.linalg.norm(values)), 1e-9)).astype(np.float32)
