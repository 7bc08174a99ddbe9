"""What is left of an adapter once the weights that it was merged into are rounded."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from sansi.model.adapters.merge import Merged
from sansi.model.formats.quantized import kind_of
from sansi.model.formats.tensors import EMBEDDING
from sansi.model.formats.weights import VALUES_AT_ONCE, WeightSource
from sansi.model.kernels import pack, unpack

Rounding = Callable[[str, Tensor], Tensor]
"""(name of the tensor, its rows) -> the rows as they are once rounded."""


@dataclass(frozen=True)
class Erasure:
    """How much of an adapter rounding takes away. Small changes of a weight rarely move it to another level."""

    kind: str
    """What the weights are rounded to."""
    changed: int
    """Tensors that the adapter changes."""
    erased: float
    """Share of the change, by its squares, at weights of whose change rounding leaves less than half."""
    noise: float
    """RMS difference between the change that is left and the one that was trained, over the trained one's RMS; above 1
    rounding moves the weights more than the adapter does."""
    by_tensor: Mapping[str, float]
    """`erased` of each tensor that is rounded."""

    def __str__(self) -> str:
        told = f"{self.changed} tensors changed; {self.kind} erases {self.erased:.0%} of the adapter's change"
        advice = "; beside the base (--adapter) nothing of it is rounded" if self.noise > 0.5 else ""
        return f"{told}, and adds noise of {self.noise:.2f} times its size{advice}"


@torch.no_grad()
def erasure(base: WeightSource, merged: Merged, kind: str = "int4", rounded: Rounding | None = None) -> Erasure:
    """What rounding to `kind` erases of the adapters in `merged`, which was made of `base`.

    rounded: how; default: as `sansi quantize` does, for kind "int4" and "int8" (embedding and head in int8).
    """
    rounded = rounded or _rounding(kind)
    squares = lost = noise = 0.0
    by_tensor: dict[str, float] = {}
    for name in merged.changed:
        own = name if name in base.shapes else EMBEDDING
        sums = torch.zeros(3, dtype=torch.float64)
        step = max(1, VALUES_AT_ONCE // max(merged.shapes[name][-1], 1))
        for first in range(0, merged.shapes[name][0], step):
            last = min(first + step, merged.shapes[name][0])
            before, after = base.rows(own, first, last).float(), merged.rows(name, first, last).float()
            sums += _compare(name, before, after, rounded)
        if sums[0] > 0:
            by_tensor[name] = float(sums[1] / sums[0])
        squares, lost, noise = squares + float(sums[0]), lost + float(sums[1]), noise + float(sums[2])
    whole = max(squares, torch.finfo(torch.float64).tiny)
    return Erasure(kind, len(merged.changed), lost / whole, (noise / whole) ** 0.5, by_tensor)


def _compare(name: str, before: Tensor, after: Tensor, rounded: Rounding) -> Tensor:
    """Sums of squares: of the change, of the part that is erased, and of the difference to what is left."""
    change = (after - before).double()
    left = rounded(name, after).double() - rounded(name, before).double()
    still = left * change.sign() < change.abs() / 2  # not 0: a group's scale may have moved by a hair
    return torch.stack([change.square().sum(), change[still].square().sum(), (left - change).square().sum()])


def _rounding(kind: str) -> Rounding:
    def rounded(name: str, rows: Tensor) -> Tensor:
        chosen = kind_of(name, tuple(rows.shape), kind, "int8")
        return rows if chosen is None else unpack(pack(rows, chosen))

    return rounded
