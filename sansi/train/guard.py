"""The spike guard: what is done about a loss or a gradient that can not be right.

    not finite    the run stops before the update; its last checkpoint is whole
    a spike       the update is left out, the batch is passed over, and metrics.jsonl counts it in `skipped`
    ten in a row  the run stops: these are no outliers any more

A value is a spike when it lies more than `factor` spreads above the median of the last hundred steps that were taken,
after the first twenty. The spread of gradient norms is their median; that of losses is the larger of a tenth of their
median and their median absolute deviation as a standard deviation (a policy gradient's losses lie around zero).
"""

from __future__ import annotations

import math
from statistics import median
from typing import Any

from sansi.base import SansiError

WINDOW, WARM, MOST_IN_A_ROW = 100, 20, 10


class SpikeGuard:
    """Decides step by step, from the losses and gradient norms of the steps before; 0 as factor: spikes pass."""

    def __init__(self, factor: float):
        self.factor = factor
        self.losses: list[float] = []
        self.norms: list[float] = []
        self.skipped = 0  # altogether
        self.in_a_row = 0

    def accepts(self, step: int, loss: float, norm: float) -> bool:
        """Whether the update of this step (1-based) is to be applied. Raises SansiError where the run must stop."""
        check_finite(step, loss, norm)
        if not self._is_spike(loss, norm):
            self.in_a_row = 0
            self.losses = [*self.losses, loss][-WINDOW:]
            self.norms = [*self.norms, norm][-WINDOW:]
            return True
        self.skipped, self.in_a_row = self.skipped + 1, self.in_a_row + 1
        if self.in_a_row >= MOST_IN_A_ROW:
            raise SansiError(
                f"{MOST_IN_A_ROW} steps in a row had a loss or a gradient far above those before (step {step}: loss "
                f"{loss:.4g}, norm {norm:.4g}; medians {median(self.losses):.4g} and {median(self.norms):.4g}); look "
                'at the data there, lower "learning_rate" in a run of another name, or raise "spike_factor"'
            )
        return False

    def state_dict(self) -> dict[str, Any]:
        names = ("losses", "norms", "skipped", "in_a_row")
        return {name: getattr(self, name) for name in names}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        for name, value in state.items():
            setattr(self, name, value)

    def _is_spike(self, loss: float, norm: float) -> bool:
        if self.factor == 0 or len(self.norms) < WARM:
            return False
        usual_norm, usual_loss = median(self.norms), median(self.losses)
        deviation = 1.4826 * median(abs(value - usual_loss) for value in self.losses)
        spread = max(deviation, 0.1 * abs(usual_loss))
        return norm > usual_norm * (1 + self.factor) or loss > usual_loss + self.factor * spread


def check_finite(step: int, loss: float, norm: float) -> None:
    """Raise SansiError when the loss or the gradient of this step (1-based) is not finite."""
    for name, value in (("loss", loss), ("gradient", norm)):
        if not math.isfinite(value):
            raise SansiError(
                f"the {name} is not finite at step {step}; nothing of this step was applied. Train from the last "
                'checkpoint in a run of another name, with a lower "learning_rate" or without the data of this step'
            )
