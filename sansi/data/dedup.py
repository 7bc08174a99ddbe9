"""Remove what was seen before: repeated paragraphs exactly, repeated documents approximately.

Documents are judged in their order, each against those already kept: first the paragraphs that some kept document (or
the same one, earlier) holds are taken out, then the rest is dropped if it resembles a kept rest. So the kept documents
pass unchanged when they are judged again.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable, Iterator
from hashlib import blake2b
from typing import Any

import numpy as np
import numpy.typing as npt

from sansi.base.errors import SansiError
from sansi.data.documents import Document

MIN_PARAGRAPH = 80  # bytes; shorter paragraphs, such as headings, may repeat
SHINGLE = 8  # characters
PERMUTATIONS = 64
CHUNK = 1 << 14  # shingles hashed at once, to bound memory


class Deduplicator:
    """Judges documents one by one; `similarity` is the Jaccard index of shingles from which two are the same."""

    def __init__(self, similarity: float = 0.8, min_bytes: int = 60):
        try:
            from datasketch import MinHashLSH
        except ImportError as error:
            raise SansiError('deduplication needs datasketch; run: pip install "sansi[train]"') from error
        self.similarity, self.min_bytes = similarity, min_bytes
        self.near_duplicates, self.repeated_bytes = 0, 0
        self._paragraphs: set[bytes] = set()
        self._index = MinHashLSH(threshold=similarity, num_perm=PERMUTATIONS)
        self._kept: list[Any] = []

    def __call__(self, documents: Iterable[Document]) -> Iterator[Document]:
        """The documents to keep, without repeated paragraphs."""
        for document in documents:
            kept = self.judge(document)
            if kept is not None:
                yield kept

    def judge(self, document: Document) -> Document | None:
        """The document without what was seen before, or None if nothing much would be left."""
        paragraphs, digests = self._new_paragraphs(document)
        rest = document.with_text("\n\n".join(paragraphs))
        self.repeated_bytes += document.size - rest.size
        signature = minhash(rest.text)
        if rest.size < self.min_bytes or self._is_known(signature):
            self.near_duplicates += 1
            return None
        self._index.insert(len(self._kept), signature)
        self._kept.append(signature)
        self._paragraphs.update(digests)
        return rest

    def _new_paragraphs(self, document: Document) -> tuple[list[str], set[bytes]]:
        if document.kind == "code":  # taking paragraphs out of a program would break it
            return [document.text], set()
        digests: set[bytes] = set()
        kept = []
        for paragraph in document.text.split("\n\n"):
            raw = paragraph.strip().encode()
            digest = blake2b(raw, digest_size=12).digest()
            if len(raw) < MIN_PARAGRAPH:
                kept.append(paragraph)
            elif digest not in self._paragraphs and digest not in digests:
                kept.append(paragraph)
                digests.add(digest)
        return kept, digests

    def _is_known(self, signature: Any) -> bool:
        # The index answers with candidates; only the estimate itself decides.
        candidates = self._index.query(signature)
        return any(signature.jaccard(self._kept[key]) >= self.similarity for key in candidates)


def minhash(text: str) -> Any:
    """The MinHash of a text's character shingles, white space apart; works in scripts without spaces too."""
    signature = _empty_minhash().copy()
    hashes = shingle_hashes(text)
    for begin in range(0, len(hashes), CHUNK):
        signature.update_batch(hashes[begin : begin + CHUNK])
    return signature


@functools.cache
def _empty_minhash() -> Any:
    # Drawing the permutations takes longer than hashing a short text, so it is done once.
    from datasketch import MinHash

    return MinHash(PERMUTATIONS, seed=1, hashfunc=int)


def shingle_hashes(text: str) -> npt.NDArray[np.uint32]:
    """Distinct 32-bit hashes of all runs of SHINGLE characters."""
    letters = "".join(text.split()).casefold()
    codes = np.frombuffer(letters.encode("utf-32-le"), np.uint32).astype(np.uint64)
    size = max(len(codes) - SHINGLE + 1, 1)
    hashes = np.zeros(size, np.uint64)
    for offset in range(min(SHINGLE, len(codes))):
        # FNV-1a over code points: the multiplication wraps in 64 bits on purpose.
        hashes = (hashes ^ codes[offset : offset + size]) * np.uint64(0x100000001B3)
    return np.unique((hashes >> np.uint64(29)).astype(np.uint32))
