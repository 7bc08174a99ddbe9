"""Learning-rate schedules as pure functions of the step."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

from sansi.base.config import Config

LONGEST_WARMUP, WARMUP_SHARE = 100, 0.1  # of a warm-up that nobody set: steps, and share of all steps


@dataclass(frozen=True)
class Schedule(Config):
    """Linear warm-up, then a plateau, then a decay towards `final` of the peak.

    "wsd" (warm-up, stable, decay) keeps its rate until `decay_from` of the steps and falls linearly; "cosine" starts
    to fall right after the warm-up.
    """

    kind: Literal["wsd", "cosine"] = "wsd"
    """Shape of the schedule."""
    warmup_steps: int | None = None
    """Steps of linear warm-up from 0; None: a tenth of all steps, at most 100."""
    decay_from: float = 0.8
    """Share of all steps after which "wsd" decays."""
    start: float = 1.0
    """Learning rate at the end of the warm-up, as a share of `learning_rate`: the highest rate that the run reaches.
    Below 1 for a stage that goes on where another's rate ended, both with the same `learning_rate`."""
    final: float = 0.1
    """Learning rate where the decay ends, one step after the last, as a share of `learning_rate`."""

    def problems(self) -> list[str]:
        named = ((name, getattr(self, name)) for name in ("warmup_steps", "start", "final"))
        found = [f'"{name}" must be 0 or more, not {value}' for name, value in named if value is not None and value < 0]
        if not 0 <= self.decay_from <= 1:
            found.append(f'"decay_from" is a share of the steps, 0 to 1, not {self.decay_from}')
        return found

    def warmup(self, total_steps: int) -> int:
        """Steps of the warm-up in a run of `total_steps`."""
        if self.warmup_steps is not None:
            return self.warmup_steps
        return min(LONGEST_WARMUP, int(WARMUP_SHARE * total_steps))

    def factor(self, step: int, total_steps: int) -> float:
        """Multiplier of the learning rate at `step` (0-based) of `total_steps`."""
        warmup = self.warmup(total_steps)
        warm = min(1.0, (step + 1) / max(warmup, 1))
        begin = warmup if self.kind == "cosine" else self.decay_from * total_steps
        progress = min(max((step - begin) / max(total_steps - begin, 1), 0.0), 1.0)
        if self.kind == "cosine":
            progress = 0.5 * (1 - math.cos(math.pi * progress))
        return warm * (self.start + (self.final - self.start) * progress)

    def highest(self, total_steps: int) -> float:
        """The largest factor of a run of `total_steps`."""
        return max(self.factor(step, total_steps) for step in range(total_steps))
