"""The training loop: one for pre-training, fine-tuning and distillation. It reads as an outline."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor

from sansi.base.config import Config, as_config
from sansi.base.progress import progress_bar
from sansi.base.runs import RunFolder
from sansi.model import Transformer
from sansi.train.checkpoint import Checkpointer, ExtraFiles
from sansi.train.loss import packed_loss
from sansi.train.optim import Optimizer, OptimizerKind, clip_gradients
from sansi.train.schedule import Schedule


@dataclass(frozen=True)
class TrainConfig(Config):
    """How a stage trains."""

    steps: int
    """Optimiser steps."""
    learning_rate: float = 3e-3
    """Peak learning rate."""
    optimizer: OptimizerKind = "muon"
    """AdamW everywhere, or Muon for the matrices of the layers and AdamW for the rest."""
    weight_decay: float = 0.1
    """Decoupled weight decay of matrices and embeddings."""
    max_grad_norm: float = 1.0
    """Gradients are scaled down to this norm."""
    schedule: Schedule = field(default_factory=Schedule)
    """Learning rate over the steps."""
    checkpoint_every: int = 200
    """Steps between checkpoints; the last step always gets one."""
    log_every: int = 10
    """Steps between lines in metrics.jsonl."""
    compile: bool = True
    """Compile the loss with torch.compile (about a minute once, then faster steps)."""

    def problems(self) -> list[str]:
        found = [
            f'"{name}" must be positive, not {value}'
            for name in ("steps", "learning_rate", "max_grad_norm", "checkpoint_every", "log_every")
            if (value := getattr(self, name)) <= 0
        ]
        if self.weight_decay < 0:
            found.append(f'"weight_decay" must be 0 or more, not {self.weight_decay}')
        return found


class Batches(Protocol):
    """Endless batches that can be put aside and taken up again."""

    def __iter__(self) -> Iterator[dict[str, np.ndarray]]: ...

    def state_dict(self) -> dict[str, Any]: ...

    def load_state_dict(self, state: dict[str, Any]) -> None: ...


Loss = Callable[[Transformer, Tensor, Tensor, Tensor], tuple[Tensor, Tensor]]


class Trainer:
    """Trains `model` on `batches` inside a run folder; opening the same folder again goes on where it stopped.

    Nothing here is random, so a resumed run equals an uninterrupted one bit for bit. Raises SansiError for impossible
    values in `config`, and for a folder whose checkpoint belongs to another model, optimiser or data.
    """

    def __init__(
        self,
        model: Transformer,
        batches: Batches,
        config: TrainConfig,
        run: RunFolder,
        extra_files: ExtraFiles | None = None,
        loss: Loss = packed_loss,
    ):
        config = as_config(TrainConfig, config, "training configuration")
        self.model, self.batches, self.config, self.run = model, batches, config, run
        self.optimizer = Optimizer(model, config.optimizer, config.learning_rate, config.weight_decay)
        self.step = 0
        self.tokens = 0
        self._loss = torch.compile(loss, dynamic=False) if config.compile else loss
        self.checkpointer = Checkpointer(run, model, self.optimizer, extra_files)
        if state := self.checkpointer.resume():
            self.step, self.tokens = state["step"], state["tokens"]
            batches.load_state_dict(state["batches"])

    def train(self, title: str = "training") -> Transformer:
        """Run to the last step and return the model."""
        self.model.train()
        batches = iter(self.batches)
        started, seen = time.perf_counter(), self.tokens
        with progress_bar(title, self.config.steps, self.step) as bar:
            while self.step < self.config.steps:
                metrics = self._train_step(next(batches))
                self.step += 1
                rate = (self.tokens - seen) / (time.perf_counter() - started)
                bar.update(1, f"loss {metrics['loss']:.3f}  {rate:,.0f} tok/s")
                if self.step % self.config.log_every == 0 or self.step == self.config.steps:
                    self.run.log(self.step, tokens=self.tokens, tokens_per_second=round(rate), **metrics)
                if self.step % self.config.checkpoint_every == 0 or self.step == self.config.steps:
                    self.checkpointer.save(self.step, {"tokens": self.tokens, "batches": self.batches.state_dict()})
        self.model.eval()
        return self.model

    def _train_step(self, batch: dict[str, np.ndarray]) -> dict[str, float]:
        device = next(self.model.parameters()).device
        ids, document, mask = (torch.from_numpy(batch[k]).to(device) for k in ("ids", "document", "loss_mask"))
        loss, targets = self._loss(self.model, ids, document, mask)
        loss.backward()
        norm = clip_gradients(self.model, self.config.max_grad_norm, self.step + 1)
        factor = self.config.schedule.factor(self.step, self.config.steps)
        self.optimizer.step(factor)
        self.tokens += ids.size(0) * (ids.size(1) - 1)
        return {
            "loss": round(loss.item(), 5),
            "grad_norm": round(norm, 4),
            "learning_rate": factor * self.config.learning_rate,
            "target_tokens": int(targets),
        }
