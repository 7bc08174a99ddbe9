"""Pre-training rows from token shards."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from sansi.base.errors import SansiError
from sansi.data.ids import as_id, as_ids
from sansi.data.manifest import INDEX_FILE, Manifest
from sansi.data.shards import TokenShard
from sansi.data.shuffle import Shuffle
from sansi.data.streams import EpochStream, Row, as_row


class PackedDataset(EpochStream):
    """Pre-training rows: the shards end to end, cut every `sequence_length` tokens.

    Rows overlap by one token, so that in an epoch each token is a target exactly once, except the first of each
    document. `shards` are paths written by `pack` (or its folders), `TokenShard`s, or bare id arrays, which hold one
    document each unless `end_of_text_id` says where documents end; one of them needs no list. The last row is filled up
    with `pad_id`. With `tokenizer_hash` (`Tokenizer.hash`) folders that were packed for another tokenizer are refused.
    """

    def __init__(
        self,
        shards: Iterable[Path | str | TokenShard | np.ndarray] | Path | str | TokenShard | np.ndarray,
        sequence_length: int,
        batch_size: int,
        seed: int = 0,
        *,
        end_of_text_id: int | None = None,
        pad_id: int = 0,
        tokenizer_hash: str | None = None,
        rank: int = 0,
        world_size: int = 1,
    ):
        super().__init__(sequence_length, batch_size, seed, rank, world_size)
        self.pad_id = as_id(pad_id, '"pad_id"')
        if end_of_text_id is not None:
            end_of_text_id = as_id(end_of_text_id, '"end_of_text_id"')
        read = cache(Manifest.load)  # once for a folder, however many of its shards are given
        opened = [part for shard in _listed(shards) for part in _open(shard, end_of_text_id, tokenizer_hash, read)]
        self._shards = [part.shard for part in opened if len(part.shard.tokens)]
        self._offsets = np.cumsum([0, *(len(shard.tokens) for shard in self._shards)], dtype=np.int64)
        if self.tokens < 2:
            raise SansiError("the shards hold no text to train on; check the corpus that was packed", param="shards")
        self.largest_id = max(self.pad_id, *(part.largest_id for part in opened))

    @property
    def tokens(self) -> int:
        """Tokens of all shards."""
        return int(self._offsets[-1])

    @property
    def documents(self) -> int:
        return sum(len(shard.starts) for shard in self._shards)

    @property
    def rows_per_epoch(self) -> int:
        # -(-a // b) rounds up: n tokens have n - 1 targets.
        return -(-(self.tokens - 1) // self.sequence_length)

    def fingerprint(self) -> dict[str, Any]:
        facts = {"kind": "packed", "tokens": self.tokens, "digest": self._digest}
        return {**facts, "sequence_length": self.sequence_length, "seed": self.seed}

    @cached_property
    def _digest(self) -> str:
        return hashlib.sha256("".join(shard.digest for shard in self._shards).encode()).hexdigest()

    def row(self, position: int) -> Row:
        # Computed, not looked up: the order of 36 trillion tokens in rows of 4,096 would take 72 GB.
        return self.build(Shuffle(self.rows_per_epoch, self.seed, self.epoch)[position])

    def build(self, index: int) -> Row:
        """The row with this number, in the order of the shards."""
        begin = index * self.sequence_length
        end = min(begin + self.sequence_length + 1, self.tokens)
        ids = np.full(self.sequence_length + 1, self.pad_id, np.int64)
        ids[: end - begin] = self._read(begin, end)
        borders = np.append(self._borders(begin, end), end)  # padding is a document of its own
        document = np.searchsorted(borders, np.arange(begin, begin + len(ids)), side="right")
        return as_row(ids, document, np.arange(len(ids)) < end - begin)

    def _borders(self, begin: int, end: int) -> npt.NDArray[np.int64]:
        """Where documents start inside a row, after its first token."""
        first, last = np.searchsorted(self._offsets, [begin, end - 1], side="right") - 1
        found = []
        for shard, offset in zip(self._shards[first : last + 1], self._offsets[first : last + 1], strict=True):
            low, high = np.searchsorted(shard.starts, [begin - offset, end - 1 - offset], side="right")
            found.append(shard.starts[low:high] + offset)
        return np.concatenate(found)

    def _read(self, begin: int, end: int) -> npt.NDArray[np.integer]:
        first = int(np.searchsorted(self._offsets, begin, side="right")) - 1
        parts = []
        while begin < end:
            offset = int(self._offsets[first])
            part = self._shards[first].tokens[begin - offset : end - offset]
            parts.append(part)
            begin, first = begin + len(part), first + 1
        return np.concatenate(parts)


@dataclass(frozen=True)
class _Opened:
    shard: TokenShard
    largest_id: int


def _listed(shards: Any) -> Iterable[Any]:
    """A list of shards; one alone is a list of one."""
    if isinstance(shards, str | Path | TokenShard) or (isinstance(shards, np.ndarray) and shards.dtype != object):
        return [shards]
    if isinstance(shards, Mapping) or not isinstance(shards, Iterable):
        raise SansiError(f"shards of type {type(shards).__name__}: give paths, shards or arrays of ids", param="shards")
    return shards


def _open(
    shard: Any, end_of_text_id: int | None, tokenizer_hash: str | None, read: Callable[[Path], Manifest]
) -> list[_Opened]:
    if isinstance(shard, TokenShard):
        shard.check("the shard")
        return [_Opened(shard, _largest(shard.tokens))]
    if not isinstance(shard, str | Path):
        tokens = as_ids(shard, None, "an array of token ids")
        return [_Opened(_split_documents(tokens, end_of_text_id), _largest(tokens))]
    path = Path(shard)
    folder = path if path.is_dir() else path.parent
    if path.is_dir() or (folder / INDEX_FILE).is_file():
        manifest = read(folder)
        manifest.check_tokenizer(tokenizer_hash, folder)
        paths = [folder / entry.name for entry in manifest.shards] if path.is_dir() else [path]
        return [_Opened(TokenShard.load(part, manifest), manifest.largest_id) for part in paths]
    loaded = TokenShard.load(path)
    return [_Opened(loaded, _largest(loaded.tokens))]


def _largest(tokens: npt.NDArray[np.integer]) -> int:
    if len(tokens) and int(tokens.min()) < 0:
        raise SansiError(f"the shards hold the token id {int(tokens.min())}; ids begin at 0", param="shards")
    return int(tokens.max()) if len(tokens) else 0


def _split_documents(tokens: np.ndarray, end_of_text_id: int | None) -> TokenShard:
    ends = np.zeros(0, np.int64) if end_of_text_id is None else np.flatnonzero(tokens == end_of_text_id)
    starts = np.concatenate([[0], ends + 1]).astype(np.int64)
    return TokenShard(tokens, starts[starts < len(tokens)])
