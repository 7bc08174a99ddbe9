"""What the micro-batches of a step add up to: its loss, its extras, its statistics."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from torch import Tensor

from sansi.base import SansiError
from sansi.train.objective import Extra, Loss, Measuring, Objective

LOSS = "loss"
"""The name of the objective's own term among counts and totals."""


@dataclass
class Totals:
    """Sums of the losses of some micro-batches; those of several ranks add up to those of the global batch."""

    sums: dict[str, float] = field(default_factory=dict)
    counts: dict[str, float] = field(default_factory=dict)
    largest: dict[str, float] = field(default_factory=dict)
    statistics: dict[str, Tensor] = field(default_factory=dict)

    @classmethod
    def of(cls, losses: Iterable[Loss]) -> Totals:
        # Numbers are asked for when all is done: a device would be waited for each time.
        sums, counts, largest = (defaultdict[str, list[Tensor | float]](list) for _ in range(3))
        statistics: dict[str, Tensor] = {}
        for loss in losses:
            for name, term in {LOSS: Extra(loss.sum, loss.count), **loss.extras}.items():
                if term.reduction == "max":
                    largest[name].append(_put_aside(term.sum))
                else:
                    sums[name].append(_put_aside(term.sum))
                    counts[name].append(_put_aside(term.count))
            add_statistics(statistics, loss.statistics)
        return cls(
            {name: sum(map(float, values)) for name, values in sums.items()},
            {name: sum(map(float, values)) for name, values in counts.items()},
            {name: max(map(float, values)) for name, values in largest.items()},
            {name: value.cpu() for name, value in statistics.items()},
        )

    @classmethod
    def added(cls, parts: Iterable[Totals]) -> Totals:
        totals = cls()
        for part in parts:
            for name, value in part.sums.items():
                totals.sums[name] = totals.sums.get(name, 0.0) + value
                totals.counts[name] = totals.counts.get(name, 0.0) + part.counts[name]
            for name, value in part.largest.items():
                totals.largest[name] = max(totals.largest.get(name, value), value)
            add_statistics(totals.statistics, part.statistics)
        return totals

    def means(self) -> dict[str, float]:
        """Every term's mean by name; of a term without a count there is none, but for the loss, which is 0."""
        means = {name: self.sums[name] / count for name, count in self.counts.items() if count}
        return {LOSS: 0.0, **means, **self.largest}

    def metrics(self, objective: Objective) -> dict[str, float]:
        """The means, and the figures that the objective makes of its statistics."""
        figures = objective.metrics(self.statistics) if isinstance(objective, Measuring) and self.statistics else {}
        return {**self.means(), **figures}


def _put_aside(value: Tensor | float) -> Tensor | float:
    return value.detach() if isinstance(value, Tensor) else value


def add_statistics(total: dict[str, Tensor], part: Mapping[str, Tensor]) -> None:
    for name, value in part.items():
        total[name] = total[name] + value if name in total else value


def minimised(loss: Loss, counts: Mapping[str, float]) -> Tensor:
    """What the backward pass of one micro-batch starts from: its share of the loss of the global batch."""
    total = loss.sum / max(counts[LOSS], 1e-12)
    for name, extra in loss.extras.items():
        if extra.weight == 0.0:
            continue
        if name not in counts or extra.reduction != "mean":
            raise SansiError(
                f'the objective gives "{name}" a weight, but declares no count of it; let its counts() name it'
            )
        total = total + extra.weight * (extra.sum / max(counts[name], 1e-12))
    return total
