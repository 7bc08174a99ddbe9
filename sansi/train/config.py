"""How a stage trains."""

from __future__ import annotations

from dataclasses import dataclass, field

from sansi.base.config import Config
from sansi.train.optim import OptimizerKind
from sansi.train.schedule import Schedule


@dataclass(frozen=True)
class TrainConfig(Config):
    """How a stage trains."""

    steps: int
    """Optimiser steps."""
    learning_rate: float = 3e-3
    """Peak learning rate, which `schedule` scales."""
    optimizer: OptimizerKind = "muon"
    """AdamW everywhere, or Muon for the matrices of the layers and AdamW for the rest."""
    weight_decay: float = 0.1
    """Decoupled weight decay of matrices and embeddings."""
    max_grad_norm: float = 1.0
    """Gradients are scaled down to this norm."""
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
    """Steps between evaluations, if there is one; 0: after the last step alone."""
    compile: bool = True
    """Compile the objective with torch.compile (about a minute once, then faster steps)."""

    def problems(self) -> list[str]:
        positive = ("steps", "learning_rate", "max_grad_norm", "gradient_accumulation_steps", "checkpoint_every")
        found = [
            f'"{name}" must be positive, not {value}'
            for name in (*positive, "log_every", "micro_batch_size")
            if (value := getattr(self, name)) is not None and not value > 0
        ]
        found += [
            f'"{name}" must be 0 or more, not {value}'
            for name in ("weight_decay", "evaluate_every")
            if not (value := getattr(self, name)) >= 0
        ]
        return found
