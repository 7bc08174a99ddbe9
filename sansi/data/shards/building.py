"""Encoded documents to one shard: end to end, or packed into rows."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from sansi.base.config import Config, not_among, too_small
from sansi.data.shards.bins import best_fit_decreasing
from sansi.data.shards.encoding import Encoded
from sansi.data.shards.shard import Piece, RowShard, Shard, TokenShard

LONG = ("split", "crop", "drop")


@dataclass(frozen=True)
class Packing(Config):
    """How text becomes shards."""

    sequence_length: int | None = None
    """Tokens of a row. Given, rows are packed best-fit and hold whole documents, but for those that are longer than a
    row; left out, documents lie end to end and are cut into rows of any length when they are read."""
    long_documents: Literal["split", "crop", "drop"] = "split"
    """Of rows, what becomes of documents that are longer than one: split into successive pieces, cropped to the first
    of them, or left out."""
    min_tokens: int = 0
    """Shorter documents are left out; the token that ends a document counts."""
    max_tokens: int | None = None
    """Longer documents are left out."""
    seed: int = 0
    """Of the order of the rows inside a shard; with weights also of which documents are there, and how often."""

    def problems(self) -> list[str]:
        found = too_small(self, 0, "min_tokens", "seed") + too_small(self, 1, "max_tokens", "sequence_length")
        found += not_among(self, "long_documents", LONG)
        if self.sequence_length is None and self.long_documents != "split":
            found.append(f'"long_documents" is "{self.long_documents}", which is of rows; give "sequence_length"')
        if self.max_tokens is not None and self.max_tokens < self.min_tokens:
            found.append(f'"max_tokens" ({self.max_tokens}) is below "min_tokens" ({self.min_tokens})')
        return found


@dataclass(frozen=True)
class Built:
    """A shard in memory, and what it was built of."""

    shard: Shard
    documents: tuple[Encoded, ...]
    """In the order of their numbers."""
    tokens: int
    """In the shard."""
    cropped: int = 0
    """Tokens that were cut off."""


def build(documents: Sequence[Encoded], packing: Packing, dtype: np.dtype, number: int) -> Built:
    """The shard of documents, in their order but for copies, which come after all documents that they are copies of.

    number: the shard's, by which its rows are shuffled.
    """
    ordered = sorted(documents, key=lambda encoded: encoded.copy)  # a stable sort
    masked = any(encoded.loss_mask is not None for encoded in ordered)
    if packing.sequence_length is None:
        return _end_to_end(ordered, dtype, masked)
    return _rows(ordered, packing, dtype, number, masked)


def _end_to_end(documents: Sequence[Encoded], dtype: np.dtype, masked: bool) -> Built:
    lengths = [len(encoded.ids) for encoded in documents]
    starts = np.cumsum([0, *lengths], dtype=np.int64)[:-1]
    tokens = np.concatenate([encoded.ids for encoded in documents]) if documents else np.zeros(0, dtype)
    mask = np.packbits(np.concatenate([_mask_of(encoded) for encoded in documents])) if masked else None
    return Built(TokenShard(tokens, starts, mask), tuple(documents), len(tokens))


def _rows(documents: Sequence[Encoded], packing: Packing, dtype: np.dtype, number: int, masked: bool) -> Built:
    assert packing.sequence_length is not None
    places = packing.sequence_length + 1
    pieces: list[Piece] = []
    rows: list[list[Piece]] = []
    cropped = 0
    for _, copies in itertools.groupby(enumerate(documents), key=lambda item: item[1].copy):
        # Copies are packed apart, so that no row holds a document twice.
        pieces = []
        for index, encoded in copies:
            cut = cut_document(index, len(encoded.ids), packing.sequence_length)
            if packing.long_documents == "crop" and len(cut) > 1:
                cropped += len(encoded.ids) - cut[0].length
                cut = cut[:1]
            pieces += cut
        bins = best_fit_decreasing([piece.length for piece in pieces], places)
        rows += [[pieces[place] for place in row] for row in bins]
    order = np.random.default_rng([packing.seed, number]).permutation(len(rows))
    rows = [rows[place] for place in order]
    ids, mask = np.zeros((len(rows), places), dtype), np.zeros((len(rows), places), bool) if masked else None
    for row, held in enumerate(rows):
        at = 0
        for piece in held:
            encoded, part = documents[piece.document], slice(piece.begin, piece.begin + piece.length)
            ids[row, at : at + piece.length] = encoded.ids[part]
            if mask is not None:
                mask[row, at : at + piece.length] = _mask_of(encoded)[part]
            at += piece.length
    flat = [piece for row in rows for piece in row]
    columns = np.array([(piece.document, piece.begin, piece.length) for piece in flat], np.uint32).reshape(-1, 3)
    shard = RowShard(
        ids,
        np.cumsum([0, *map(len, rows)], dtype=np.int64).astype(np.uint32),
        piece_document=np.ascontiguousarray(columns[:, 0]),
        piece_begin=np.ascontiguousarray(columns[:, 1]),
        piece_length=np.ascontiguousarray(columns[:, 2]),
        document_tokens=np.array([len(encoded.ids) for encoded in documents], np.uint32),
        loss_mask=np.packbits(mask, axis=1) if mask is not None else None,
    )
    return Built(shard, tuple(documents), sum(piece.length for piece in flat), cropped)


def cut_document(document: int, tokens: int, sequence_length: int) -> list[Piece]:
    """The pieces of a document that is longer than a row. Each begins with the last token of the one before it, so that
    every token but the document's first is a target once."""
    begins = range(0, max(tokens - 1, 1), sequence_length)
    return [Piece(document, begin, min(sequence_length + 1, tokens - begin)) for begin in begins]


def _mask_of(encoded: Encoded) -> npt.NDArray[np.bool_]:
    if encoded.loss_mask is not None:
        return encoded.loss_mask
    mask = np.ones(len(encoded.ids), bool)
    mask[0] = False
    return mask
