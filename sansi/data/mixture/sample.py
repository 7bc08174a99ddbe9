"""What proxies read: pieces of some documents, so few that a proxy repeats them as often as the target run would.

A run that reads the corpus `epochs` times repeats what it weighs most; a proxy that drew as little from the whole
corpus would repeat nothing, and scarce data would look better than they are. So a proxy that reads 1/1000 of the bytes
gets 1/1000 of the pieces, under the same weights. Pieces, not documents: a few long ones would be no sample.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from sansi.data.documents import Document
from sansi.data.mixture.features import Floats
from sansi.data.mixture.shares import Bounds, divergence, weights
from sansi.data.mixture.weights import times_included, unit_hash

PIECE_CHARACTERS = 2000
CLUSTER = "cluster"
SPARE = 1.5  # of what is drawn at first, since the pieces of low rank may be short ones


@dataclass(frozen=True)
class Piece:
    """A part of a document's text."""

    document: int
    """Its document's number, in the order of reading."""
    id: str
    text: str
    rank: float = 0.0
    """In [0, 1): a sample is the pieces of the lowest ranks."""

    @property
    def size(self) -> int:
        return len(self.text.encode())


@dataclass(frozen=True)
class Pieces:
    """A sample of pieces without their texts."""

    owners: npt.NDArray[np.int64]
    """Number of the document of each."""
    sizes: npt.NDArray[np.int64]
    """Bytes of each."""
    ids: tuple[str, ...]

    @classmethod
    def of(cls, pieces: Iterable[Piece]) -> Pieces:
        kept = [(piece.document, piece.size, piece.id) for piece in pieces]
        owners, sizes = (np.array([item[i] for item in kept], np.int64) for i in (0, 1))
        return cls(owners, sizes, tuple(item[2] for item in kept))

    def __len__(self) -> int:
        return len(self.ids)


def pieces_of(number: int, document: Document, share: float, seed: int) -> Iterator[Piece]:
    """About `share` of the pieces of a document.

    Documents of one cluster of near-duplicates (`metadata["cluster"]`) keep their pieces together: a sample of single
    documents would thin out the very repeats whose cost is to be measured.
    """
    key = document.metadata.get(CLUSTER) or document.id
    for place, begin in enumerate(range(0, len(document.text), PIECE_CHARACTERS)):
        rank = unit_hash(f"{seed} piece {place} of {key}")
        if rank < share:
            yield Piece(number, f"{document.id}#{place}", document.text[begin : begin + PIECE_CHARACTERS], rank)


def sample_pieces(documents: Iterable[Document], share: float, seed: int, corpus_bytes: float) -> list[Piece]:
    """Pieces of as good as exactly this share of the bytes of the corpus, in its order."""
    wanted = share * corpus_bytes
    drawn = [piece for n, d in enumerate(documents) for piece in pieces_of(n, d, min(1.0, SPARE * share), seed)]
    kept, size = set(), 0
    for piece in sorted(drawn, key=lambda piece: (piece.rank, piece.id)):
        if size >= wanted:
            break
        kept.add(piece.id)
        size += piece.size
    return [piece for piece in drawn if piece.id in kept]


@dataclass(frozen=True)
class Sample:
    """What proxies can read, as features."""

    features: Floats
    """[pieces, features]"""
    pieces: Pieces
    total: float
    """Bytes that a proxy reads."""

    @cached_property
    def sizes(self) -> Floats:
        return self.pieces.sizes.astype(np.float64)

    def counts(self, weights: Floats, seed: int) -> npt.NDArray[np.int64]:
        pairs = zip(weights.tolist(), self.pieces.ids, strict=True)
        return np.array([times_included(weight, piece, seed) for weight, piece in pairs], np.int64)

    def weights(self, coefficients: Floats, bounds: Bounds) -> Floats:
        """[pieces]: how often each is read on average, with these coefficients of the features."""
        return weights(self.features @ coefficients, self.sizes, self.total, bounds)

    def concentration(self, weights: Floats) -> float:
        """Of what is read with these weights, in nats."""
        return divergence(weights, self.sizes)

    def exposure(self, counts: npt.NDArray[Any]) -> Floats:
        """Means of the features over what is read with these counts, or on average with these weights."""
        read = counts * self.sizes
        return read @ self.features / read.sum()
