"""Matrices on a grid of levels: which scale each group of inputs gets, and which level each weight.

w = (q - zero) * scale. With the second moments of the inputs a level is chosen with regard to what rounding the inputs
before it missed (GPTQ, Frantar et al. 2022, arXiv:2210.17323), and of each row the best of that and of plain roundings
is kept, so that no output is further from its own than it would be without.

Letters of shapes: N outputs   K inputs   G groups   n inputs of a group
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from sansi.model.formats.fitting import VALUES_AT_ONCE, Fit, error_of, fit_symmetric, inverse

BLOCK = 128
"""Columns whose errors are carried on to the others at once."""
DAMP = 0.01
"""Of the mean second moment, added to each: inputs that a text hardly has would count for nothing."""
TRIES = 4


@dataclass(frozen=True)
class Grid:
    """Where levels lie."""

    bits: int
    scales: Tensor
    """[N, G] float32, with values that the files hold."""
    zeros: Tensor
    """[N, G] float32, whole."""
    group_of: Tensor
    """[K] int64: the group of each input."""

    @property
    def top(self) -> int:
        return 2**self.bits - 1

    def spread(self) -> tuple[Tensor, Tensor]:
        """Scale and zero point of each weight, [N, K]."""
        return self.scales[:, self.group_of], self.zeros[:, self.group_of]

    def replaced(self, better: Tensor, other: Grid) -> Grid:
        """With scales and zero points of `other` where that is better, [N, 1] or [N, G]; both have the same groups."""
        scales, zeros = torch.where(better, other.scales, self.scales), torch.where(better, other.zeros, self.zeros)
        return replace(self, scales=scales, zeros=zeros)


@dataclass(frozen=True)
class Levels:
    """A matrix on a grid."""

    grid: Grid
    q: Tensor
    """[N, K] uint8."""

    def rows(self, first: int, last: int) -> Levels:
        grid = replace(self.grid, scales=self.grid.scales[first:last], zeros=self.grid.zeros[first:last])
        return Levels(grid, self.q[first:last])

    def floats(self) -> Tensor:
        """[N, K] float32."""
        scales, zeros = self.grid.spread()
        return (self.q - zeros) * scales


def exact_in(values: Tensor, dtypes: Sequence[torch.dtype]) -> Tensor:
    """The values rounded so that each of the dtypes holds them, float32."""
    for dtype in (*dtypes, *dtypes):
        values = values.to(dtype).float()
    return values


def symmetric_grid(
    weight: Tensor, bits: int, group_of: Tensor, dtypes: Sequence[torch.dtype], importance: Tensor | None = None
) -> Grid:
    """The scales with the smallest squared error, each input's weighted by its importance [K]; above 0 all of them."""
    groups, half = _grouped(weight, group_of), 2 ** (bits - 1)
    x = groups.reshape(-1, groups.shape[-1])
    w = torch.ones(1, 1).to(x) if importance is None else _grouped(importance.expand_as(weight), group_of)
    w = w.expand_as(x) if importance is None else w.reshape(x.shape)
    at_once = max(1, VALUES_AT_ONCE // x.shape[1])
    parts = zip(x.split(at_once), w.split(at_once), strict=True)
    scales = Fit.joined([_symmetric(part, weights, half, dtypes) for part, weights in parts]).scale
    scales = scales.view(groups.shape[:2])
    return Grid(bits, scales, torch.full_like(scales, half), group_of)


def _symmetric(x: Tensor, w: Tensor, half: int, dtypes: Sequence[torch.dtype]) -> Fit:
    """Of groups [M, n]."""
    fitted = fit_symmetric(x, w, -half, half - 1, signed=False)
    widest = x.abs().amax(-1, keepdim=True)
    best = Fit.none(widest)
    for scale in (widest / (half - 0.5), fitted.scale, widest / half):
        scale = exact_in(scale, dtypes)
        best.offer(scale, scale * 0, error_of(x, w, scale, scale * 0, -half, half - 1))
    return best


def plain_grid(weight: Tensor, bits: int, group_of: Tensor, dtypes: Sequence[torch.dtype]) -> Grid:
    """The widest value of each group on the outermost level, as everybody's plain rounding has it."""
    widest, half = _grouped(weight, group_of).abs().amax(-1), 2 ** (bits - 1)
    return Grid(bits, exact_in(widest / (half - 0.5), dtypes), torch.full_like(widest, half), group_of)


def nearest(weight: Tensor, grid: Grid) -> Levels:
    """Each weight to the level nearest to it."""
    scales, zeros = grid.spread()
    q = (weight * inverse(scales)).round() + zeros
    return Levels(grid, q.clamp(0, grid.top).to(torch.uint8))


def output_error(weight: Tensor, levels: Levels, moments: Tensor) -> Tensor:
    """[N]: the squared error of each output, summed over the text whose inputs have these second moments [K, K]."""
    missed = levels.floats() - weight
    return ((missed @ moments) * missed).sum(1)


@dataclass(frozen=True)
class Best:
    """The best of several roundings of a matrix."""

    levels: Levels
    error: Tensor
    """[N]: what `output_error` says of it."""


def best_rows(weight: Tensor, candidates: Sequence[Levels], moments: Tensor) -> Best:
    """Of each row the candidate with the smallest error of its output; all lie in the same groups."""
    best = candidates[0]
    least = output_error(weight, best, moments)
    for other in candidates[1:]:
        error = output_error(weight, other, moments)
        better = (error < least).unsqueeze(1)
        best = Levels(best.grid.replaced(better, other.grid), torch.where(better, other.q, best.q))
        least = torch.minimum(least, error)
    return Best(best, least)


def compensated(weight: Tensor, grid: Grid, moments: Tensor, damp: float = DAMP) -> Levels | None:
    """Levels chosen input by input, those that matter most first: what rounding one misses goes to those not yet
    rounded, as far as their inputs go together. None where the moments say nothing, however much they are damped.
    """
    order = torch.argsort(moments.diagonal(), descending=True, stable=True)
    factor = _inverse_factor(moments[order][:, order], damp)
    if factor is None:
        return None
    scales, zeros = (part[:, order].T.contiguous() for part in grid.spread())
    shares, own = inverse(scales), factor.diagonal().tolist()
    rest, q = weight[:, order].T.contiguous(), torch.empty_like(scales)
    for start in range(0, len(rest), BLOCK):
        stop = min(start + BLOCK, len(rest))
        missed = torch.empty_like(rest[start:stop])
        for k in range(start, stop):
            torch.mul(rest[k], shares[k], out=q[k]).round_().add_(zeros[k]).clamp_(0, grid.top)
            torch.sub(rest[k], (q[k] - zeros[k]).mul_(scales[k]), out=missed[k - start]).div_(own[k])
            rest[k + 1 : stop].addr_(factor[k, k + 1 : stop], missed[k - start], alpha=-1)
        rest[stop:].addmm_(factor[start:stop, stop:].T, missed, alpha=-1)
    return Levels(grid, q[torch.argsort(order)].T.to(torch.uint8).contiguous())


def by_importance(moments: Tensor | None, columns: int, size: int, descending: bool) -> Tensor:
    """The group of each input: neighbours make one, in order of how much they matter where that is asked for."""
    plain = torch.arange(columns) // size
    if moments is None or not descending:
        return plain
    order = torch.argsort(moments.diagonal().cpu(), descending=True, stable=True)
    return plain[torch.argsort(order)]


def _grouped(weight: Tensor, group_of: Tensor) -> Tensor:
    """[N, K] -> [N, G, n], the inputs of a group side by side; all groups are of one size."""
    order = torch.argsort(group_of, stable=True)
    return weight[:, order].view(len(weight), int(group_of.max()) + 1, -1)


def _inverse_factor(moments: Tensor, damp: float) -> Tensor | None:
    """The upper Cholesky factor of the inverse of the moments; an input that was never there stands alone."""
    diagonal = moments.diagonal().mean()
    if diagonal <= 0:
        return None
    for attempt in range(TRIES):
        damped = moments / diagonal
        damped.diagonal().add_(damp * 10**attempt)
        lower, failed = torch.linalg.cholesky_ex(damped)
        if failed:
            continue
        upper, failed = torch.linalg.cholesky_ex(torch.cholesky_inverse(lower), upper=True)
        if not failed and upper.isfinite().all():
            return upper
    return None
