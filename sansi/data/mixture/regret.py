"""Regret: how much worse one way to weigh a corpus is than another, over several seeds, with its interval."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

# Student's t, 97.5%, by degrees of freedom from 1; beyond the normal distribution's.
_T = (12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228, 2.201, 2.179, 2.160, 2.145, 2.131)
_NORMAL = 1.96


@dataclass(frozen=True)
class Regret:
    """Bits per byte above the other way; below 0: better than it."""

    mean: float
    low: float | None
    """With `high`, the interval that holds the true mean with 95% (Student's t); None for one seed."""
    high: float | None

    @classmethod
    def of(cls, losses: Sequence[float], others: Sequence[float]) -> Regret:
        """Of losses with the same seeds, which are compared in pairs."""
        differences = np.array(losses, float) - np.array(others, float)
        mean = float(differences.mean())
        if len(differences) < 2:
            return cls(mean, None, None)
        half = t_quantile(len(differences) - 1) * float(differences.std(ddof=1)) / len(differences) ** 0.5
        return cls(mean, mean - half, mean + half)

    def __str__(self) -> str:
        interval = "" if self.low is None else f" [{self.low:+.4f}, {self.high:+.4f}]"
        return f"{self.mean:+.4f}{interval}"


def t_quantile(freedom: int) -> float:
    """97.5% of Student's t with that many degrees of freedom."""
    return _T[freedom - 1] if freedom <= len(_T) else _NORMAL + 2.4 / freedom
