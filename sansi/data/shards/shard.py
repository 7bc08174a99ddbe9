"""One shard: token ids in one file that training maps into memory, and where the documents in it begin and end.

In the layout "concat" documents lie end to end and rows are cut when they are read, of any length. In the layout "rows"
they were packed when they were written: each row holds whole documents, or pieces of those that are longer than a row.
The files are in the safetensors format. Blocks of ids have checksums, which are compared whenever they are read.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from sansi.base.errors import SansiError
from sansi.data.shards.arrays import ArrayFile, map_arrays
from sansi.data.shards.ids import as_ids, digest_of
from sansi.data.shards.known import ARRAYS as KNOWN
from sansi.data.shards.manifest import MANIFEST_FILE, Layout, Manifest, ShardEntry

BLOCK = 4096  # ids of a concatenated shard that have a checksum together
Array = npt.NDArray[np.integer]


@dataclass(frozen=True)
class Piece:
    """A document, or what of it lies in a row."""

    document: int
    """Its number: in the shard, or of all shards of a folder."""
    begin: int
    """The first token of the piece in the document; above 0: the document began in another row."""
    length: int
    """Tokens."""


@dataclass(frozen=True)
class RowContent:
    """What fills a row, without padding."""

    ids: Array
    lengths: Sequence[int]
    """Tokens of each document or piece in it."""
    loss_mask: npt.NDArray[np.bool_] | None = None
    """None: all are targets that something precedes."""


@dataclass(frozen=True)
class TokenShard:
    """Documents end to end: `tokens` [N] of any integer dtype; `starts` [documents] ascending offsets, the first 0."""

    tokens: Array
    starts: Array
    loss_mask: npt.NDArray[np.uint8] | None = None  # bits, one a token
    checks: Array | None = None  # CRC-32 of each block of ids
    entry: ShardEntry | None = None  # of the manifest, if the shard is of a packed folder
    where: str = "the shard"

    layout: Layout = "concat"

    @classmethod
    def from_documents(cls, documents: Iterable[Any], dtype: npt.DTypeLike = np.uint32) -> TokenShard:
        """One shard of documents given as ids, empty ones left out. Raises SansiError for ids beyond `dtype`."""
        checked = (as_ids(ids, dtype, f"document {number}") for number, ids in enumerate(documents))
        arrays = [array for array in checked if len(array)]
        lengths = [len(array) for array in arrays]
        starts = np.cumsum([0, *lengths], dtype=np.int64)[:-1]
        return cls(np.concatenate(arrays) if arrays else np.zeros(0, dtype), starts)

    def check(self) -> None:
        """Raise SansiError unless this is a shard: whole numbers, and offsets that ascend inside the tokens from 0."""
        tokens, starts = self.tokens, self.starts
        if tokens.ndim != 1 or tokens.dtype.kind not in "iu" or starts.ndim != 1 or starts.dtype.kind not in "iu":
            raise SansiError(
                f"{self.where}: {tokens.dtype} ids and {starts.dtype} offsets are no token shard; pack the corpus again"
            )
        ascending = bool(np.all(starts[1:] > starts[:-1]))
        bounded = len(starts) > 0 and starts[0] == 0 and starts[-1] < len(tokens)
        if len(tokens) and not (ascending and bounded):
            raise SansiError(f"{self.where}: offsets of documents do not fit {len(tokens)} tokens; pack again")

    def read(self, begin: int, end: int) -> Array:
        """The ids in a range. Raises SansiError where they are not what was written."""
        if self.checks is not None:
            for block in range(begin // BLOCK, -(-end // BLOCK)):
                if self._checksum(block) != self.checks[block]:
                    raise _damaged(f"{self.where}, tokens from {block * BLOCK:,}")
        return self.tokens[begin:end]

    def mask(self, begin: int, end: int) -> npt.NDArray[np.bool_] | None:
        if self.loss_mask is None:
            return None
        bits = np.unpackbits(self.loss_mask[begin // 8 : -(-end // 8)])
        return bits[begin % 8 : begin % 8 + end - begin].astype(bool)

    @property
    def digest(self) -> str:
        """Of the whole content; taken from the manifest where there is one, since it reads the whole shard."""
        return self.entry.digest if self.entry else self.computed_digest

    @cached_property
    def computed_digest(self) -> str:
        return digest_of((self.tokens, self.starts), ("<i8", "<i8"), self.loss_mask)

    def arrays(self) -> dict[str, Array]:
        """What is written, less checksums."""
        masks = {} if self.loss_mask is None else {"loss_mask": self.loss_mask}
        return {"ids": self.tokens, "starts": self.starts, **masks}

    def checksums(self) -> npt.NDArray[np.uint32]:
        return np.array([self._checksum(block) for block in range(-(-len(self.tokens) // BLOCK))], np.uint32)

    def _checksum(self, block: int) -> int:
        ids, at = self.tokens[block * BLOCK : (block + 1) * BLOCK], BLOCK // 8  # bytes of a mask
        return _crc(ids, None if self.loss_mask is None else self.loss_mask[block * at : (block + 1) * at])


@dataclass(frozen=True)
class RowShard:
    """Rows of `sequence_length` + 1 places: `ids` [rows, places]; the pieces in row r are numbers `firsts[r]` to
    `firsts[r + 1]` of three arrays."""

    ids: Array
    firsts: Array  # [rows + 1]
    piece_document: Array  # number of its document in the shard
    piece_begin: Array  # its first token in the document
    piece_length: Array
    document_tokens: Array  # [documents] tokens, those that were cropped included
    loss_mask: npt.NDArray[np.uint8] | None = None  # [rows, bytes] bits, one a place
    checks: Array | None = None  # CRC-32 of each row
    entry: ShardEntry | None = None
    where: str = "the shard"

    layout: Layout = "rows"

    def check(self) -> None:
        """Raise SansiError unless the tables fit the rows and each other."""
        pieces, firsts = len(self.piece_length), self.firsts
        equal = len(self.piece_document) == len(self.piece_begin) == pieces and len(firsts) == len(self.ids) + 1
        bounded = equal and int(firsts[0]) == 0 and int(firsts[-1]) == pieces and bool(np.all(firsts[1:] > firsts[:-1]))
        if not bounded or (pieces and int(self.piece_document.max()) >= len(self.document_tokens)):
            raise SansiError(f"{self.where}: its tables do not fit its {len(self.ids)} rows; pack the corpus again")
        filled = np.add.reduceat(self.piece_length.astype(np.int64), firsts[:-1].astype(np.int64))
        if len(self.ids) and (int(filled.max()) > self.ids.shape[1] or int(self.piece_length.min()) < 1):
            raise SansiError(f"{self.where}: its documents do not fit into its rows; pack the corpus again")

    def content(self, row: int) -> RowContent:
        """Raises SansiError where the ids are not what was written."""
        ids = self.ids[row]
        if self.checks is not None and self._checksum(row) != self.checks[row]:
            raise _damaged(f"{self.where}, row {row:,}")
        first, last = int(self.firsts[row]), int(self.firsts[row + 1])
        lengths = self.piece_length[first:last].tolist()
        size = sum(lengths)
        mask = None if self.loss_mask is None else np.unpackbits(self.loss_mask[row])[:size].astype(bool)
        return RowContent(ids[:size], lengths, mask)

    def pieces(self, row: int) -> list[Piece]:
        places = slice(int(self.firsts[row]), int(self.firsts[row + 1]))
        columns = (self.piece_document, self.piece_begin, self.piece_length)
        return [Piece(*values) for values in zip(*(column[places].tolist() for column in columns), strict=True)]

    def rows_of(self, document: int) -> list[int]:
        """The rows with pieces of a document of the shard, in the order of the pieces."""
        found = np.flatnonzero(self.piece_document == document)
        found = found[np.argsort(self.piece_begin[found], kind="stable")]
        return (np.searchsorted(self.firsts, found, side="right") - 1).tolist()

    def ends_of_documents(self, row: int) -> list[int]:
        """Places in a row where a document's last token stands."""
        at, found = 0, []
        for piece in self.pieces(row):
            at += piece.length
            if piece.begin + piece.length == self.document_tokens[piece.document]:
                found.append(at - 1)
        return found

    @property
    def digest(self) -> str:
        return self.entry.digest if self.entry else self.computed_digest

    @cached_property
    def computed_digest(self) -> str:
        tables = (self.firsts, self.piece_document, self.piece_begin, self.piece_length, self.document_tokens)
        return digest_of((self.ids.reshape(-1), *tables), ("<i8",) * 6, self.loss_mask)

    def arrays(self) -> dict[str, Array]:
        masks = {} if self.loss_mask is None else {"loss_mask": self.loss_mask}
        names = ("ids", "firsts", "piece_document", "piece_begin", "piece_length", "document_tokens")
        return {**{name: getattr(self, name) for name in names}, **masks}

    def checksums(self) -> npt.NDArray[np.uint32]:
        return np.array([self._checksum(row) for row in range(len(self.ids))], np.uint32)

    def _checksum(self, row: int) -> int:
        return _crc(self.ids[row], None if self.loss_mask is None else self.loss_mask[row])


