"""The fit: what proxies read and how well they then predicted, in; what each feature is worth, out.

The loss of a proxy (bits per byte, mean over the evaluation sets) is taken to be

    loss = constant + effects . z + price * D

    z   means of the features over what the proxy read, which are 0 where it reads the corpus as it is
    D   how concentrated that was, see `divergence`: less variety, and more of it repeated

The minimum of effects . z + price * D over all ways to read the corpus has a closed form: the weight of a document
with features x is proportional to exp(-effects . x / price), so weights are log-linear and their strength is measured,
not chosen. Effects are fitted by ridge regression, its penalty chosen by the leave-one-out error; constant and price
are not penalised. With features that are shares of domains this is the regression of RegMix (Liu et al. 2024,
arXiv:2407.01492) with one more column.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from sansi.base.errors import SansiError
from sansi.data.mixture.features import Floats

PENALTIES = np.logspace(-4, 2, 25)  # of the mean square of the features
RESAMPLED = 400  # fits that the intervals come from


@dataclass(frozen=True)
class Fit:
    """What was fitted, with what resampling the proxies makes of it."""

    effects: Floats
    """[features]: bits per byte for a mean of one deviation more."""
    price: float
    """Bits per byte for a nat of concentration."""
    constant: float
    """Predicted loss of the corpus as it is."""
    penalty: float
    error: float
    """Root mean square of the leave-one-out errors, in bits per byte."""
    explained: float
    """Share of the variance of the losses that is predicted so; 0 or less: nothing is known of any feature."""
    effects_resampled: Floats
    """[fits, features]"""
    price_resampled: Floats

    def interval(self, feature: int) -> tuple[float, float]:
        """Of an effect: 95% of the resampled fits lie in it."""
        low, high = np.quantile(self.effects_resampled[:, feature], [0.025, 0.975])
        return float(low), float(high)

    def predict(self, exposures: Floats, concentration: Floats) -> Floats:
        return self.constant + exposures @ self.effects + self.price * concentration


def fit(
    exposures: Floats, concentration: Floats, losses: Floats, blocks: Sequence[int] | None = None, seed: int = 0
) -> Fit:
    """exposures [proxies, features], concentration [proxies] in nats, losses [proxies].

    blocks: number of the block of each proxy, drawn together when the proxies are resampled; None: each for itself.
    Raises SansiError for fewer than 4 proxies, figures that are not finite, and shapes that do not fit each other.
    """
    _check(exposures, concentration, losses)
    penalty, errors = _best_penalty(exposures, concentration, losses)
    constant, price, effects = _solve(exposures, concentration, losses, penalty)
    drawn = _resampled(exposures, concentration, losses, penalty, blocks, seed)
    spread = float(np.mean((losses - losses.mean()) ** 2))
    mean_square = float(np.mean(errors**2))
    return Fit(
        effects,
        price,
        constant,
        penalty,
        mean_square**0.5,
        1 - mean_square / spread if spread > 0 else 0.0,
        np.array([effects for _, _, effects in drawn]).reshape(len(drawn), -1),
        np.array([price for _, price, _ in drawn]),
    )


def _check(exposures: Floats, concentration: Floats, losses: Floats) -> None:
    if exposures.ndim != 2 or not len(exposures) == len(concentration) == len(losses):
        raise SansiError(
            f"{exposures.shape} exposures, {concentration.shape} concentrations and {losses.shape} losses are not of "
            "the same proxies"
        )
    if len(losses) < 4:
        raise SansiError(f"{len(losses)} proxies tell too little; train 4 or more, and better 4 to a feature")
    if not all(np.isfinite(values).all() for values in (exposures, concentration, losses)):
        raise SansiError("a loss of a proxy is not finite; lower its learning rate")


def _solve(exposures: Floats, concentration: Floats, losses: Floats, penalty: float) -> tuple[float, float, Floats]:
    """Constant, price and effects."""
    free = np.stack([np.ones(len(losses)), concentration], 1)
    inverse = np.linalg.pinv(free)
    left, target = exposures - free @ (inverse @ exposures), losses - free @ (inverse @ losses)
    effects = np.asarray(np.linalg.solve(left.T @ left + _ridge(left, penalty), left.T @ target), np.float64)
    constant, price = inverse @ (losses - exposures @ effects)
    return float(constant), float(price), effects


def _ridge(left: Floats, penalty: float) -> Floats:
    """The same for all features, whose deviations in the corpus are 1; in proportion to how far proxies moved them."""
    return (penalty * float(np.mean(left**2)) * len(left) + 1e-12) * np.eye(left.shape[1])


def _best_penalty(exposures: Floats, concentration: Floats, losses: Floats) -> tuple[float, Floats]:
    """The penalty with the smallest leave-one-out errors, and these; from the diagonal of the hat matrix (PRESS)."""
    free = np.stack([np.ones(len(losses)), concentration], 1)
    span = free @ np.linalg.pinv(free)
    left, target = exposures - span @ exposures, losses - span @ losses
    found: list[tuple[float, float, Floats]] = []
    for penalty in PENALTIES.tolist():
        hat = left @ np.linalg.solve(left.T @ left + _ridge(left, penalty), left.T)
        remaining = np.maximum(1 - np.diag(hat) - np.diag(span), 1e-3)
        errors = (target - hat @ target) / remaining
        found.append((float(errors @ errors), penalty, errors))
    _, penalty, errors = min(found, key=lambda one: one[0])
    return penalty, errors


def _resampled(
    exposures: Floats, concentration: Floats, losses: Floats, penalty: float, blocks: Sequence[int] | None, seed: int
) -> list[tuple[float, float, Floats]]:
    """Fits to proxies drawn with replacement."""
    owner = np.arange(len(losses)) if blocks is None else np.asarray(blocks)
    rows = [np.flatnonzero(owner == block) for block in np.unique(owner)]
    rng = np.random.default_rng(seed)
    found = []
    for _ in range(RESAMPLED):
        chosen = np.concatenate([rows[i] for i in rng.integers(len(rows), size=len(rows))])
        found.append(_solve(exposures[chosen], concentration[chosen], losses[chosen], penalty))
    return found
