"""How a stage trains."""

from __future__ import annotations

from dataclasses import dataclass, field

from sansi.base.config import Config
from sansi.train.optim import OptimizerKind
from sansi.train.precision import ComputeDtype
from sansi.train.schedule import Schedule


@dataclass(frozen=True)
class TrainConfig(Config):
    """How a stage trains."""

    steps: int
    """Optimiser steps."""
    learning_rate: float = 3e-3
    """Learning rate that the factors of `schedule` multiply: its peak, unless the schedule starts lower."""
    optimizer: OptimizerKind = "muon"
    """AdamW everywhere, or Muon for the matrices of the layers and AdamW for the rest."""
    weight_decay: float = 0.1
    """Decoupled weight decay of matrices and embeddings."""
    adam_beta1: float = 0.9
    """Decay of AdamW's mean of gradients."""
    adam_beta2: float = 0.98
    """Decay of AdamW's mean of squared gradients."""
    adam_epsilon: float = 1e-8
    """Added to the root of the second mean."""
    muon_momentum: float = 0.95
    """Decay of Muon's mean of gradients."""
    max_grad_norm: float = 1.0
    """Gradients are scaled down to this norm."""
    spike_factor: float = 10.0
    """How far above the usual a loss or gradient norm must be for its step to be left out; 0: never is one."""
    dtype: ComputeDtype = "auto"
    """Of the products; weights and optimiser state are float32. "auto": bfloat16 if the model is in half precision."""
    gradient_checkpointing: bool = False
    """Compute activations again in the backward pass instead of keeping them: less memory, a third more work."""
    schedule: Schedule = field(default_factory=Schedule)
    """Learning rate over the steps."""
    gradient_accumulation_steps: int = 1
    """Batches of the producer that make one step."""
    micro_batch_size: int | None = None
    """Rows that go through the model at once; None: all of a batch. Bounds the memory; the gradient stays the same."""
    checkpoint_every: int = 200
    """Steps between checkpoints; the last step always gets one."""
    log_every: int = 10
    """Steps between lines in metrics.jsonl."""
    evaluate_every: int = 0
    """Steps between evaluations, if the run has one; 0: after the last step alone."""
    compile: bool = True
    """Compile the objective with torch.compile (about a minute once, then faster steps)."""

    def problems(self) -> list[str]:
        positive = ("steps", "learning_rate", "adam_epsilon", "max_grad_norm", "gradient_accumulation_steps")
        found = [
            f'"{name}" must be positive, not {value}'
            for name in (*positive, "micro_batch_size", "checkpoint_every", "log_every")
            if (value := getattr(self, name)) is not None and value <= 0
        ]
        found += [
            f'"{name}" must be 0 or more, not {value}'
            for name in ("weight_decay", "spike_factor", "evaluate_every")
            if (value := getattr(self, name)) < 0
        ]
        found += [
            f'"{name}" must be at least 0 and below 1, not {value}'
            for name in ("adam_beta1", "adam_beta2", "muon_momentum")
            if not 0 <= (value := getattr(self, name)) < 1
        ]
        return found
