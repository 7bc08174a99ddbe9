"""How sure a share of few answers is."""

from __future__ import annotations

import math

ONE_SIGMA = 1.0
NINETY_FIVE = 1.959963984540054


def wilson_interval(right: int, count: int, z: float = NINETY_FIVE) -> tuple[float, float]:
    """The interval of a share of `right` out of `count` (at least 1), z standard deviations to each side.

    Source: Wilson 1927, "Probable inference, the law of succession, and statistical inference". Unlike the normal
    interval around the share it has a width at 0 and at 1 too, where a binomial standard error claims certainty.
    """
    share, z2 = right / count, z * z
    centre = (share + z2 / (2 * count)) / (1 + z2 / count)
    half = z / (1 + z2 / count) * math.sqrt(share * (1 - share) / count + z2 / (4 * count * count))
    return max(0.0, centre - half), min(1.0, centre + half)
