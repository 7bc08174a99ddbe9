"""How often documents are read under a budget: log-linear weights within bounds, and how concentrated they are.

scores [n]   logarithms of weights, up to a constant that the budget decides
sizes [n]    bytes of each document
total        bytes that are to be read; a weight of 1 everywhere reads sum(sizes)
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from sansi.base.errors import SansiError

Floats = npt.NDArray[np.float64]
LARGEST_STRENGTH = 60.0  # standard deviations of the scores: beyond, only the bounds decide
SMALLEST = -700.0  # the logarithm of a weight that is as good as 0


@dataclass(frozen=True)
class Bounds:
    """Between which the weight of every document lies."""

    low: float = 0.0
    high: float = 4.0

    def check(self, epochs: float) -> None:
        """Raise SansiError where no weights in these bounds read the corpus `epochs` times."""
        if not 0 <= self.low <= epochs <= self.high:
            raise SansiError(
                f"{epochs:g} times the corpus can not be read when each document is read {self.low:g} to "
                f'{self.high:g} times; change "epochs", or the bounds "min_weight" and "max_repeats"',
                param="epochs",
            )


def log_level(scores: Floats, sizes: Floats, total: float, bounds: Bounds) -> float:
    """The constant c for which the weights clip(exp(c + score), bounds) read `total` bytes."""
    bounds.check(total / float(sizes.sum()))
    # All weights are the low bound at the first constant (as good as 0, where that is it), the high one at the other.
    low = _logarithm(bounds.low) - float(scores.max())
    high = math.log(bounds.high) - float(scores.min())
    while high - low > 1e-13 * max(1.0, abs(low), abs(high)):  # what is read grows with the constant
        middle = 0.5 * (low + high)
        if middle in (low, high):
            break
        low, high = (middle, high) if float(sizes @ _clipped(middle + scores, bounds)) < total else (low, middle)
    return 0.5 * (low + high)


def _clipped(logarithms: Floats, bounds: Bounds) -> Floats:
    # Cut twice: first so that no exponential overflows, then because exp(log(bound)) may be just beyond the bound.
    inside = np.exp(np.clip(logarithms, _logarithm(bounds.low), math.log(bounds.high)))
    return np.clip(inside, bounds.low, bounds.high)


def _logarithm(bound: float) -> float:
    return math.log(bound) if bound > 0 else SMALLEST


def weights(scores: Floats, sizes: Floats, total: float, bounds: Bounds) -> Floats:
    """How often each document is read on average, so that all together are `total` bytes."""
    return _clipped(log_level(scores, sizes, total, bounds) + scores, bounds)


def divergence(weights: Floats, sizes: Floats) -> float:
    """Of what is read from the corpus as it is, in nats (Kullback-Leibler); 0 where all weights are equal.

    Its exponential, negated, is the share of the corpus that would be as much if it were read evenly.
    """
    read = weights * sizes
    shares, base = read / read.sum(), sizes / sizes.sum()
    seen = shares > 0
    return max(0.0, float(shares[seen] @ np.log(shares[seen] / base[seen])))


def strength_within(
    direction: Floats, sizes: Floats, total: float, bounds: Bounds, limit: float, most: float = math.inf
) -> float:
    """The largest factor up to `most` with which the scores `direction` stay within `limit` nats of the corpus."""
    deviation = float(direction.std())
    if deviation == 0.0:
        return 0.0

    def at(factor: float) -> float:
        return divergence(weights(factor * direction, sizes, total, bounds), sizes)

    high = min(most, LARGEST_STRENGTH / deviation)
    if at(high) <= limit:
        return high
    low = 0.0
    for _ in range(40):
        middle = 0.5 * (low + high)
        low, high = (middle, high) if at(middle) <= limit else (low, middle)
    return low
