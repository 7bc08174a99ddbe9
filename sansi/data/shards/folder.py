"""A folder of shards as documents: their texts, what is known of them, and where a text, an id or an address is."""

from __future__ import annotations

from bisect import bisect_right
from collections import OrderedDict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import accumulate
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from sansi.base.errors import SansiError
from sansi.data.documents import Document, text_sha256
from sansi.data.shards.dataset import MOST_OPEN, PackedDataset
from sansi.data.shards.known import DIGEST, Known
from sansi.data.shards.lookup import KEYS, Lookup
from sansi.data.shards.manifest import Manifest
from sansi.data.shards.packing import DOCUMENTS, TOKENIZER_FILE, lookup_groups
from sansi.data.shards.passages import documents_with, windows_of
from sansi.data.shards.shard import RowContent, RowShard, Shard, TokenShard, open_shard
from sansi.data.store import read_rows
from sansi.text import Tokenizer

SHOWN_LENGTH = 1024  # tokens of a row that is cut to be looked at


@dataclass(frozen=True)
class Held:
    """Where in its shard a document is."""

    shard: int
    number: int


class PackedFolder:
    """What `pack` wrote, opened to be looked into. Raises SansiError for a folder of anything else."""

    def __init__(self, path: str | Path):
        self.path = Path(path)
        self.manifest = Manifest.load(self.path)
        entries = self.manifest.shards
        self._documents = list(accumulate((entry.documents for entry in entries), initial=0))
        self._groups = lookup_groups(entries)
        self._shards: OrderedDict[int, Shard] = OrderedDict()
        self._known: OrderedDict[int, Known] = OrderedDict()

    @cached_property
    def tokenizer(self) -> Tokenizer | None:
        """None: it was packed by one that could not be kept beside the shards."""
        file = self.path / TOKENIZER_FILE
        return Tokenizer.from_pretrained(file) if file.is_file() else None

    def shard(self, number: int) -> Shard:
        entry = self.manifest.shards[number]
        return _kept(self._shards, number, lambda: open_shard(self.path / entry.name, self.manifest))

    def held(self, document: int) -> Held:
        """Raises SansiError for a number that no document has."""
        if not 0 <= document < self.manifest.documents:
            raise SansiError(
                f"{self.path}: there is no document {document:,}; they have the numbers 0 to "
                f"{self.manifest.documents - 1:,}"
            )
        shard = bisect_right(self._documents, document) - 1
        return Held(shard, document - self._documents[shard])

    def known(self, document: int) -> dict[str, Any]:
        """What names a document: `known.BRIEF`."""
        held = self.held(document)
        path = self.path / self.manifest.shards[held.shard].name
        return _kept(self._known, held.shard, lambda: Known(path)).row(held.number)

    def document(self, number: int) -> Document:
        """All that is known of a document, with its text as the tokens spell it."""
        held = self.held(number)
        (found,) = read_rows(self.path / DOCUMENTS.format(held.shard), [held.number])
        return replace(found, text=self.text(number))

    def ids(self, document: int) -> npt.NDArray[np.integer]:
        """The tokens of a document, the separator included, without what was cropped."""
        return self.tokens(document)[0]

    def tokens(self, document: int) -> tuple[npt.NDArray[np.integer], npt.NDArray[np.bool_]]:
        """The tokens of a document, and which of them are learned."""
        held = self.held(document)
        shard = self.shard(held.shard)
        if isinstance(shard, TokenShard):
            begin, end = (*shard.starts[held.number : held.number + 2].tolist(), len(shard.tokens))[:2]
            ids, mask = [shard.read(begin, end)], [shard.mask(begin, end)]
        else:
            ids, mask = [], []
            for part in _pieces(shard, held.number):
                ids.append(part.ids)
                mask.append(part.loss_mask)
        whole = np.concatenate(ids) if ids else np.zeros(0, np.int64)
        learned = np.ones(len(whole), bool)
        if mask and mask[0] is not None:
            learned = np.concatenate([part for part in mask if part is not None])
        learned[:1] = False
        return whole, learned

    def text(self, document: int) -> str:
        """What the tokens of a document spell. Raises SansiError without a tokenizer."""
        return self.decode(self.ids(document).tolist())

    def decode(self, ids: Sequence[int]) -> str:
        if self.tokenizer is None:
            raise SansiError(f"{self.path}: no {TOKENIZER_FILE} here, so ids can not be shown as text")
        end = self.manifest.end_of_text_id
        return self.tokenizer.decode(ids[:-1] if len(ids) and ids[-1] == end else ids)

    # ---- looking up -------------------------------------------------------------------------------------------------

    def find_text(self, text: str) -> list[int]:
        """Numbers of the documents with exactly this text."""
        return self.find("sha256", text_sha256(text))

    def find(self, name: str, value: str) -> list[int]:
        """Numbers of the documents with this "sha256" of the text, "id" or "url"; several where it was packed several
        times."""
        assert name in KEYS
        lookup = Lookup(self.path, [self._documents[group[0]] for group in self._groups if group])
        wanted = value[:DIGEST] if name == "sha256" else value
        return [number for number in lookup.candidates(name, value) if self.known(number)[name] == wanted]

    def find_passage(self, passage: str) -> list[int]:
        """Numbers of the documents in whose text the passage stands. Reads the ids of all shards."""
        if self.tokenizer is None:
            raise SansiError(f"{self.path}: no {TOKENIZER_FILE} here, so passages can not be looked for")
        wanted = self.tokenizer.decode(self.tokenizer.encode(passage))  # composed as the tokenizer composes
        found: list[int] = []
        windows = windows_of(passage, self.tokenizer)
        for number, entry in enumerate(self.manifest.shards):
            shard = open_shard(self.path / entry.name, self.manifest)
            likely = dict.fromkeys(doc for window in windows for doc in documents_with(shard, window))
            numbers = (self._documents[number] + document for document in likely)
            found += sorted(document for document in numbers if wanted in self.text(document))
        return found


