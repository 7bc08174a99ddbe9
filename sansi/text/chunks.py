"""Chunks of a prompt, encoded once: a chat that grows by a message is not tokenised again from its start."""

from __future__ import annotations

import threading
import unicodedata
from bisect import bisect_left
from collections import OrderedDict
from collections.abc import Sequence
from itertools import accumulate
from typing import NamedTuple

from sansi.text.tokenizer import Tokenizer

MAX_CHARS = 2**21  # of cached text: some 2,000,000 characters, 500,000 ids, 30 MB


class Chunk(NamedTuple):
    """The ids of adjacent texts encoded together, and where each text's first token stands."""

    ids: tuple[int, ...]
    starts: tuple[int, ...]
    """A token belongs to the text that holds its first byte."""


class ChunkEncoder:
    """Encodes chunks through a least-recently-used cache that is bounded in characters. Threads may share it."""

    def __init__(self, tokenizer: Tokenizer, max_chars: int = MAX_CHARS):
        self.tokenizer, self._max_chars = tokenizer, max_chars
        self._cache: OrderedDict[tuple[str, ...], Chunk] = OrderedDict()
        self._chars = 0
        self._lock = threading.Lock()

    def encode(self, texts: tuple[str, ...]) -> Chunk:
        """The chunk that `texts` form, read as plain text."""
        return self.encode_all([texts])[0]

    def encode_all(self, chunks: Sequence[tuple[str, ...]]) -> list[Chunk]:
        """Encode each of `chunks` on its own."""
        cache = self._cache
        found = []
        with self._lock:
            for texts in chunks:
                found.append(cache.get(texts))
                if found[-1] is not None:
                    cache.move_to_end(texts)
        done = []
        for texts, chunk in zip(chunks, found, strict=True):
            if chunk is None:
                chunk = self._encode(texts)
                self._keep(texts, chunk)
            done.append(chunk)
        return done

    @property
    def chars(self) -> int:
        """Characters in the cache."""
        return self._chars

    def _keep(self, texts: tuple[str, ...], chunk: Chunk) -> None:
        size = sum(map(len, texts))
        if size > self._max_chars:
            return
        with self._lock:
            if texts in self._cache:  # another thread was faster
                return
            self._cache[texts] = chunk
            self._chars += size
            while self._chars > self._max_chars:
                old, _ = self._cache.popitem(last=False)
                self._chars -= sum(map(len, old))

    def _encode(self, texts: tuple[str, ...]) -> Chunk:
        ids = tuple(self.tokenizer.encode("".join(texts)))
        if len(texts) == 1:
            return Chunk(ids, (0,))
        ends = list(accumulate(len(self.tokenizer.token_bytes(token)) for token in ids))
        offsets = [0, *accumulate(self._lengths(texts, ends[-1] if ends else 0))]
        # The first token that begins at or after the text's first byte: its predecessor ends there or later.
        begins = [0, *ends]
        return Chunk(ids, tuple(min(bisect_left(begins, offset), len(ids)) for offset in offsets[:-1]))

    @staticmethod
    def _lengths(texts: tuple[str, ...], total: int) -> list[int]:
        """Bytes of each text as the tokenizer saw it: most normalise to NFC first, which moves what follows.

        The texts of a chunk meet at a line break or another ASCII mark, so each normalises on its own.
        """
        composed = [unicodedata.normalize("NFC", text) for text in texts]
        lengths = [len(text.encode()) for text in composed]
        return lengths if sum(lengths) == total else [len(text.encode()) for text in texts]
