"""Pre-training rows from token shards."""

from __future__ import annotations

import os
from bisect import bisect_right
from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from itertools import accumulate, pairwise
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from sansi.base.errors import SansiError
from sansi.data.shards.ids import as_id, as_ids, is_whole
from sansi.data.shards.manifest import MANIFEST_FILE, DocumentTokenizer, Manifest, digest_of_shards
from sansi.data.shards.order import BlockOrder
from sansi.data.shards.shard import Piece, RowContent, RowShard, Shard, TokenShard, open_shard
from sansi.data.shards.streams import EpochStream, Row, as_row

MOST_OPEN = 256  # shards that are mapped at once
CACHED_BYTES = 1 << 30  # ids that fit into memory beside everything else: these are read in any order
BLOCK_ROWS = 64  # neighbouring rows of larger data that are read together

Given = Iterable[Path | str | TokenShard | np.ndarray] | Path | str | TokenShard | np.ndarray


class PackedDataset(EpochStream):
    """Pre-training rows of shards that `pack` wrote, or of ids in memory.

    Shards whose documents lie end to end are cut every `sequence_length` tokens; rows overlap by one token, so that in
    an epoch each token is a target exactly once, except the first of each document. Shards that were packed in rows
    give these rows; `sequence_length` is theirs, and may be left out (None). `shards` are folders that `pack` wrote,
    paths of their shards, `TokenShard`s, or bare id arrays, which hold one document each unless `end_of_text_id` says
    where documents end; one of them needs no list. Rows are filled up with `pad_id`.

    tokenizer: what the model reads with, or its `hash`; folders that were packed for another one are refused.
    block_rows: so many neighbouring rows are read together, see `BlockOrder`; None: 1, all rows in a random order, of
    ids that fit into memory (1 GiB), and 64 of more. epochs: after so many the stream ends, on all ranks at the same
    batch; None: never. Raises SansiError for shards that are missing or damaged.
    """

    def __init__(
        self,
        shards: Given,
        sequence_length: int | None,
        batch_size: int,
        seed: int = 0,
        *,
        end_of_text_id: int | None = None,
        pad_id: int = 0,
        tokenizer: DocumentTokenizer | str | None = None,
        block_rows: int | None = None,
        epochs: int | None = None,
        rank: int = 0,
        world_size: int = 1,
    ):
        self.pad_id = as_id(pad_id, '"pad_id"')
        if end_of_text_id is not None:
            end_of_text_id = as_id(end_of_text_id, '"end_of_text_id"')
        read = cache(Manifest.load)  # once for a folder, however many of its shards are given
        parts = [part for shard in _listed(shards) for part in _parts_of(shard, end_of_text_id, tokenizer, read)]
        self.paths = tuple(dict.fromkeys(part.folder for part in parts if part.folder))
        self.parts = Parts([part for part in parts if part.tokens])
        if self.parts.tokens < 2:
            raise SansiError("the shards hold no text to train on; check the corpus that was packed", param="shards")
        self.source = _source_of(self.parts, sequence_length)
        for number in range(min(len(self.parts), MOST_OPEN)):  # damage is better found now than after hours
            self.parts.opened(number)
        super().__init__(self.source.sequence_length, batch_size, seed, rank, world_size, epochs)
        self.largest_id = max(self.pad_id, *(part.largest_id for part in parts))
        whole = self.parts.tokens * self.parts.width
        self.block_rows = (1 if whole <= CACHED_BYTES else BLOCK_ROWS) if block_rows is None else block_rows
        self._check_whole(block_rows=self.block_rows)
        self._order: tuple[int, BlockOrder] | None = None

    @property
    def tokens(self) -> int:
        """Tokens of all shards."""
        return self.parts.tokens

    @property
    def documents(self) -> int:
        return self.parts.documents

    @property
    def rows_per_epoch(self) -> int:
        return self.source.rows

    def fingerprint(self) -> dict[str, Any]:
        facts = {
            "kind": "packed",
            "tokens": self.tokens,
            "digest": self.digest,
            "sequence_length": self.sequence_length,
        }
        return {**facts, "seed": self.seed, "block_rows": self.block_rows}

    def description(self) -> dict[str, Any]:
        return {**self.fingerprint(), "paths": [os.path.abspath(path) for path in self.paths], "pad_id": self.pad_id}

    @cached_property
    def digest(self) -> str:
        return digest_of_shards(self.parts[number].digest for number in range(len(self.parts)))

    def place(self) -> dict[str, int]:
        return {"row": self.epoch * self.rows_per_epoch + self.position}

    def go_to(self, place: Mapping[str, Any]) -> None:
        row: Any = place.get("row")
        if not is_whole(row) or row < 0:
            raise SansiError(f"the saved place is row {row!r}; the state is damaged")
        self.epoch, self.position = divmod(int(row), self.rows_per_epoch)

    def row(self, position: int) -> Row:
        return self.build(self.index_of(position))

    def index_of(self, position: int) -> int:
        """The number of the row, in the order of the shards, at a place of the present epoch."""
        return self.order(self.epoch)[position]

    def order(self, epoch: int) -> BlockOrder:
        """Of the rows in an epoch."""
        if self._order is None or self._order[0] != epoch:
            self._order = epoch, BlockOrder(self.rows_per_epoch, self.seed, epoch, self.block_rows)
        return self._order[1]

    def build(self, index: int) -> Row:
        """The row with this number, in the order of the shards."""
        content = self.source.content(index)
        places, size = self.sequence_length + 1, len(content.ids)
        ids = np.full(places, self.pad_id, np.int64)
        ids[:size] = content.ids
        lengths = [*content.lengths, places - size] if size < places else list(content.lengths)
        document = np.repeat(np.arange(len(lengths)), lengths)  # padding is a document of its own
        target = np.zeros(places, bool)
        target[:size] = True if content.loss_mask is None else content.loss_mask
        return as_row(ids, document, target)

    def pieces(self, index: int) -> list[Piece]:
        """Which documents are in the row with this number; documents are numbered over all shards."""
        return self.source.pieces(index)

    def rows_of(self, document: int) -> list[int]:
        """The numbers of the rows in which a document is, from its beginning on."""
        return self.source.rows_of(document)


