"""Batches for the trainer: deterministic, mixed by weight, resumable bit for bit.

Every dataset here is an endless iterator of `Batch`es, stacked from rows of T + 1 tokens.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from sansi.base.errors import SansiError
from sansi.base.shown import show
from sansi.data.ids import is_whole
from sansi.data.packed import PackedDataset
from sansi.data.samples import SampleDataset, best_fit
from sansi.data.streams import EpochStream, Row, RowStream, stack

__all__ = ["EpochStream", "Mixture", "PackedDataset", "Row", "RowStream", "SampleDataset", "best_fit", "stack"]


class Mixture(RowStream):
    """Rows of several datasets in proportion to their weights, interleaved as evenly as whole rows allow.

    The next row comes from the dataset that is furthest behind its share, so the counts stay within the number of
    datasets of the exact proportion, and the place is just the counts. Batch size and ranks default to those of the
    first dataset; all must have the same sequence length.
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
        self.counts = np.zeros(len(weights), np.int64)  # rows drawn of each dataset
        known = [getattr(dataset, "largest_id", None) for dataset in self.datasets]
        self.largest_id = max((number for number in known if number is not None), default=0)

    def take(self) -> Row:
        return self._next_dataset().take()

    def skip(self, rows: int = 1) -> None:
        for _ in range(rows):
            self._next_dataset().skip()

    def state_dict(self) -> dict[str, Any]:
        parts = [dataset.state_dict() for dataset in self.datasets]
        return {"weights": self.weights.tolist(), "counts": self.counts.tolist(), "datasets": parts}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        saved = state if isinstance(state, Mapping) else {}
        parts, counts = saved.get("datasets"), saved.get("counts")
        if (
            saved.get("weights") != self.weights.tolist()
            or not isinstance(parts, list)
            or len(parts) != len(self.datasets)
        ):
            shown = f"weights {saved.get('weights')} there, {self.weights.tolist()} here"
            raise SansiError(
                f"the saved place belongs to another mixture: {shown}; mix the same data by the same weights"
            )
        if not isinstance(counts, list) or len(counts) != len(parts) or not all(is_whole(n) and n >= 0 for n in counts):
            raise SansiError(f"the saved place has drawn {counts!r} rows of its datasets; the state is damaged")
        before = [(dataset, dataset.state_dict()) for dataset in self.datasets]
        try:
            for dataset, part in zip(self.datasets, parts, strict=True):
                dataset.load_state_dict(part)
        except SansiError:
            for dataset, place in before:  # all or none
                dataset.load_state_dict(place)
            raise
        self.counts = np.asarray(counts, np.int64)

    def _next_dataset(self) -> RowStream:
        behind = self.weights * (self.counts.sum() + 1) - self.counts
        choice = int(np.argmax(behind))
        self.counts[choice] += 1
        return self.datasets[choice]
