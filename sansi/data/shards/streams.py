"""Streams of rows for the trainer: endless, parted over ranks, resumable bit for bit.

Several ranks build the same datasets with their own `rank`: each global batch is `world_size` batches of `batch_size`
rows, and every rank takes its share of it. The state is the same on all ranks and holds for any number of them.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from sansi.base.differences import changes
from sansi.base.errors import SansiError
from sansi.data.batch import Batch
from sansi.data.shards.ids import is_whole


@dataclass(frozen=True)
class Row:
    """One row of a batch, each array [T+1]."""

    ids: npt.NDArray[np.int64]
    document: npt.NDArray[np.int32]
    """Number of the document inside the row, ascending from 0."""
    loss_mask: npt.NDArray[np.bool_]
    weights: npt.NDArray[np.float32] | None = None
    """What each target counts in the mean; None: 1."""

    @property
    def documents(self) -> tuple[int, ...]:
        """Lengths of the documents, in order."""
        return tuple(np.bincount(self.document).tolist())


class RowStream(ABC):
    """An endless stream of rows in batches. Subclasses say how to take the next row, skip it, and save the place."""

    sequence_length: int  # T: rows hold one token more

    def __init__(self, sequence_length: int, batch_size: int, rank: int = 0, world_size: int = 1):
        self._check_whole(sequence_length=sequence_length, batch_size=batch_size, world_size=world_size)
        if not is_whole(rank) or not 0 <= rank < world_size:
            raise SansiError(f'"rank" is {rank}; it must lie in 0..{world_size - 1}', param="rank")
        self.sequence_length, self.batch_size = sequence_length, batch_size
        self.rank, self.world_size = rank, world_size

    @abstractmethod
    def take(self) -> Row:
        """The next row."""

    @abstractmethod
    def skip(self, rows: int = 1) -> None:
        """Pass over the next rows without building them."""

    @abstractmethod
    def state_dict(self) -> dict[str, Any]:
        """The place in the stream, ready for JSON."""

    @abstractmethod
    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from a saved place. Raises SansiError when the state belongs to other data."""

    @abstractmethod
    def description(self) -> dict[str, Any]:
        """What a run writes down of its data, ready for JSON: enough to find every row again."""

    @property
    def rows_left(self) -> int | None:
        """Rows until the stream ends; None: it does not."""
        return None

    @staticmethod
    def _check_whole(**values: Any) -> None:
        for name, value in values.items():
            if not is_whole(value) or value < 1:
                raise SansiError(f'"{name}" is {value!r}; it must be a whole number of at least 1', param=name)

    def __iter__(self) -> Iterator[Batch]:
        return self

    def __next__(self) -> Batch:
        # Every rank knows the place of all: the stream ends for all of them with the last whole global batch.
        if self.rows_left is not None and self.rows_left < self.batch_size * self.world_size:
            raise StopIteration
        self.skip(self.rank * self.batch_size)
        rows = [self.take() for _ in range(self.batch_size)]
        self.skip((self.world_size - 1 - self.rank) * self.batch_size)
        return stack(rows)


def stack(rows: Sequence[Row]) -> Batch:
    """The rows as a batch."""
    return Batch(
        ids=torch.from_numpy(np.stack([row.ids for row in rows])),
        documents=tuple(row.documents for row in rows),
        loss_mask=torch.from_numpy(np.stack([row.loss_mask for row in rows])),
        weights=_stacked_weights(rows),
    )


def _stacked_weights(rows: Sequence[Row]) -> torch.Tensor | None:
    """None where no row has any; rows without beside those that have some weigh 1."""
    if all(row.weights is None for row in rows):
        return None
    ones = (np.ones(len(row.ids), np.float32) for row in rows)
    return torch.from_numpy(
        np.stack([o if row.weights is None else row.weights for o, row in zip(ones, rows, strict=True)])
    )


