"""Rows of several datasets, mixed by weight; the mixture's place is one integer, too."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np

from sansi.base.errors import SansiError
from sansi.base.shown import show
from sansi.data.shards.ids import is_whole
from sansi.data.shards.streams import Row, RowStream


@dataclass(frozen=True)
class Drawn:
    """Which dataset a row of a mixture comes from."""

    dataset: int
    row: int
    """Rows that were drawn of that dataset before."""


class Shares:
    """Who gives row n of a mixture: known without walking there.

    Of every n rows the first dataset gives its share, rounded; of the others' rows the second gives its share of them,
    rounded; and so on. Fractions are exact, so that no count ever jumps.
    """

    def __init__(self, weights: Sequence[float]):
        exact = [Fraction(weight) for weight in weights]
        total = sum(exact)
        self._shares = []
        for weight in exact[:-1]:
            share = weight / total
            self._shares.append((share.numerator, share.denominator))
            total -= weight

    def counts(self, rows: int) -> list[int]:
        """How many of the first `rows` each gives."""
        found = []
        for number, of in self._shares:
            found.append(_rounded(rows, number, of))
            rows -= found[-1]
        return [*found, rows]

    def drawn(self, row: int) -> Drawn:
        """Who gives the row with this number, from 0."""
        for dataset, (number, of) in enumerate(self._shares):
            before = _rounded(row, number, of)
            if _rounded(row + 1, number, of) > before:
                return Drawn(dataset, before)
            row -= before
        return Drawn(len(self._shares), row)

    def place_of(self, drawn: Drawn) -> int:
        """The number in the mixture of a dataset's row."""
        low, high = drawn.row, drawn.row + 1
        while self.counts(high)[drawn.dataset] <= drawn.row:
            low, high = high, 2 * high
        while low < high:  # the first number of rows of which it gives this one
            middle = (low + high) // 2
            if self.counts(middle)[drawn.dataset] > drawn.row:
                high = middle
            else:
                low = middle + 1
        return low - 1


def _rounded(rows: int, number: int, of: int) -> int:
    """rows * number / of, to the nearest whole number, halves up."""
    return (2 * rows * number + of) // (2 * of)


class Mixture(RowStream):
    """Rows of several datasets in proportion to their weights, interleaved as evenly as whole rows allow.

    Which dataset gives a row follows from the row's number (see `Shares`); the counts stay within two rows of the exact
    proportion. Batch size and ranks default to those of the first dataset; all must have the same sequence length.
    """

    def __init__(self, datasets: Sequence[tuple[RowStream, float]], batch_size: int | None = None):
        datasets = list(datasets)
        for pair in datasets:
            if not isinstance(pair, tuple | list) or len(pair) != 2 or not isinstance(pair[0], RowStream):
                raise SansiError("a mixture is made of (dataset, weight) pairs", param="datasets")
        if not datasets:
            raise SansiError("a mixture needs at least one dataset", param="datasets")
        first = datasets[0][0]
        rows = first.batch_size if batch_size is None else batch_size
        super().__init__(first.sequence_length, rows, first.rank, first.world_size)
        self.datasets = [dataset for dataset, _ in datasets]
        for _, weight in datasets:
            if isinstance(weight, bool) or not isinstance(weight, int | float | np.number):
                raise SansiError(f"mixture weights must be numbers, not {show(weight)}", param="weight")
        weights = np.asarray([weight for _, weight in datasets], np.float64)
        lengths = sorted({dataset.sequence_length for dataset in self.datasets})
        if not (np.all(np.isfinite(weights)) and np.all(weights > 0)):
            raise SansiError(f"mixture weights must be above 0, not {weights.tolist()}", param="weight")
        if len(lengths) > 1:
            raise SansiError(f"the datasets of a mixture have different sequence lengths: {lengths}")
        self.weights = weights / weights.sum()
        self.shares = Shares(self.weights.tolist())
        self.rows = 0  # drawn so far
        known = [getattr(dataset, "largest_id", None) for dataset in self.datasets]
        self.largest_id = max((number for number in known if number is not None), default=0)

    @property
    def counts(self) -> list[int]:
        """Rows drawn of each dataset."""
        return self.shares.counts(self.rows)

    @property
    def rows_left(self) -> int | None:
        """Until the first of the datasets ends."""
        ends = [
            self.shares.place_of(Drawn(number, before + left)) - self.rows
            for number, (dataset, before) in enumerate(zip(self.datasets, self.counts, strict=True))
            if (left := dataset.rows_left) is not None
        ]
        return min(ends, default=None)

    def take(self) -> Row:
        dataset = self.datasets[self.shares.drawn(self.rows).dataset]
        self.rows += 1
        return dataset.take()

    def skip(self, rows: int = 1) -> None:
        before = self.counts
        self.rows += rows
        for dataset, old, new in zip(self.datasets, before, self.counts, strict=True):
            dataset.skip(new - old)

    def description(self) -> dict[str, Any]:
        parts = [dataset.description() for dataset in self.datasets]
        return {"kind": "mixture", "weights": self.weights.tolist(), "datasets": parts}

    def state_dict(self) -> dict[str, Any]:
        parts = [dataset.state_dict() for dataset in self.datasets]
        return {"weights": self.weights.tolist(), "row": self.rows, "datasets": parts}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        saved = state if isinstance(state, Mapping) else {}
        parts = saved.get("datasets")
        row: Any = saved.get("row")
        if (
            saved.get("weights") != self.weights.tolist()
            or not isinstance(parts, list)
            or len(parts) != len(self.datasets)
        ):
            shown = f"weights {saved.get('weights')} there, {self.weights.tolist()} here"
            raise SansiError(
                f"the saved place belongs to another mixture: {shown}; mix the same data by the same weights"
            )
        if not is_whole(row) or row < 0:
            raise SansiError(f"the saved place is row {row!r} of a mixture; the state is damaged")
        before = [(dataset, dataset.state_dict()) for dataset in self.datasets]
        try:
            for dataset, part in zip(self.datasets, parts, strict=True):
                dataset.load_state_dict(part)
        except SansiError:
            for dataset, place in before:  # all or none
                dataset.load_state_dict(place)
            raise
        self.rows = int(row)
