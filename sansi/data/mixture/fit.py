"""The fit: what proxies read and how well they then predicted, in; what each feature is worth, out.

The loss of a proxy on an evaluation set (bits per byte) is taken to be

    log loss = constant + effects . z + price * D

    z   means of the features over what the proxy read, which are 0 where it reads the corpus as it is
    D   how concentrated that was, see `divergence`: less variety, and more of it repeated

a regression of its own for each set: what is learnt well already gains less from more of the same. Near any point the
loss over all sets is therefore effects . z + price * D with the sets' coefficients, each weighted by what the set
counts and by its loss there. The minimum of that over all ways to read the corpus has a closed form: the weight of a
document with features x is proportional to exp(-effects . x / price), so weights are log-linear and their strength is
measured, not chosen. Coefficients are fitted by ridge regression, its penalty chosen by the leave-one-out error;
constant and price are not penalised. With features that are shares of domains the form is that of data mixing laws (Ye
et al. 2024, arXiv:2403.16952) with one more column, and the way to it RegMix's (Liu et al. 2024, arXiv:2407.01492).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from sansi.base.errors import SansiError
from sansi.data.mixture.features import Floats

PENALTIES = np.logspace(-4, 2, 25)  # of the mean square of the features
RESAMPLED = 400  # fits that the intervals come from
BEYOND = 1.5  # times the measured losses: no set is predicted farther away


@dataclass(frozen=True)
class Coefficients:
    """Of the logarithms of the losses, for each set."""

    constant: Floats
    """[sets]: predicted of the corpus as it is."""
    effects: Floats
    """[sets, features]: for a mean that is one deviation higher."""
    price: Floats
    """[sets]: for a nat of concentration."""


@dataclass(frozen=True)
class Slope:
    """How the loss over all sets changes near a point, in bits per byte."""

    effects: Floats
    """[features]"""
    price: float


@dataclass(frozen=True)
class Fit:
    """What was fitted, with what resampling the proxies makes of it."""

    coefficients: Coefficients
    set_weights: Floats
    """[sets]: what each counts; together 1."""
    smallest: Floats
    """[sets]: the smallest measured loss; with `largest`, what bounds predictions."""
    largest: Floats
    penalty: float
    error: float
    """Root mean square of the leave-one-out errors over all sets, in bits per byte."""
    explained: float
    """Share of the variance of the losses that is predicted so; 0 or less: nothing is known of any feature."""
    resampled: tuple[Coefficients, ...]

    def predict(self, exposures: Floats, concentration: Floats | float) -> Floats:
        """[…, sets], in bits per byte; exposures […, features], concentration […]."""
        c = self.coefficients
        logarithms = c.constant + exposures @ c.effects.T + np.multiply.outer(concentration, c.price)
        return np.exp(np.clip(logarithms, np.log(self.smallest / BEYOND), np.log(self.largest * BEYOND)))

    @property
    def curvature(self) -> float:
        """The largest second derivative of the loss by the means of the features, at the largest measured losses."""
        scaled = np.sqrt(self.set_weights * self.largest)[:, None] * self.coefficients.effects
        return float(np.linalg.norm(scaled, 2) ** 2)

    def slope(self, exposure: Floats, concentration: float) -> Slope:
        """Near what is read with these means of the features, and so concentrated."""
        return self._slope(self.coefficients, self.predict(exposure, concentration))

    def slopes(self, exposure: Floats, concentration: float) -> list[Slope]:
        """The same of each resampled fit."""
        losses = self.predict(exposure, concentration)
        return [self._slope(coefficients, losses) for coefficients in self.resampled]

    def _slope(self, coefficients: Coefficients, losses: Floats) -> Slope:
        counted = self.set_weights * losses
        return Slope(counted @ coefficients.effects, float(counted @ coefficients.price))


def fit(
    exposures: Floats,
    concentration: Floats,
    losses: Floats,
    set_weights: Floats | None = None,
    blocks: Sequence[int] | None = None,
    seed: int = 0,
) -> Fit:
    """exposures [proxies, features], concentration [proxies] in nats, losses [proxies, sets] in bits per byte.

    set_weights: what each set counts, together 1; None: all the same. blocks: number of the block of each proxy, drawn
    together when proxies are resampled; None: each for itself. Raises SansiError for fewer than 4 proxies, losses that
    are not finite and above 0, and shapes that do not fit each other.
    """
    _check(exposures, concentration, losses)
    sets = losses.shape[1]
    counted = np.full(sets, 1 / sets) if set_weights is None else set_weights
    logarithms = np.log(losses)
    penalty, errors = _best_penalty(exposures, concentration, logarithms, losses * np.sqrt(counted))
    measured, predicted = losses @ counted, np.exp(logarithms - errors) @ counted
    mean_square, spread = float(np.mean((measured - predicted) ** 2)), float(np.mean((measured - measured.mean()) ** 2))
    return Fit(
        _solve(exposures, concentration, logarithms, penalty),
        counted,
        losses.min(0),
        losses.max(0),
        penalty,
        mean_square**0.5,
        1 - mean_square / spread if spread > 0 else 0.0,
        tuple(_resampled(exposures, concentration, logarithms, penalty, blocks, seed)),
    )


def _check(exposures: Floats, concentration: Floats, losses: Floats) -> None:
    if exposures.ndim != 2 or losses.ndim != 2 or not len(exposures) == len(concentration) == len(losses):
        raise SansiError(
            f"{exposures.shape} exposures, {concentration.shape} concentrations and {losses.shape} losses are not of "
            "the same proxies"
        )
    if len(losses) < 4:
        raise SansiError(f"{len(losses)} proxies tell too little; train 4 or more, and better 4 to a feature")
    if not all(np.isfinite(values).all() for values in (exposures, concentration, losses)) or losses.min() <= 0:
        raise SansiError("a loss of a proxy is not finite and above 0; lower its learning rate")


def _free(concentration: Floats) -> Floats:
    """The columns that no penalty is on."""
    return np.stack([np.ones(len(concentration)), concentration], 1)


def _solve(exposures: Floats, concentration: Floats, logarithms: Floats, penalty: float) -> Coefficients:
    free = _free(concentration)
    inverse = np.linalg.pinv(free)
    left, target = exposures - free @ (inverse @ exposures), logarithms - free @ (inverse @ logarithms)
    effects = np.asarray(np.linalg.solve(left.T @ left + _ridge(left, penalty), left.T @ target), np.float64)
    constant, price = inverse @ (logarithms - exposures @ effects)
    return Coefficients(constant, effects.T, price)


def _ridge(left: Floats, penalty: float) -> Floats:
    """The same for all features, whose deviations in the corpus are 1; in proportion to how far proxies moved them."""
    return (penalty * float(np.mean(left**2)) * len(left) + 1e-12) * np.eye(left.shape[1])


def _best_penalty(exposures: Floats, concentration: Floats, logarithms: Floats, scale: Floats) -> tuple[float, Floats]:
    """The penalty with the smallest leave-one-out errors, and these; from the diagonal of the hat matrix (PRESS).

    scale: [proxies, sets], what an error of a logarithm counts.
    """
    free = _free(concentration)
    span = free @ np.linalg.pinv(free)
    left, target = exposures - span @ exposures, logarithms - span @ logarithms
    found: list[tuple[float, float, Floats]] = []
    for penalty in PENALTIES.tolist():
        hat = left @ np.linalg.solve(left.T @ left + _ridge(left, penalty), left.T)
        remaining = np.maximum(1 - np.diag(hat) - np.diag(span), 1e-3)[:, None]
        errors = (target - hat @ target) / remaining
        found.append((float(np.sum((errors * scale) ** 2)), penalty, errors))
    _, penalty, errors = min(found, key=lambda one: one[0])
    return penalty, errors


def _resampled(
    exposures: Floats,
    concentration: Floats,
    logarithms: Floats,
    penalty: float,
    blocks: Sequence[int] | None,
    seed: int,
) -> list[Coefficients]:
    """Fits to proxies drawn with replacement."""
    owner = np.arange(len(logarithms)) if blocks is None else np.asarray(blocks)
    rows = [np.flatnonzero(owner == block) for block in np.unique(owner)]
    rng = np.random.default_rng(seed)
    found = []
    for _ in range(RESAMPLED):
        chosen = np.concatenate([rows[i] for i in rng.integers(len(rows), size=len(rows))])
        found.append(_solve(exposures[chosen], concentration[chosen], logarithms[chosen], penalty))
    return found
