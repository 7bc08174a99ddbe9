"""The scale, and the minimum, that a group of weights is best rounded with.

The squared error is made small, each input's weighted by its importance. Candidates of the scale are tried, to the
levels of each scale and minimum are fitted by least squares, and the best is kept.

Letters of shapes: M groups   n values of a group
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

VALUES_AT_ONCE = 2**18
"""A search over so many weights stays in the caches."""
_INFINITE = float("inf")


@dataclass
class Fit:
    """The best so far of each group; [M, 1] each."""

    scale: Tensor
    low: Tensor
    error: Tensor

    @classmethod
    def none(cls, like: Tensor) -> Fit:
        return cls(like * 0, like * 0, torch.full_like(like, _INFINITE))

    @classmethod
    def joined(cls, parts: Sequence[Fit]) -> Fit:
        """Of the groups of all parts, one after the other."""
        return cls(*(torch.cat([getattr(part, name) for part in parts]) for name in ("scale", "low", "error")))

    def offer(self, scale: Tensor, low: Tensor, error: Tensor) -> None:
        better = error < self.error
        self.scale, self.low = torch.where(better, scale, self.scale), torch.where(better, low, self.low)
        self.error = torch.where(better, error, self.error)


def inverse(values: Tensor) -> Tensor:
    return torch.where(values == 0, 0.0, 1 / values)


def levels_of(x: Tensor, scale: Tensor, low: Tensor | float, bottom: int, top: int) -> Tensor:
    return ((x - low) * inverse(scale)).round().clamp(bottom, top)


def error_of(x: Tensor, w: Tensor, scale: Tensor, low: Tensor, bottom: int, top: int) -> Tensor:
    return (w * (x - low - scale * levels_of(x, scale, low, bottom, top)).square()).sum(-1, keepdim=True)


def _sum(values: Tensor) -> Tensor:
    return values.sum(-1, keepdim=True)


def fit_affine(x: Tensor, w: Tensor, top: int, negative: bool, step: int = 1) -> Fit:
    """x [M, n] by levels 0 to `top`.

    negative: the minimum is 0 at most, as in the K types. step: every so many of the candidates are tried.
    """
    low, high = x.amin(-1, keepdim=True), x.amax(-1, keepdim=True)
    low = low.clamp(max=0) if negative else low
    sw, sx, sxx = _sum(w), _sum(w * x), _sum(w * x * x)
    best = Fit.none(low)
    first = (high - low) / top
    best.offer(first, low, error_of(x, w, first, low, 0, top))

    def fit(scale: Tensor, start: Tensor) -> None:
        q = levels_of(x, scale, start, 0, top)
        sl, sll, sxl = _sum(w * q), _sum(w * q * q), _sum(w * x * q)
        det = sw * sll - sl * sl
        s, m = (sw * sxl - sx * sl) / det, (sll * sx - sl * sxl) / det
        if negative:
            s, m = torch.where(m > 0, sxl / sll, s), m.clamp(max=0)
        error = sxx - 2 * (s * sxl + m * sx) + s * s * sll + 2 * s * m * sl + m * m * sw
        best.offer(s, m, torch.where(det > 0, error.clamp(min=0), _INFINITE))

    for share in range(-10, 19, step):
        fit((high - low) / (top + 0.1 * share), low)
    for _ in range(3):
        fit(best.scale, best.low)
    return best


def fit_symmetric(x: Tensor, w: Tensor, bottom: int, top: int, signed: bool = True) -> Fit:
    """x [M, n] by levels `bottom` to `top`. signed: a scale may be negative."""
    largest = x.gather(-1, x.abs().argmax(-1, keepdim=True)) if signed else -x.abs().amax(-1, keepdim=True)
    best = Fit.none(largest)
    nothing = torch.zeros_like(largest)
    sxx = _sum(w * x * x)
    best.offer(largest / bottom, nothing, error_of(x, w, largest / bottom, nothing, bottom, top))

    def fit(scale: Tensor) -> None:
        q = levels_of(x, scale, 0.0, bottom, top)
        sll, sxl = _sum(w * q * q), _sum(w * x * q)
        s = sxl / sll
        best.offer(s, nothing, torch.where(sll > 0, (sxx - s * sxl).clamp(min=0), _INFINITE))

    step = min(-bottom / 64, 1.0)
    for i in range(-7, 8):
        fit(largest / (bottom - step * i))
    for _ in range(2):
        fit(best.scale)
    return best
