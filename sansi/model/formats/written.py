"""What was written when a model went into a folder of another format."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True)
class WrittenTensor:
    """A tensor of the model."""

    name: str
    """On the hub, experts one by one."""
    kind: str
    """How it is stored: "bf16", "fp8", "int4"."""
    error: float
    """Root of the mean squared error over that of the mean square; 0: exact."""


@dataclass(frozen=True)
class WrittenFolder:
    """A model folder that was written."""

    folder: Path
    format: str
    """One of `writers.WRITERS`."""
    nbytes: int
    """Of the weights."""
    bits: float
    """Mean per weight, scales included."""
    tensors: tuple[WrittenTensor, ...]
    coverage: Mapping[str, int] = field(default_factory=dict)
    """Expert ("model.layers.0.mlp.experts.3") -> tokens of the calibration that went to it; empty for a dense model and
    without a calibration."""

    @property
    def unseen(self) -> tuple[str, ...]:
        """The experts that no token of the calibration went to: they were rounded plainly."""
        return tuple(expert for expert, count in self.coverage.items() if count == 0)