Shard = TokenShard | RowShard


def _crc(ids: Array, mask: npt.NDArray[np.uint8] | None) -> int:
    found = zlib.crc32(np.ascontiguousarray(ids).data)
    return found if mask is None else zlib.crc32(np.ascontiguousarray(mask).data, found)


def tables_crc(arrays: Mapping[str, Array]) -> int:
    """CRC-32 of all arrays of a shard but the ids, the masks and the names, which may be large."""
    found = 0
    for name in sorted(arrays.keys() - {"ids", "loss_mask", *KNOWN}):
        found = zlib.crc32(np.ascontiguousarray(arrays[name]).data, found)
    return found


def written_arrays(shard: Shard) -> dict[str, Array]:
    """What the file of a shard holds: its arrays and checksums of blocks of ids."""
    return {**shard.arrays(), "checks": shard.checksums()}


def open_shard(path: Path, manifest: Manifest | None = None) -> Shard:
    """Map a shard of a packed folder into memory.

    Raises SansiError when it is missing or damaged, or is not what `shards.json` beside it describes. manifest: what
    that says, where it was read already.
    """
    path = Path(path)
    manifest = manifest or Manifest.load(path.parent)
    entry = manifest.entry(path)
    file = read_arrays_of(path)
    shard = _shard_of(file, manifest.layout, entry, str(path))
    if tables_crc(file.arrays) != entry.tables:
        raise SansiError(
            f"{path}: not the shard that {MANIFEST_FILE} describes; it was damaged or replaced, pack the corpus again"
        )
    shard.check()
    return shard


def read_arrays_of(path: Path) -> ArrayFile:
    """The arrays of a shard's file. Raises SansiError where it is missing or damaged."""
    try:
        return map_arrays(path)
    except FileNotFoundError as error:
        raise SansiError(f"{path} is missing, which {MANIFEST_FILE} names; pack the corpus again") from error
    except (OSError, ValueError) as error:
        raise SansiError(f"{path}: not a whole token shard ({error}); pack the corpus again") from error


def _shard_of(file: ArrayFile, layout: Layout, entry: ShardEntry, where: str) -> Shard:
    arrays: dict[str, Any] = {name: array for name, array in file.arrays.items() if name not in KNOWN}
    common: dict[str, Any] = {"loss_mask": arrays.pop("loss_mask", None), "entry": entry, "where": where}
    try:
        if layout == "concat":
            return TokenShard(arrays["ids"], arrays["starts"], checks=arrays["checks"], **common)
        return RowShard(**arrays, **common)
    except (KeyError, TypeError) as error:
        raise SansiError(f"{where}: no shard of the layout {layout!r} ({error}); pack the corpus again") from error


def _damaged(where: str) -> SansiError:
    return SansiError(f"{where}: not what was packed; the file was damaged, pack the corpus again")
