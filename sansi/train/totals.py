"""What the micro-batches of a step add up to: its loss, its extras, its statistics."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from torch import Tensor

from sansi.base import SansiError
from sansi.train.objective import Loss, Measuring, Objective

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
        totals = cls()
        for loss in losses:
            totals._count(LOSS, loss.sum, loss.count)
            for name, extra in loss.extras.items():
                if extra.reduction == "max":
                    totals._keep_largest(name, float(extra.sum))
                else:
                    totals._count(name, extra.sum, extra.count)
            add_statistics(totals.statistics, loss.statistics)
        return totals

    @classmethod
    def added(cls, parts: Iterable[Totals]) -> Totals:
        totals = cls()
        for part in parts:
            for name, value in part.sums.items():
                totals._count(name, value, part.counts[name])
            for name, value in part.largest.items():
                totals._keep_largest(name, value)
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

    def _count(self, name: str, value: Tensor | float, count: Tensor | float) -> None:
        self.sums[name] = self.sums.get(name, 0.0) + _number(value)
        self.counts[name] = self.counts.get(name, 0.0) + _number(count)

    def _keep_largest(self, name: str, value: float) -> None:
        self.largest[name] = max(self.largest.get(name, value), value)


def _number(value: Tensor | float) -> float:
    return value.detach().item() if isinstance(value, Tensor) else float(value)


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
