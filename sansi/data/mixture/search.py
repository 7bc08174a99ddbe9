"""The search for weights: proxies on differently weighted samples, a fit to their losses, and a check of the result.

Who trains the proxies is given as a function, so that this file knows nothing of models.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from sansi.base.config import Config, too_small
from sansi.base.errors import SansiError
from sansi.data.mixture.features import Floats
from sansi.data.mixture.fit import Fit, fit
from sansi.data.mixture.optimum import Optimum, find_optimum
from sansi.data.mixture.sample import Sample
from sansi.data.mixture.shares import Bounds, strength_within, weights

STRENGTHS = (0.5, 1.0, 2.0)
"""Multiples of the fitted strength that are tried."""
FARTHEST, NEAR = 0.9, 0.25
"""Of the concentration that is allowed, how much proxies of the first and of later rounds are moved at the most."""


@dataclass(frozen=True, kw_only=True)
class SearchConfig(Config):
    """How weights are searched for."""

    proxies: int = 32
    """Small models that are trained to fit the weights, in all rounds; 4 to a feature are good."""
    rounds: int = 2
    """The proxies of a later round are weighted near what the earlier ones showed to be good."""
    epochs: float = 1.0
    """How often the target run will read the corpus; proxies repeat documents at the same rate."""
    max_repeats: int = 4
    """No document is read more often than this."""
    min_weight: float = 0.0
    """No document is read less often than this, on average."""
    min_effective_share: float = 0.1
    """What is read must be as varied as this share of the corpus, read evenly: exp(-divergence)."""
    confirmations: int = 3
    """Seeds with which proportional, uniform and fitted weights are compared at last; 0: nothing is compared."""

    def problems(self) -> list[str]:
        found = too_small(self, 4, "proxies") + too_small(self, 1, "rounds", "max_repeats")
        found += too_small(self, 0, "min_weight", "confirmations")
        if self.epochs <= 0:
            found.append(f'"epochs" must be above 0, not {self.epochs}')
        elif not self.min_weight <= self.epochs <= self.max_repeats:
            found.append(
                f'"epochs" ({self.epochs:g}) must lie between "min_weight" ({self.min_weight:g}) and "max_repeats" '
                f"({self.max_repeats}): no weights in these bounds read the corpus so often"
            )
        if not 0 < self.min_effective_share <= 1:
            found.append(f'"min_effective_share" is a share, above 0 up to 1, not {self.min_effective_share}')
        if self.rounds >= 1 and self.proxies // self.rounds < 4:
            found.append(f'"proxies" ({self.proxies}) must be at least 4 for each of the {self.rounds} "rounds"')
        return found

    @property
    def bounds(self) -> Bounds:
        return Bounds(self.min_weight, float(self.max_repeats))

    @property
    def limit(self) -> float:
        """Largest divergence from the corpus, in nats."""
        return -math.log(self.min_effective_share)


@dataclass(frozen=True)
class Trial:
    """One proxy: what it reads."""

    name: str
    weights: Floats
    """[pieces]: how often each is read on average."""
    counts: npt.NDArray[np.int64]
    """[pieces]: how often it is read."""
    seed: int
    """Of the model's first weights and of the order of what it reads."""
    block: int = 0
    """The two of a pair, moved to opposite sides, have the same."""


Losses = Mapping[str, float]
"""Bits per byte by evaluation set."""
Measure = Callable[[Sequence[Trial]], Sequence[Losses]]
"""Trains a proxy for each trial, and measures it."""


@dataclass(frozen=True)
class Candidate:
    """A way to weigh the corpus, as proxies of several seeds saw it."""

    name: str
    strength: float | None
    """Factor of the fitted coefficients, 0: the corpus as it is; None: weighed by another rule."""
    losses: tuple[float, ...]
    """One for each seed, bits per byte over all evaluation sets."""
    by_set: Mapping[str, float]
    """Mean over the seeds of each evaluation set."""
    concentration: float

    @property
    def loss(self) -> float:
        return float(np.mean(self.losses))


@dataclass(frozen=True)
class Outcome:
    """What a search found."""

    fit: Fit
    optimum: Optimum
    strength: float
    """Times the optimum's coefficients; 1, unless another was better when they were compared."""
    candidates: tuple[Candidate, ...]
    """Empty where none were compared."""
    proxies: tuple[tuple[Trial, Losses], ...]
    exposures: Floats
    """[proxies, features]: means over what each read."""
    losses: Floats
    """[proxies]: over all sets."""
    predicted: Floats
    """[proxies]: what the fit says of them."""

    @property
    def coefficients(self) -> Floats:
        return self.strength * self.optimum.coefficients


