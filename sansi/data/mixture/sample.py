"""What proxies read: pieces of some documents, so few that a proxy repeats them as often as the target run would.

A run that reads the corpus `epochs` times repeats what it weighs most; a proxy that drew as little from the whole
corpus would repeat nothing, and scarce data would look better than they are. So a proxy that reads 1/1000 of the bytes
gets 1/1000 of the pieces, under the same weights. Pieces, not documents: a few long ones would be no sample.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from sansi.data.documents import Document
from sansi.data.mixture.weights import unit_hash

PIECE_CHARACTERS = 2000
CLUSTER = "cluster"


@dataclass(frozen=True)
class Piece:
    """A part of a document's text."""

    document: int
    """Its document's number, in the order of reading."""
    id: str
    text: str

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
        if share >= 1 or unit_hash(f"{seed} piece {place} of {key}") < share:
            text = document.text[begin : begin + PIECE_CHARACTERS]
            yield Piece(number, f"{document.id}#{place}", text)