@dataclass(frozen=True)
class Part:
    """A shard, as far as that is known without opening it."""

    tokens: int
    documents: int
    rows: int
    width: int  # bytes of an id
    largest_id: int
    digest: str
    open: Callable[[], Shard]
    separator: int | None = None
    sequence_length: int | None = None  # of rows that were packed
    folder: Path | None = None


class Parts:
    """The shards of a dataset, one after another. Few of them are open at a time."""

    def __init__(self, parts: Sequence[Part]):
        self._parts = list(parts)
        self.token_offsets = list(accumulate((part.tokens for part in parts), initial=0))
        self.document_offsets = list(accumulate((part.documents for part in parts), initial=0))
        self.row_offsets = list(accumulate((part.rows for part in parts), initial=0))
        self._open: OrderedDict[int, Shard] = OrderedDict()

    def __len__(self) -> int:
        return len(self._parts)

    def __getitem__(self, number: int) -> Part:
        return self._parts[number]

    @property
    def tokens(self) -> int:
        return self.token_offsets[-1]

    @property
    def documents(self) -> int:
        return self.document_offsets[-1]

    @property
    def width(self) -> int:
        return max(part.width for part in self._parts)

    def opened(self, number: int) -> Shard:
        if number not in self._open:
            self._open[number] = self._parts[number].open()
            if len(self._open) > MOST_OPEN:
                self._open.popitem(last=False)
        self._open.move_to_end(number)
        return self._open[number]


class RowSource(Protocol):
    """Rows by their numbers, in the order of the shards."""

    rows: int
    sequence_length: int

    def content(self, index: int) -> RowContent: ...
    def pieces(self, index: int) -> list[Piece]: ...
    def rows_of(self, document: int) -> list[int]: ...