@dataclass(frozen=True)
class Search:
    """Finds weights with the proxies that `measure` trains."""

    config: SearchConfig
    sample: Sample
    measure: Measure
    seed: int = 0
    set_weights: Mapping[str, float] = field(default_factory=dict)
    """Of evaluation sets in the loss, 1 for those not named; normalised to 1."""
    sources: Sequence[str] = ()
    """[pieces]: what "uniform" reads equally much of."""

    def run(self) -> Outcome:
        done: list[tuple[Trial, Losses]] = []
        centre = np.zeros(self.sample.features.shape[1])
        sizes = _parts(self.config.proxies, self.config.rounds)
        for number, size in enumerate(sizes):
            trials = self._round(number, size, centre)
            done += zip(trials, self.measure(trials), strict=True)
            found = self._fit(done)
            optimum = find_optimum(found, self.sample, self.config.bounds, self.config.limit)
            centre = optimum.coefficients
        candidates = self._compare(optimum)
        best = min((c for c in candidates if c.strength is not None), key=lambda c: c.loss, default=None)
        kept = 1.0 if best is None or best.strength is None else best.strength
        exposures = self._exposures(done)
        losses = np.array([self.loss(losses) for _, losses in done])
        predicted = found.predict(exposures, self._concentration(done)) @ found.set_weights
        return Outcome(found, optimum, kept, candidates, tuple(done), exposures, losses, predicted)

    def loss(self, losses: Losses) -> float:
        """Weighted mean over the evaluation sets."""
        return float(self.counted(losses) @ np.array(list(losses.values())))

    def counted(self, names: Iterable[str]) -> Floats:
        """What each set counts, together 1."""
        names = list(names)
        if unknown := set(self.set_weights) - set(names):
            raise SansiError(
                f'"set_weights": no evaluation set "{min(unknown)}"; there are {", ".join(sorted(names))}',
                param="set_weights",
            )
        given = np.array([self.set_weights.get(name, 1.0) for name in names])
        if given.sum() <= 0:
            raise SansiError('"set_weights" are 0 for all evaluation sets; let one count', param="set_weights")
        return given / given.sum()

    # ---- proxies ------------------------------------------------------------------------------------------------

    def _round(self, number: int, size: int, centre: Floats) -> list[Trial]:
        """Pairs of trials on both sides of the centre, in directions and at distances that the seed decides."""
        rng = np.random.default_rng([self.seed, number])
        pairs = size // 2
        shares = (rng.permutation(pairs) + 0.5) / max(pairs, 1) * FARTHEST if number == 0 else np.full(pairs, NEAR)
        trials = []
        for pair, share in enumerate(shares):
            direction = rng.standard_normal(len(centre))
            step = self._within(direction, self.config.limit * float(share)) * direction
            for side, moved in (("a", centre + step), ("b", centre - step)):
                inside = self._within(moved, self.config.limit, 1.0)
                name = f"{number + 1}-{pair + 1:03d}{side}"
                trials.append(self._trial(name, inside * moved, block=1000 * number + pair))
        if size % 2:
            trials.append(self._trial(f"{number + 1}-centre", centre, block=1000 * number + pairs))
        return trials

    def _trial(self, name: str, coefficients: Floats, block: int = 0, seed: int | None = None) -> Trial:
        return self._of_weights(name, self._weights(coefficients), self.seed if seed is None else seed, block)

    def _of_weights(self, name: str, weights: Floats, seed: int, block: int = 0) -> Trial:
        return Trial(name, weights, self.sample.counts(weights, seed), seed, block)

    def _weights(self, coefficients: Floats) -> Floats:
        return self.sample.weights(coefficients, self.config.bounds)

    def _within(self, direction: Floats, limit: float, most: float = math.inf) -> float:
        sample = self.sample
        scores = sample.features @ direction
        return strength_within(scores, sample.sizes, sample.total, self.config.bounds, limit, most)

    # ---- fit ----------------------------------------------------------------------------------------------------

    def _exposures(self, done: Sequence[tuple[Trial, Losses]]) -> Floats:
        return np.stack([self.sample.exposure(trial.counts) for trial, _ in done])

    def _fit(self, done: Sequence[tuple[Trial, Losses]]) -> Fit:
        losses = np.array([list(losses.values()) for _, losses in done])
        blocks = [trial.block for trial, _ in done]
        counted = self.counted(done[0][1])
        return fit(self._exposures(done), self._concentration(done), losses, counted, blocks, self.seed)

    def _concentration(self, done: Sequence[tuple[Trial, Losses]]) -> Floats:
        return np.array([self.sample.concentration(trial.weights) for trial, _ in done])

    # ---- comparison ---------------------------------------------------------------------------------------------

    def _compare(self, optimum: Optimum) -> tuple[Candidate, ...]:
        """Proportional, uniform and fitted weights with other seeds than the proxies had."""
        seeds = [self.seed + 1 + i for i in range(self.config.confirmations)]
        if not seeds:
            return ()
        kinds = self._kinds(optimum)
        trials = [self._of_weights(f"{name} {seed}", given, seed) for name, _, given in kinds for seed in seeds]
        found = list(self.measure(trials))
        candidates = []
        for number, (name, factor, given) in enumerate(kinds):
            mine = found[number * len(seeds) : (number + 1) * len(seeds)]
            by_set = {key: float(np.mean([losses[key] for losses in mine])) for key in mine[0]}
            spread = self.sample.concentration(given)
            candidates.append(Candidate(name, factor, tuple(map(self.loss, mine)), by_set, spread))
        return tuple(candidates)

    def _kinds(self, optimum: Optimum) -> list[tuple[str, float | None, Floats]]:
        found = optimum.coefficients
        kinds: list[tuple[str, float | None, Floats]] = [("proportional", 0.0, self._weights(np.zeros(len(found))))]
        if len(set(self.sources)) > 1:
            kinds.append(("uniform", None, self._uniform()))
        tried = [0.0]
        for factor in STRENGTHS:
            within = self._within(found, self.config.limit, factor)
            if min(abs(within - other) for other in tried) > 0.05:
                kinds.append((f"fitted x {factor:g}", within, self._weights(within * found)))
                tried.append(within)
        return kinds

    def _uniform(self) -> Floats:
        """As much of every source, as far as the bounds allow."""
        names = np.array(self.sources)
        share = {name: float(self.sample.sizes[names == name].sum()) for name in set(self.sources)}
        scores = np.array([-math.log(share[name]) for name in names])
        return weights(scores, self.sample.sizes, self.sample.total, self.config.bounds)


def _parts(total: int, parts: int) -> list[int]:
    """As even as whole numbers allow, the larger first."""
    return [total // parts + (number < total % parts) for number in range(parts)]
