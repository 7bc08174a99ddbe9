"""Times as sums of terms, whose weights are fitted to published measurements each time they are needed (milliseconds).

No weight stands in the code: the rows are in `published/`, and whoever adds one has the fit follow.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

Terms = Mapping[str, float]
"""Name of a term -> how much of it one measurement has."""


@dataclass(frozen=True)
class Fit:
    """Seconds of each unit of a term, all 0 or more."""

    weights: Mapping[str, float]

    def seconds(self, terms: Terms) -> float:
        """The sum; a term that no row of the fit had counts nothing."""
        return sum(self.weights.get(name, 0.0) * amount for name, amount in terms.items())

    @classmethod
    def of(cls, rows: Sequence[tuple[Terms, float]]) -> Fit:
        """Least squares of the relative errors over rows of (terms, seconds), with no weight below 0.

        Weights below 0 are taken out, worst first, and the others fitted again (as in Lawson and Hanson 1974, chapter
        23, without their second thoughts: none of ours comes back).
        """
        names = sorted({name for terms, _ in rows for name, amount in terms.items() if amount})
        while names:
            matrix = np.array([[terms.get(name, 0.0) / seconds for name in names] for terms, seconds in rows])
            scale = np.abs(matrix).max(axis=0)
            solved = np.linalg.lstsq(matrix / scale, np.ones(len(rows)), rcond=None)[0] / scale
            if (worst := int((solved * scale).argmin())) < 0 or solved[worst] >= 0:
                return cls(dict(zip(names, map(float, solved), strict=True)))
            del names[worst]
        return cls({})


def mean_error(fit: Fit, rows: Sequence[tuple[Terms, float]]) -> float:
    """Mean of |predicted / measured - 1|."""
    return float(np.mean([abs(fit.seconds(terms) / seconds - 1) for terms, seconds in rows]))
