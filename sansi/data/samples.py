"""Fine-tuning rows from samples with loss masks."""

from __future__ import annotations

import hashlib
import logging
from bisect import bisect_left
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from sansi.base.errors import SansiError
from sansi.data.shards.bins import best_fit
from sansi.data.shards.ids import as_id, as_ids, digest_of
from sansi.data.shards.streams import EpochStream, Row, as_row

log = logging.getLogger("sansi")

SAMPLES_FILE = "samples.npz"
"""Chats with loss masks, as the recipe kind `samples` leaves them."""


class SampleDataset(EpochStream):
    """Fine-tuning rows: whole samples packed best-fit into rows of `sequence_length` + 1 tokens, none ever split.

    `samples` are (ids, loss_mask) pairs, or objects or dicts with those names, such as `TrainingSample`. A third item,
    or `weight`, is what each learned token of the sample counts in the mean: 0 or more, 1 where it is left out. Each
    epoch shuffles and packs anew. Padding fills the row's end: `pad_id`, no loss, a document number of its own. A
    sample that does not fit raises SansiError, or with `too_long="drop"` is left out and counted in `dropped`. Samples
    without a token to learn are warned of; if all are such, SansiError is raised. origin: the folder that they were
    read from, for the record of a run.
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
        origin: Path | None = None,
        rank: int = 0,
        world_size: int = 1,
    ):
        super().__init__(sequence_length, batch_size, seed, rank, world_size)
        self.pad_id, self.dropped, self.origin = as_id(pad_id, '"pad_id"'), 0, origin
        self._ids: list[npt.NDArray[np.int64]] = []
        self._masks: list[npt.NDArray[np.bool_]] = []
        self._weights: list[float] = []
        self._content = hashlib.sha256()
        self._numbers: list[int] = []  # of the samples that are not left out, among all
        self._plan: tuple[int, list[list[int]]] | None = None  # of an epoch: the samples of each row
        self.largest_id = self.pad_id
        if too_long not in ("error", "drop"):
            raise SansiError(f'"too_long" is {too_long!r}; it must be "error" or "drop"', param="too_long")
        if isinstance(samples, str | bytes | Mapping) or not isinstance(samples, Iterable):
            raise SansiError(f"samples of type {type(samples).__name__}: give a list of samples", param="samples")
        for index, sample in enumerate(samples):
            self._add(index, sample, too_long)
        if not self._ids:
            raise SansiError("there are no samples to train on", param="samples")
        self._weighted = any(weight != 1.0 for weight in self._weights)
        self._check_targets()

    def __len__(self) -> int:
        return len(self._ids)

    @property
    def rows_per_epoch(self) -> int:
        return len(self._rows(self.epoch))

    def description(self) -> dict[str, Any]:
        paths = {"paths": [str(Path(self.origin).absolute())]} if self.origin else {}
        return {**self.fingerprint(), **paths}

    def fingerprint(self) -> dict[str, Any]:
        facts = {"kind": "samples", "samples": len(self), "digest": self._content.hexdigest()}
        return {**facts, "sequence_length": self.sequence_length, "seed": self.seed}

    def row(self, position: int) -> Row:
        return self.build(self._rows(self.epoch)[position])

    def samples_of(self, epoch: int, position: int) -> list[int]:
        """The numbers, among all that were given, of the samples in a row."""
        return [self._numbers[index] for index in self._rows(epoch)[position]]

    def tokens_of(self, sample: int) -> int:
        """How many tokens the sample with this number has."""
        return len(self._ids[bisect_left(self._numbers, sample)])

    def epoch_of(self, row: int) -> tuple[int, int]:
        """Epoch and position of a row of the stream. Packs every epoch before it."""
        epoch = 0
        while row >= (size := len(self._rows(epoch))):
            row, epoch = row - size, epoch + 1
        return epoch, row

    def row_number(self, epoch: int, position: int) -> int:
        """The number in the stream of a row of an epoch."""
        return sum(len(self._rows(before)) for before in range(epoch)) + position

    def _rows(self, epoch: int) -> list[list[int]]:
        if self._plan is None or self._plan[0] != epoch:
            rng = np.random.default_rng([self.seed, epoch])
            order = rng.permutation(len(self))
            rows = best_fit([len(self._ids[i]) for i in order], self.sequence_length + 1)
            # Best-fit closes early rows tightest; shuffling them keeps the padding even over the epoch.
            self._plan = epoch, [[int(order[i]) for i in rows[r]] for r in rng.permutation(len(rows))]
        return self._plan[1]

    def build(self, item: Sequence[int]) -> Row:
        """The row of these samples."""
        ids = np.full(self.sequence_length + 1, self.pad_id, np.int64)
        document = np.full(len(ids), len(item), np.int32)
        mask = np.zeros(len(ids), bool)
        weights = np.ones(len(ids), np.float32)
        begin = 0
        for number, index in enumerate(item):
            end = begin + len(self._ids[index])
            ids[begin:end], document[begin:end], mask[begin:end] = self._ids[index], number, self._masks[index]
            weights[begin:end] = self._weights[index]
            begin = end
        return as_row(ids, document, mask, weights if self._weighted else None)

    def _check_targets(self) -> None:
        """Raise SansiError where nothing is learned from any sample, and warn of those that teach nothing."""
        if not any(self._weights):
            raise SansiError("all samples have weight 0; give one at least a larger one", param="weight")
        silent = [number for number, mask in enumerate(self._masks) if not mask[1:].any()]
        if not any(self._weights[number] for number in set(range(len(self))) - set(silent)):
            raise SansiError(
                "no sample has a token to learn: their loss masks are 0 everywhere (the first token of a sample, which "
                "nothing precedes, does not count); mark the assistant's tokens, as Codec.training_sample does",
                param="loss_mask",
            )
        if silent:
            log.warning(
                "%d of %d samples have no token to learn (sample %d is the first): their loss masks are 0 everywhere",
                *(len(silent), len(self), silent[0]),
            )

    def _add(self, index: int, sample: Any, too_long: str) -> None:
        ids, mask, weight = _sample(index, sample)
        if len(ids) <= self.sequence_length + 1:
            self._ids.append(ids)
            self._numbers.append(index)
            self._masks.append(mask)
            self._weights.append(weight)
            if weight != 1.0:
                self._content.update(f"weight {weight!r};".encode())
            self._content.update(digest_of((ids, mask), ("<i8", "u1")).encode())
            self.largest_id = max(self.largest_id, int(ids.max()))
        elif too_long == "drop":
            self.dropped += 1
        else:
            hint = 'shorten it, raise "sequence_length", or pass too_long="drop"'
            raise SansiError(f"sample {index} has {len(ids)} tokens, a row {self.sequence_length + 1}; {hint}")


def read_samples(folder: Path) -> list[tuple[npt.NDArray[np.integer], npt.NDArray[np.bool_]]]:
    """Ids and loss mask of each sample of a folder. Raises SansiError for a damaged file."""
    file = Path(folder) / SAMPLES_FILE
    try:
        kept = np.load(file)
        parts = (np.split(kept[part], kept["ends"][:-1]) for part in ("ids", "masks"))
        return list(zip(*parts, strict=True))
    except (OSError, ValueError, KeyError, EOFError) as error:
        raise SansiError(f"{file}: no samples that could be read ({error})") from error


def _sample(index: int, sample: Any) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.bool_], float]:
    """The ids, the loss mask and the weight of a sample in one of its forms."""
    where = f"sample {index}"
    given, marks, weight = _parts(where, sample)
    ids = as_ids(given, np.int64, f"{where}, ids")
    try:
        mask = np.asarray(marks)
    except (ValueError, TypeError) as error:
        raise SansiError(f"{where}: the loss mask is no flat list of 0 and 1 ({error})", param="samples") from error
    if len(ids) == 0 or ids.shape != mask.shape:
        raise SansiError(f"{where}: {ids.shape} ids and {mask.shape} mask values; give one of each per token")
    if mask.dtype != bool and not (mask.dtype.kind in "iuf" and np.all((mask == 0) | (mask == 1))):
        raise SansiError(f"{where}: the loss mask is neither true nor false somewhere; give 0 or 1 for each token")
    return ids.astype(np.int64, copy=False), mask.astype(bool), _weight(where, weight)


def _weight(where: str, weight: Any) -> float:
    """What a sample's learned tokens count."""
    if weight is None:
        return 1.0
    if isinstance(weight, bool) or not isinstance(weight, int | float | np.number) or not 0 <= weight < np.inf:
        raise SansiError(f"{where} has the weight {weight!r}; it must be a number, 0 or more", param="weight")
    return float(weight)


def _parts(where: str, sample: Any) -> tuple[Any, Any, Any]:
    """Ids, loss mask and weight as they were given; None for a weight that was not."""
    if isinstance(sample, Mapping) and {"ids", "loss_mask"} <= set(sample):
        return sample["ids"], sample["loss_mask"], sample.get("weight")
    if hasattr(sample, "ids") and hasattr(sample, "loss_mask"):
        return sample.ids, sample.loss_mask, getattr(sample, "weight", None)
    if isinstance(sample, tuple | list) and len(sample) in (2, 3):
        return sample[0], sample[1], sample[2] if len(sample) == 3 else None
    shown = f"a dict of {', '.join(map(str, sample))}" if isinstance(sample, Mapping) else type(sample).__name__
    raise SansiError(
        f'{where} is {shown}; give "ids" and "loss_mask", as a pair, a dict or attributes', param="samples"
    )