def _pieces(shard: RowShard, document: int) -> Iterator[RowContent]:
    """What rows hold of a document, in its order; a piece begins with the last token of the one before it."""
    for row in shard.rows_of(document):
        at, content = 0, shard.content(row)
        for piece in shard.pieces(row):
            if piece.document == document:
                part = slice(at + (1 if piece.begin else 0), at + piece.length)
                mask = None if content.loss_mask is None else content.loss_mask[part]
                yield RowContent(content.ids[part], [piece.length], mask)
            at += piece.length


def _kept(cache: OrderedDict[int, Any], number: int, make: Any) -> Any:
    """What is in the cache, or is made now; the least used goes where there are too many."""
    if number not in cache:
        cache[number] = make()
        if len(cache) > MOST_OPEN:
            cache.popitem(last=False)
    cache.move_to_end(number)
    return cache[number]


def shares(counts: Mapping[str, Mapping[str, int]]) -> list[tuple[str, int, int]]:
    """Names with documents and tokens, the most tokens first."""
    return sorted(((name, c["documents"], c["tokens"]) for name, c in counts.items()), key=lambda item: -item[2])


@dataclass(frozen=True)
class RowPart:
    """What of a document is in a row."""

    document: int
    begin: int
    ids: list[int]
    learned: list[bool]


@dataclass(frozen=True)
class RowParts:
    """A row as training reads it."""

    parts: tuple[RowPart, ...]
    rows: int
    places: int
    padding: int


def row_parts(folder: PackedFolder, row: int, sequence_length: int | None = None) -> RowParts:
    """A row by its number in the order of the shards. sequence_length: of shards that lie end to end; left out: 1,024.

    Raises SansiError for a row that is not there.
    """
    layout = folder.manifest.layout
    data = PackedDataset([folder.path], sequence_length or (SHOWN_LENGTH if layout == "concat" else None), 1)
    if row >= data.rows_per_epoch:
        raise SansiError(f"{folder.path}: there is no row {row:,}; the last is {data.rows_per_epoch - 1:,}")
    built, pieces = data.build(row), data.pieces(row)
    at, found = 0, []
    for piece in pieces:
        part = slice(at, at + piece.length)
        found.append(RowPart(piece.document, piece.begin, built.ids[part].tolist(), built.loss_mask[part].tolist()))
        at += piece.length
    return RowParts(tuple(found), data.rows_per_epoch, data.sequence_length + 1, data.sequence_length + 1 - at)