class CutRows:
    """Documents end to end over all shards, cut every `sequence_length` tokens."""

    def __init__(self, parts: Parts, sequence_length: int):
        self.parts, self.sequence_length = parts, sequence_length
        # -(-a // b) rounds up: n tokens have n - 1 targets.
        self.rows = -(-(parts.tokens - 1) // sequence_length)

    def content(self, index: int) -> RowContent:
        begin, end = self._range(index)
        ids, masks, edges = [], [], [begin]
        for number, low, high in self._spans(begin, end):
            shard, offset = self._shard(number), self.parts.token_offsets[number]
            ids.append(shard.read(low - offset, high - offset))
            masks.append(shard.mask(low - offset, high - offset))
            edges += (self._borders(shard, low - offset, high - offset) + offset).tolist()
            self._check_ends(number, shard, low - offset, high - offset)
        lengths = np.diff(sorted({*edges, end})).tolist()
        if all(mask is None for mask in masks):
            return RowContent(np.concatenate(ids), lengths)
        whole = [np.ones(len(part), bool) if mask is None else mask for part, mask in zip(ids, masks, strict=True)]
        return RowContent(np.concatenate(ids), lengths, np.concatenate(whole))

    def pieces(self, index: int) -> list[Piece]:
        begin, end = self._range(index)
        found = []
        for number, low, high in self._spans(begin, end):
            shard, offset = self._shard(number), self.parts.token_offsets[number]
            edges = [low - offset, *self._borders(shard, low - offset, high - offset).tolist(), high - offset]
            for a, b in pairwise(edges):
                if a < b:
                    document = int(np.searchsorted(shard.starts, a, side="right")) - 1
                    here = self.parts.document_offsets[number] + document
                    found.append(Piece(here, a - int(shard.starts[document]), b - a))
        return found

    def rows_of(self, document: int) -> list[int]:
        number = bisect_right(self.parts.document_offsets, document) - 1
        shard, local = self._shard(number), document - self.parts.document_offsets[number]
        offset = self.parts.token_offsets[number]
        begin = offset + int(shard.starts[local])
        end = offset + int(shard.starts[local + 1] if local + 1 < len(shard.starts) else len(shard.tokens))
        first = min(begin // self.sequence_length, self.rows - 1)  # the one in which its second token is a target
        return list(range(first, max(first, (end - 2) // self.sequence_length) + 1))

    def _range(self, index: int) -> tuple[int, int]:
        begin = index * self.sequence_length
        return begin, min(begin + self.sequence_length + 1, self.parts.tokens)

    def _spans(self, begin: int, end: int) -> Iterable[tuple[int, int, int]]:
        """The shards in a range of tokens, and what of it is each one's."""
        number = bisect_right(self.parts.token_offsets, begin) - 1
        while begin < end:
            high = min(end, self.parts.token_offsets[number + 1])
            yield number, begin, high
            begin, number = high, number + 1

    def _shard(self, number: int) -> TokenShard:
        shard = self.parts.opened(number)
        assert isinstance(shard, TokenShard)
        return shard

    @staticmethod
    def _borders(shard: TokenShard, begin: int, end: int) -> npt.NDArray[np.integer]:
        """Where documents start in a range of a shard; at the beginning of a shard one does."""
        low, high = np.searchsorted(shard.starts, [max(begin, 0), end - 1], side="right")
        low = 0 if begin == 0 else low
        return shard.starts[low:high].astype(np.int64)

    def _check_ends(self, number: int, shard: TokenShard, begin: int, end: int) -> None:
        """Raise SansiError where a document begins and no separator stands before."""
        separator = self.parts[number].separator
        if separator is None or shard.loss_mask is not None:
            return
        ends = self._borders(shard, begin, end) - 1
        ends = ends[ends >= begin]
        if len(ends) and (shard.tokens[ends] != separator).any():
            raise _no_separator(shard.where, separator)


class PackedRows:
    """Rows as they were packed."""

    def __init__(self, parts: Parts, sequence_length: int):
        self.parts, self.sequence_length = parts, sequence_length
        self.rows = parts.row_offsets[-1]

    def content(self, index: int) -> RowContent:
        number, shard, row = self._at(index)
        content, separator = shard.content(row), self.parts[number].separator
        if separator is not None and shard.loss_mask is None:
            ends = shard.ends_of_documents(row)
            if ends and (content.ids[ends] != separator).any():
                raise _no_separator(shard.where, separator)
        return content

    def pieces(self, index: int) -> list[Piece]:
        number, shard, row = self._at(index)
        first = self.parts.document_offsets[number]
        return [Piece(first + piece.document, piece.begin, piece.length) for piece in shard.pieces(row)]

    def rows_of(self, document: int) -> list[int]:
        number = bisect_right(self.parts.document_offsets, document) - 1
        shard = self.parts.opened(number)
        found = shard.rows_of(document - self.parts.document_offsets[number])  # type: ignore[union-attr]
        return [self.parts.row_offsets[number] + row for row in found]

    def _at(self, index: int) -> tuple[int, RowShard, int]:
        number = bisect_right(self.parts.row_offsets, index) - 1
        shard = self.parts.opened(number)
        assert isinstance(shard, RowShard)
        return number, shard, index - self.parts.row_offsets[number]


def _source_of(parts: Parts, sequence_length: int | None) -> RowSource:
    """Raises SansiError for shards that do not go together, and for rows of another length than the packed ones."""
    lengths = {parts[number].sequence_length for number in range(len(parts))}
    if len(lengths) > 1:
        shown = " and ".join("end to end" if length is None else f"rows of {length}" for length in lengths)
        raise SansiError(f"the shards were packed in different ways: {shown}; mix them as datasets", param="shards")
    (packed,) = lengths
    if packed is None:
        if sequence_length is None:
            raise SansiError(
                '"sequence_length" is missing: the documents lie end to end, and are cut into rows of any length',
                param="sequence_length",
            )
        EpochStream.check_length(sequence_length)
        return CutRows(parts, sequence_length)
    if sequence_length not in (None, packed):
        raise SansiError(
            f'"sequence_length" is {sequence_length}, but the shards were packed in rows of {packed}; train with that, '
            "or pack the corpus again",
            param="sequence_length",
        )
    return PackedRows(parts, packed)


def _listed(shards: Any) -> Iterable[Any]:
    """A list of shards; one alone is a list of one."""
    if isinstance(shards, str | Path | TokenShard) or (isinstance(shards, np.ndarray) and shards.dtype != object):
        return [shards]
    if isinstance(shards, Mapping) or not isinstance(shards, Iterable):
        raise SansiError(f"shards of type {type(shards).__name__}: give paths, shards or arrays of ids", param="shards")
    return shards


def _parts_of(
    shard: Any,
    end_of_text_id: int | None,
    tokenizer: DocumentTokenizer | str | None,
    read: Callable[[Path], Manifest],
) -> list[Part]:
    if isinstance(shard, TokenShard):
        return [_in_memory(shard)]
    if not isinstance(shard, str | Path):
        return [_in_memory(_split_documents(as_ids(shard, None, "an array of token ids"), end_of_text_id))]
    path = Path(shard)
    folder = path if path.is_dir() or path.name == MANIFEST_FILE else path.parent
    manifest = read(folder)
    manifest.check_tokenizer(tokenizer, folder)
    if not path.is_dir():
        return [_on_disk(path, manifest)]
    _check_there(folder, manifest)
    return [_on_disk(folder / entry.name, manifest) for entry in manifest.shards]


def _check_there(folder: Path, manifest: Manifest) -> None:
    """Raise SansiError where shards are missing, before hours of training come to them."""
    there = set(os.listdir(folder))
    if missing := [entry.name for entry in manifest.shards if entry.name not in there]:
        more = f" and {len(missing) - 1} more" if len(missing) > 1 else ""
        raise SansiError(
            f"{folder / missing[0]}{more} is missing, which {MANIFEST_FILE} names; copy it there, or pack the corpus "
            "again"
        )


def _on_disk(path: Path, manifest: Manifest) -> Part:
    entry = manifest.entry(path)
    return Part(
        entry.tokens,
        entry.documents,
        entry.rows,
        np.dtype(manifest.dtype).itemsize,
        entry.largest_id,
        entry.digest,
        lambda: open_shard(path, manifest),
        manifest.end_of_text_id,
        manifest.sequence_length,
        path.parent,
    )


def _in_memory(shard: TokenShard) -> Part:
    shard.check()
    tokens = shard.tokens
    if len(tokens) and int(tokens.min()) < 0:
        raise SansiError(f"the shards hold the token id {int(tokens.min())}; ids begin at 0", param="shards")
    largest = int(tokens.max()) if len(tokens) else 0
    return Part(len(tokens), len(shard.starts), 0, tokens.itemsize, largest, shard.digest, lambda: shard)


def _split_documents(tokens: np.ndarray, end_of_text_id: int | None) -> TokenShard:
    ends = np.zeros(0, np.int64) if end_of_text_id is None else np.flatnonzero(tokens == end_of_text_id)
    starts = np.concatenate([[0], ends + 1]).astype(np.int64)
    return TokenShard(tokens, starts[starts < len(tokens)])


def _no_separator(where: str, separator: int) -> SansiError:
    return SansiError(
        f"{where}: a document does not end with the separator {separator} that the manifest names; the shard was "
        "damaged or written by something else, pack the corpus again"
    )
