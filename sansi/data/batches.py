"""Batches for the trainer: deterministic, mixed by weight, resumable bit for bit.

Every dataset here is an endless iterator of `Batch`es, stacked from rows of T + 1 tokens.

Several ranks build the same datasets with their own `rank`: each global batch is `world_size` batches of `batch_size`
rows, and every rank takes its share of it. The state is the same on all ranks and holds for any number of them.
"""

from __future__ import annotations

import zlib
from abc import ABC, abstractmethod
from bisect import bisect_left, insort
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import torch

from sansi.base.errors import SansiError
from sansi.data.batch import Batch
from sansi.data.shards import TokenShard, shard_paths


@dataclass(frozen=True)
class Row:
    """One row of a batch, each array [T+1]."""

    ids: npt.NDArray[np.int64]
    document: npt.NDArray[np.int32]
    """Number of the document inside the row, ascending from 0."""
    loss_mask: npt.NDArray[np.bool_]

    @property
    def documents(self) -> tuple[int, ...]:
        """Lengths of the documents, in order."""
        return tuple(np.bincount(self.document).tolist())


class RowStream(ABC):
    """An endless stream of rows in batches. Subclasses say how to take the next row, skip it, and save the place."""

    sequence_length: int  # T: rows hold one token more

    def __init__(self, sequence_length: int, batch_size: int, rank: int = 0, world_size: int = 1):
        for name, value in (("sequence_length", sequence_length), ("batch_size", batch_size)):
            if value < 1:
                raise SansiError(f'"{name}" is {value}; it must be at least 1', param=name)
        if not 0 <= rank < world_size:
            raise SansiError(f'"rank" is {rank}; it must lie in 0..{world_size - 1}', param="rank")
        self.sequence_length, self.batch_size = sequence_length, batch_size
        self.rank, self.world_size = rank, world_size

    @abstractmethod
    def take(self) -> Row:
        """The next row."""

    @abstractmethod
    def skip(self) -> None:
        """Pass over the next row without building it."""

    @abstractmethod
    def state_dict(self) -> dict[str, Any]:
        """The place in the stream, ready for JSON."""

    @abstractmethod
    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from a saved place. Raises SansiError when the state belongs to other data."""

    def __iter__(self) -> Iterator[Batch]:
        return self

    def __next__(self) -> Batch:
        rows = []
        for index in range(self.batch_size * self.world_size):
            if index // self.batch_size == self.rank:
                rows.append(self.take())
            else:
                self.skip()
        return stack(rows)


def stack(rows: Sequence[Row]) -> Batch:
    """The rows as a batch."""
    return Batch(
        ids=torch.from_numpy(np.stack([row.ids for row in rows])),
        documents=tuple(row.documents for row in rows),
        loss_mask=torch.from_numpy(np.stack([row.loss_mask for row in rows])),
    )


class EpochStream(RowStream):
    """A finite set of rows, shuffled anew in every epoch; a batch may hold rows of two epochs."""

    def __init__(self, sequence_length: int, batch_size: int, seed: int, rank: int, world_size: int):
        super().__init__(sequence_length, batch_size, rank, world_size)
        self.seed = seed
        self.epoch, self.position = 0, 0  # position: rows already drawn in this epoch
        self._plan: Sequence[Any] | np.ndarray | None = None

    @abstractmethod
    def plan(self, rng: np.random.Generator) -> Sequence[Any] | np.ndarray:
        """The rows of an epoch, in the order in which they will be drawn, in whatever form `build` reads."""

    @abstractmethod
    def build(self, item: Any) -> Row:
        """The row of one item of the plan."""

    @abstractmethod
    def fingerprint(self) -> dict[str, Any]:
        """Facts that tell this data from other data."""

    @property
    def rows_per_epoch(self) -> int:
        """Rows of the present epoch."""
        return len(self._current_plan())

    def take(self) -> Row:
        return self.build(self._next_item())

    def skip(self) -> None:
        self._next_item()

    def state_dict(self) -> dict[str, Any]:
        return {"data": self.fingerprint(), "epoch": self.epoch, "position": self.position}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        mine, saved = self.fingerprint(), state.get("data")
        if saved != mine:
            raise SansiError(f"the saved place belongs to other data: saved {saved}, here {mine}; use the same shards")
        self.epoch, self.position = int(state["epoch"]), int(state["position"])
        self._plan = None

    def _next_item(self) -> Any:
        if self.position >= len(self._current_plan()):
            self.epoch, self.position, self._plan = self.epoch + 1, 0, None
        item = self._current_plan()[self.position]
        self.position += 1
        return item

    def _current_plan(self) -> Sequence[Any] | np.ndarray:
        # The plan is a pure function of seed and epoch, so a place in the stream is two numbers.
        if self._plan is None:
            self._plan = self.plan(np.random.default_rng([self.seed, self.epoch]))
        return self._plan


class PackedDataset(EpochStream):
    """Pre-training rows: the shards end to end, cut every `sequence_length` tokens.

    Rows overlap by one token, so that in an epoch each token is a target exactly once, except the first of each
    document. `shards` are paths written by `pack` (or its folders), `TokenShard`s, or bare id arrays, which hold one
    document each unless `end_of_text_id` says where documents end. The last row is filled up with `pad_id`.
    """

    def __init__(
        self,
        shards: Iterable[Path | str | TokenShard | np.ndarray],
        sequence_length: int,
        batch_size: int,
        seed: int = 0,
        *,
        end_of_text_id: int | None = None,
        pad_id: int = 0,
        rank: int = 0,
        world_size: int = 1,
    ):
        super().__init__(sequence_length, batch_size, seed, rank, world_size)
        self.pad_id = pad_id
        self._shards = [part for shard in shards for part in _open(shard, end_of_text_id) if len(part.tokens)]
        self._offsets = np.cumsum([0, *(len(shard.tokens) for shard in self._shards)], dtype=np.int64)
        starts = [shard.starts + offset for shard, offset in zip(self._shards, self._offsets, strict=False)]
        self._starts = np.concatenate(starts) if starts else np.zeros(0, np.int64)
        if self.tokens < 2:
            raise SansiError("the shards hold no text to train on; check the corpus that was packed", param="shards")

    @property
    def tokens(self) -> int:
        """Tokens of all shards."""
        return int(self._offsets[-1])

    @property
    def documents(self) -> int:
        return len(self._starts)

    def fingerprint(self) -> dict[str, Any]:
        crc = zlib.crc32(np.ascontiguousarray(self._starts).tobytes())
        return {"tokens": self.tokens, "starts": crc, "sequence_length": self.sequence_length, "seed": self.seed}

    def plan(self, rng: np.random.Generator) -> np.ndarray:
        # -(-a // b) rounds up: n tokens have n - 1 targets.
        return rng.permutation(-(-(self.tokens - 1) // self.sequence_length))

    def build(self, item: Any) -> Row:
        begin = int(item) * self.sequence_length
        end = min(begin + self.sequence_length + 1, self.tokens)
        ids = np.full(self.sequence_length + 1, self.pad_id, np.int64)
        ids[: end - begin] = self._read(begin, end)
        document = np.searchsorted(self._starts, np.arange(begin, begin + len(ids)), side="right")
        document[end - begin :] += 1  # padding is a document of its own
        target = np.arange(len(ids)) < end - begin
        return _row(ids, document - document[0], target)

    def _read(self, begin: int, end: int) -> npt.NDArray[np.integer]:
        first = int(np.searchsorted(self._offsets, begin, side="right")) - 1
        parts = []
        while begin < end:
            offset = int(self._offsets[first])
            part = self._shards[first].tokens[begin - offset : end - offset]
            parts.append(part)
            begin, first = begin + len(part), first + 1
        return np.concatenate(parts)


class SampleDataset(EpochStream):
    """Fine-tuning rows: whole samples packed best-fit into rows of `sequence_length` + 1 tokens, none ever split.

    `samples` are (ids, loss_mask) pairs or objects with those attributes, such as `TrainingSample`. Each epoch shuffles
    and packs anew. Padding fills the row's end: `pad_id`, no loss, a document number of its own. A sample that does not
    fit raises SansiError, or with `too_long="drop"` is left out and counted in `dropped`.
    """

    def __init__(
        self,
        samples: Iterable[Any],
        sequence_length: int,
        batch_size: int,
        seed: int = 0,
        *,
        pad_id: int = 0,
        too_long: Literal["error", "drop"] = "error",
        rank: int = 0,
        world_size: int = 1,
    ):
        super().__init__(sequence_length, batch_size, seed, rank, world_size)
        self.pad_id, self.dropped = pad_id, 0
        self._ids: list[npt.NDArray[np.int64]] = []
        self._masks: list[npt.NDArray[np.bool_]] = []
        for index, sample in enumerate(samples):
            self._add(index, sample, too_long)
        if not self._ids:
            raise SansiError("there are no samples to train on", param="samples")

    def __len__(self) -> int:
        return len(self._ids)

    def fingerprint(self) -> dict[str, Any]:
        crc = 0
        for ids in self._ids:
            crc = zlib.crc32(ids.tobytes(), crc)
        return {"samples": len(self), "ids": crc, "sequence_length": self.sequence_length, "seed": self.seed}

    def plan(self, rng: np.random.Generator) -> Sequence[list[int]]:
        order = rng.permutation(len(self))
        rows = best_fit([len(self._ids[i]) for i in order], self.sequence_length + 1)
        # Best-fit closes early rows tightest; shuffling them keeps the padding even over the epoch.
        return [[int(order[i]) for i in rows[r]] for r in rng.permutation(len(rows))]

    def build(self, item: Any) -> Row:
        ids = np.full(self.sequence_length + 1, self.pad_id, np.int64)
        document = np.full(len(ids), len(item), np.int32)
        mask = np.zeros(len(ids), bool)
        begin = 0
        for number, index in enumerate(item):
            end = begin + len(self._ids[index])
            ids[begin:end], document[begin:end], mask[begin:end] = self._ids[index], number, self._masks[index]
            begin = end
        return _row(ids, document, mask)

    def _add(self, index: int, sample: Any, too_long: str) -> None:
        pair = (sample.ids, sample.loss_mask) if hasattr(sample, "loss_mask") else sample
        ids, mask = np.asarray(pair[0], np.int64), np.asarray(pair[1], bool)
        if ids.ndim != 1 or len(ids) == 0 or ids.shape != mask.shape:
            raise SansiError(
                f"sample {index}: {ids.shape} ids and {mask.shape} mask values; give one of each per token"
            )
        if len(ids) <= self.sequence_length + 1:
            self._ids.append(ids)
            self._masks.append(mask)
        elif too_long == "drop":
            self.dropped += 1
        else:
            hint = 'shorten it, raise "sequence_length", or pass too_long="drop"'
            raise SansiError(f"sample {index} has {len(ids)} tokens, a row {self.sequence_length + 1}; {hint}")


class Mixture(RowStream):
    """Rows of several datasets in proportion to their weights, interleaved as evenly as whole rows allow.

    The next row comes from the dataset that is furthest behind its share, so the counts stay within the number of
    datasets of the exact proportion, and the place is just the counts. Batch size and ranks default to those of the
    first dataset; all must have the same sequence length.
    """

    def __init__(self, datasets: Sequence[tuple[RowStream, float]], batch_size: int | None = None):
        if not datasets:
            raise SansiError("a mixture needs at least one dataset", param="datasets")
        first = datasets[0][0]
        super().__init__(first.sequence_length, batch_size or first.batch_size, first.rank, first.world_size)
        self.datasets = [dataset for dataset, _ in datasets]
        weights = np.asarray([weight for _, weight in datasets], np.float64)
        lengths = sorted({dataset.sequence_length for dataset in self.datasets})
        if not (np.all(np.isfinite(weights)) and np.all(weights > 0)):
            raise SansiError(f"mixture weights must be above 0, not {weights.tolist()}", param="weight")
        if len(lengths) > 1:
            raise SansiError(f"the datasets of a mixture have different sequence lengths: {lengths}")
        self.weights = weights / weights.sum()
        self.counts = np.zeros(len(weights), np.int64)  # rows drawn of each dataset

    def take(self) -> Row:
        return self._next_dataset().take()

    def skip(self) -> None:
        self._next_dataset().skip()

    def state_dict(self) -> dict[str, Any]:
        parts = [dataset.state_dict() for dataset in self.datasets]
        return {"weights": self.weights.tolist(), "counts": self.counts.tolist(), "datasets": parts}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        if state.get("weights") != self.weights.tolist():
            raise SansiError(f"the saved place belongs to another mixture: {state.get('weights')}, here {self.weights}")
        for dataset, part in zip(self.datasets, state["datasets"], strict=True):
            dataset.load_state_dict(part)
        self.counts = np.asarray(state["counts"], np.int64)

    def _next_dataset(self) -> RowStream:
        behind = self.weights * (self.counts.sum() + 1) - self.counts
        choice = int(np.argmax(behind))
        self.counts[choice] += 1
        return self.datasets[choice]


def best_fit(lengths: Sequence[int], capacity: int) -> list[list[int]]:
    """Pack items into bins: each in its turn goes into the fullest bin that still has room for it.

    Returns the bins in the order they were opened, each a list of indices into `lengths`.
    """
    bins: list[list[int]] = []
    room: list[tuple[int, int]] = []  # (space left, bin), ascending
    for index, length in enumerate(lengths):
        assert 0 < length <= capacity
        found = bisect_left(room, (length, -1))
        space, number = room.pop(found) if found < len(room) else (capacity, len(bins))
        if number == len(bins):
            bins.append([])
        bins[number].append(index)
        if space > length:
            insort(room, (space - length, number))
    return bins


def _row(ids: npt.NDArray[np.int64], document: npt.NDArray[Any], target: npt.NDArray[np.bool_]) -> Row:
    inside = np.zeros(len(ids), bool)
    inside[1:] = document[1:] == document[:-1]
    return Row(ids, document.astype(np.int32), target & inside)


def _open(shard: Path | str | TokenShard | np.ndarray, end_of_text_id: int | None) -> list[TokenShard]:
    if isinstance(shard, TokenShard):
        return [shard]
    if isinstance(shard, np.ndarray):
        return [_split_documents(shard, end_of_text_id)]
    path = Path(shard)
    return [TokenShard.load(part) for part in shard_paths(path)] if path.is_dir() else [TokenShard.load(path)]


def _split_documents(tokens: np.ndarray, end_of_text_id: int | None) -> TokenShard:
    ends = np.zeros(0, np.int64) if end_of_text_id is None else np.flatnonzero(tokens == end_of_text_id)
    starts = np.concatenate([[0], ends + 1]).astype(np.int64)
    return TokenShard(tokens, starts[starts < len(tokens)])
