"""The weights of the smallest fitted loss, within bounds and not too far from the corpus."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from sansi.data.mixture.features import Floats
from sansi.data.mixture.fit import Fit, Slope
from sansi.data.mixture.sample import Sample
from sansi.data.mixture.shares import Bounds

PRICES = np.geomspace(4.0, 0.004, 24)
"""What is added to the price of concentration on the way to the optimum, in lengths of the first slope."""
SETTLING = 25
"""Steps of descent at each."""


@dataclass(frozen=True)
class Optimum:
    """Where the fitted loss is smallest within the bounds."""

    slope: Slope
    exposure: Floats
    """[features]: means over what is read there."""
    concentration: float
    coefficients: Floats
    """[features]: of the logarithms of the weights."""


def find_optimum(found: Fit, sample: Sample, bounds: Bounds, limit: float) -> Optimum:
    """The weights of the smallest fitted loss that are within the bounds and at most `limit` nats from the corpus.

    From the corpus as it is the price of leaving it is lowered step by step, down to the fitted one, and the way ends
    where it is as far from the corpus as is allowed.
    """
    descent = _Descent(found, sample, bounds)
    kept = np.zeros(sample.features.shape[1])
    first = max(float(np.linalg.norm(descent.point(kept).slope.effects)), 1e-12)
    for added in first * PRICES:
        reached = descent.settled(kept, added)
        if descent.point(reached).concentration > limit:
            return descent.point(_between(descent, kept, reached, limit))
        kept = reached
    return descent.point(kept)


@dataclass(frozen=True)
class _Descent:
    """Down the fitted loss of a sample."""

    found: Fit
    sample: Sample
    bounds: Bounds

    def point(self, coefficients: Floats) -> Optimum:
        given = self.sample.weights(coefficients, self.bounds)
        exposure, concentration = self.sample.exposure(given), self.sample.concentration(given)
        return Optimum(self.found.slope(exposure, concentration), exposure, concentration, coefficients)

    def settled(self, coefficients: Floats, added: float) -> Floats:
        """From these coefficients down to the minimum of the fitted loss with that much added to the price.

        Mirror descent: the gradient at what is read with the coefficients, by their divergence as the distance. Where
        two sets want different documents it settles between them.
        """
        bends = self.found.curvature
        for _ in range(SETTLING):
            slope = self.point(coefficients).slope
            price = max(slope.price, 0.0) + added
            coefficients = coefficients - (slope.effects + price * coefficients) / (2 * bends + price)
        return coefficients


def _between(descent: _Descent, inside: Floats, outside: Floats, limit: float) -> Floats:
    """The last coefficients on the way from one to the other that are not too far from the corpus."""
    low, high = 0.0, 1.0
    for _ in range(30):
        middle = 0.5 * (low + high)
        near = descent.point(inside + middle * (outside - inside)).concentration <= limit
        low, high = (middle, high) if near else (low, middle)
    return inside + low * (outside - inside)
