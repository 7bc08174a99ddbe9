"""Learning-rate schedules as pure functions of the step."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

from sansi.base.config import Config


@dataclass(frozen=True)
class Schedule(Config):
    """Linear warm-up, then a plateau, then a decay towards `final` of the peak.

    "wsd" (warm-up, stable, decay) keeps the peak until `decay_from` of the steps and falls linearly; "cosine" starts
    to fall right after the warm-up.
    """

    kind: Literal["wsd", "cosine"] = "wsd"
    """Shape of the schedule."""
    warmup_steps: int = 100
    """Steps of linear warm-up from 0."""
    decay_from: float = 0.8
    """Share of all steps after which "wsd" decays."""
    start: float = 1.0
    """Learning rate at the end of the warm-up, as a share of the peak; a stage that goes on starts lower."""
    final: float = 0.1
    """Learning rate where the decay ends, one step after the last, as a share of the peak."""

    def problems(self) -> list[str]:
        found = [f'"{n}" must be 0 or more' for n in ("warmup_steps", "start", "final") if getattr(self, n) < 0]
        if not 0 <= self.decay_from <= 1:
            found.append(f'"decay_from" is a share of the steps, 0 to 1, not {self.decay_from}')
        return found

    def factor(self, step: int, total_steps: int) -> float:
        """Multiplier of the peak learning rate at `step` (0-based) of `total_steps`."""
        warm = min(1.0, (step + 1) / max(self.warmup_steps, 1))
        begin = self.warmup_steps if self.kind == "cosine" else self.decay_from * total_steps
        progress = min(max((step - begin) / max(total_steps - begin, 1), 0.0), 1.0)
        if self.kind == "cosine":
            progress = 0.5 * (1 - math.cos(math.pi * progress))
        return warm * (self.start + (self.final - self.start) * progress)