class EpochStream(RowStream):
    """A finite set of rows, shuffled anew in every epoch; a batch may hold rows of two epochs.

    The order of an epoch is a pure function of seed and epoch, whatever the ranks: a place in the stream is a number of
    rows, which where every epoch has as many is kept as one integer.
    """

    def __init__(
        self,
        sequence_length: int,
        batch_size: int,
        seed: int,
        rank: int,
        world_size: int,
        epochs: int | None = None,
    ):
        super().__init__(sequence_length, batch_size, rank, world_size)
        if not is_whole(seed) or seed < 0:
            raise SansiError(f'"seed" is {seed!r}; it must be a whole number of at least 0', param="seed")
        if epochs is not None:
            self._check_whole(epochs=epochs)
        self.seed, self.epochs = int(seed), epochs
        self.epoch, self.position = 0, 0  # position: rows already drawn in this epoch

    @property
    @abstractmethod
    def rows_per_epoch(self) -> int:
        """Rows of the present epoch."""

    @abstractmethod
    def row(self, position: int) -> Row:
        """The row at a place of the present epoch."""

    @abstractmethod
    def fingerprint(self) -> dict[str, Any]:
        """Facts that tell this data from other data, a digest of its whole content among them."""

    def description(self) -> dict[str, Any]:
        return self.fingerprint()

    @classmethod
    def check_length(cls, sequence_length: Any) -> None:
        """Raise SansiError for what is no length of rows."""
        cls._check_whole(sequence_length=sequence_length)

    @property
    def rows_left(self) -> int | None:
        if self.epochs is None:
            return None
        return (self.epochs - self.epoch) * self.rows_per_epoch - self.position

    def take(self) -> Row:
        self._turn()
        row = self.row(self.position)
        self.position += 1
        return row

    def skip(self, rows: int = 1) -> None:
        while rows:
            self._turn()
            here = min(rows, self.rows_per_epoch - self.position)
            self.position, rows = self.position + here, rows - here

    def state_dict(self) -> dict[str, Any]:
        return {"data": self.fingerprint(), **self.place()}

    def place(self) -> dict[str, int]:
        """Where the stream is, as whole numbers."""
        return {"epoch": self.epoch, "position": self.position}

    def go_to(self, place: Mapping[str, Any]) -> None:
        """Go on from there. Raises SansiError for what is no place."""
        epoch: Any = place.get("epoch")
        position: Any = place.get("position")
        if not is_whole(epoch) or not is_whole(position) or epoch < 0 or position < 0:
            raise SansiError(f"the saved place is epoch {epoch!r}, row {position!r}; the state is damaged")
        before = self.epoch, self.position
        self.epoch, self.position = epoch, position
        if position > (rows := self.rows_per_epoch):
            self.epoch, self.position = before
            raise SansiError(f"the saved place is row {position} of {rows}; the state is damaged")

    def load_state_dict(self, state: dict[str, Any]) -> None:
        mine, saved = self.fingerprint(), state.get("data") if isinstance(state, Mapping) else None
        if not isinstance(saved, Mapping):
            raise SansiError(f"the saved place belongs to other data: it is no state of a {type(self).__name__}")
        if found := changes(saved, mine, str):
            raise SansiError(
                f"the saved place belongs to other data: {'; '.join(found)}; use the same data, or start anew"
            )
        self.go_to(state)

    def _turn(self) -> None:
        """Go on to the next epoch where this one is drawn."""
        if self.position >= self.rows_per_epoch:
            self.epoch, self.position = self.epoch + 1, 0


def as_row(
    ids: npt.NDArray[np.int64],
    document: npt.NDArray[Any],
    target: npt.NDArray[np.bool_],
    weights: npt.NDArray[np.float32] | None = None,
) -> Row:
    inside = np.zeros(len(ids), bool)
    inside[1:] = document[1:] == document[:-1]
    return Row(ids, document.astype(np.int32), target & inside, weights)
