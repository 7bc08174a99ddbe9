"""The training loop: one for pre-training, fine-tuning, reinforcement learning and distillation. An outline."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Protocol

import torch
from torch import Tensor

from sansi.base import SansiError
from sansi.base.config import as_config
from sansi.base.progress import progress_bar
from sansi.base.runs import RunFolder
from sansi.data.batch import Batch
from sansi.model import Transformer
from sansi.train.checkpoint import Checkpointer, ExtraFiles
from sansi.train.config import TrainConfig
from sansi.train.objective import Counting, Loss, NeedsStatistics, Objective, Statistics, with_attention
from sansi.train.optim import Optimizer, clip_gradients
from sansi.train.totals import LOSS, Totals, add_statistics, minimised

__all__ = ["Batches", "Evaluate", "TrainConfig", "Trainer"]


class Batches(Protocol):
    """Endless batches that can be put aside and taken up again.

    A producer may have `metrics() -> {name: float}` as well: figures that are logged beside the loop's own.
    """

    def __iter__(self) -> Iterator[Batch]: ...

    def state_dict(self) -> dict[str, Any]: ...

    def load_state_dict(self, state: dict[str, Any]) -> None: ...


Evaluate = Callable[[Transformer], Mapping[str, float]]
"""Measures the model in between; what it returns is logged by name."""


class Trainer:
    """Trains `model` on `batches` inside a run folder; opening the same folder again goes on where it stopped.

    evaluate: called with the model every `evaluate_every` steps and after the last. extra_files: writes what makes a
    checkpoint complete. Nothing here is random, so a resumed run equals an uninterrupted one bit for bit. Raises
    SansiError for impossible values in `config`, and for a folder whose checkpoint belongs to another model, optimiser
    or data.
    """

    def __init__(
        self,
        model: Transformer,
        batches: Batches,
        objective: Objective,
        config: TrainConfig,
        run: RunFolder | Path | str,
        extra_files: ExtraFiles | None = None,
        evaluate: Evaluate | None = None,
    ):
        config = as_config(TrainConfig, config, "training configuration")
        self.model, self.batches, self.objective, self.config = model, batches, objective, config
        self.run = run if isinstance(run, RunFolder) else RunFolder(run)
        self.evaluate = evaluate
        self.optimizer = Optimizer(model, config.optimizer, config.learning_rate, config.weight_decay)
        self.step = 0
        self.tokens = 0
        self._loss: Callable[..., Loss] = torch.compile(objective, dynamic=False) if config.compile else objective
        self.checkpointer = Checkpointer(self.run, model, self.optimizer, extra_files)
        if state := self.checkpointer.resume():
            self.step, self.tokens = state["step"], state["tokens"]
            batches.load_state_dict(state["batches"])

    def train(self, title: str = "training") -> Transformer:
        """Run to the last step and return the model."""
        self.model.train()
        stream = iter(self.batches)
        started, seen = time.perf_counter(), self.tokens
        with progress_bar(title, self.config.steps, self.step) as bar:
            while self.step < self.config.steps:
                metrics = self._train_step(stream)
                self.step += 1
                rate = (self.tokens - seen) / (time.perf_counter() - started)
                bar.update(1, f"loss {metrics['loss']:.3f}  {rate:,.0f} tok/s")
                if self._is_due(self.config.log_every):
                    told = {**_figures(self.batches), **metrics}
                    self.run.log(self.step, tokens=self.tokens, tokens_per_second=round(rate), **told)
                if self.evaluate and self._is_due(self.config.evaluate_every):
                    self._evaluate(self.evaluate)
                if self._is_due(self.config.checkpoint_every):
                    self.checkpointer.save(self.step, {"tokens": self.tokens, "batches": self.batches.state_dict()})
        self.model.eval()
        return self.model

    def _is_due(self, every: int) -> bool:
        return self.step == self.config.steps or (every > 0 and self.step % every == 0)

    def _train_step(self, stream: Iterator[Batch]) -> dict[str, float]:
        parts = self._micro_batches(stream)
        counts = self._counts(parts)
        statistics = self._statistics(parts)
        totals = Totals.of(self._backward(part, counts, statistics) for part in parts)
        norm = clip_gradients(self.model, self.config.max_grad_norm, self.step + 1)
        factor = self.config.schedule.factor(self.step, self.config.steps)
        if counts.get(LOSS):  # a step without a target changes nothing, not even by momentum or decay
            self.optimizer.step(factor)
        self.tokens += sum(part.tokens for part in parts)
        return {
            **{name: round(value, 5) for name, value in totals.metrics(self.objective).items()},
            "grad_norm": round(norm, 4),
            "learning_rate": factor * self.config.learning_rate,
            "target_tokens": sum(part.targets for part in parts),
        }

    def _micro_batches(self, stream: Iterator[Batch]) -> list[Batch]:
        """The batches of one step in parts that go through the model at once, on its device."""
        device = next(self.model.parameters()).device
        parts: list[Batch] = []
        for _ in range(self.config.gradient_accumulation_steps):
            batch = self._next_batch(stream)
            count = -(-len(batch) // (self.config.micro_batch_size or max(len(batch), 1)))
            parts += [with_attention(part.to(device)) for part in batch.split(max(count, 1))]
        return parts

    def _next_batch(self, stream: Iterator[Batch]) -> Batch:
        batch = next(stream, None)
        if batch is None:
            raise SansiError(
                f"the batches ended before step {self.step + 1} of {self.config.steps}; give an endless producer, or "
                "fewer steps",
                param="batches",
            )
        _check_ids(batch, self.model.config.vocab_size)
        return batch

    def _counts(self, parts: list[Batch]) -> dict[str, float]:
        """What the sums of the whole step are divided by."""
        total: Counter[str] = Counter()
        for part in parts:
            counts = self.objective.counts(part) if isinstance(self.objective, Counting) else {LOSS: part.targets}
            total.update(dict(counts))  # type: ignore[arg-type]  # floats add up as well
        return dict(total)

    @torch.no_grad()
    def _statistics(self, parts: list[Batch]) -> Statistics:
        """The objective's statistics of the whole step; a batch in one part counts for itself, in its own forward."""
        total: dict[str, Tensor] = {}
        if len(parts) > 1 and isinstance(self.objective, NeedsStatistics):
            for part in parts:
                add_statistics(total, self.objective.statistics(self.model, part))
        return total

    def _backward(self, part: Batch, counts: Mapping[str, float], statistics: Statistics) -> Loss:
        loss = self._loss(self.model, part, statistics)
        minimised(loss, counts).backward()
        return loss

    def _evaluate(self, evaluate: Evaluate) -> None:
        self.model.eval()
        with torch.no_grad():
            figures = evaluate(self.model)
        self.model.train()
        self.run.log(self.step, **figures)


def _figures(batches: Batches) -> Mapping[str, float]:
    """What a producer has to say of its own present state."""
    metrics = getattr(batches, "metrics", None)
    return metrics() if callable(metrics) else {}


def _check_ids(batch: Batch, vocab_size: int) -> None:
    if len(batch) and not 0 <= int(batch.ids.min()) <= (largest := int(batch.ids.max())) < vocab_size:
        raise SansiError(
            f"the batches hold the token id {largest if largest >= vocab_size else int(batch.ids.min())}, but the "
            f'model knows 0 to {vocab_size - 1} ("vocab_size" {vocab_size}); they were made with another tokenizer',
            param="batches",
        )
