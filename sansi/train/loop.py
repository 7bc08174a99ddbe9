"""The training loop: one for pre-training, fine-tuning, reinforcement learning and distillation. An outline."""

from __future__ import annotations

import functools
import logging
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import torch
from torch import Tensor

import sansi
from sansi.base import SansiError
from sansi.base.config import as_config
from sansi.base.progress import progress_bar
from sansi.base.runs import RunFolder
from sansi.data.batch import Batch
from sansi.data.shards.record import write_record
from sansi.model import ModelBundle, Transformer
from sansi.model.transformer import uncompiled
from sansi.train.checkpoint import Checkpointer
from sansi.train.checks import check_batch, check_extras, check_parts, plain_figures
from sansi.train.config import TrainConfig
from sansi.train.guard import SpikeGuard
from sansi.train.objective import Checking, Counting, Loss, NeedsStatistics, Objective, Statistics, with_attention
from sansi.train.optim import Optimizer, clip_to
from sansi.train.parallel import World, check_ranks
from sansi.train.precision import autocast, compute_dtype, to_master_weights
from sansi.train.random_state import random_state, set_random_state, untouched_random_state
from sansi.train.settings import check_steps, plain, run_settings
from sansi.train.throughput import Throughput
from sansi.train.totals import LOSS, Totals, add_statistics, minimised

log = logging.getLogger("sansi")

__all__ = ["Batches", "Evaluate", "TrainConfig", "Trainer"]


class Batches(Protocol):
    """Endless batches that can be put aside and taken up again.

    The next one is asked for when the update by the last is done, so a producer may use the model. It may have
    `metrics() -> dict[str, float]`, whose figures are logged beside the loop's; `rank` and `world_size`, if it gives
    each rank rows of its own; `largest_id`, the largest token id that it will ever yield; and `may_be_silent`, true if
    it tells itself of batches that have nothing to learn.
    """

    def __iter__(self) -> Iterator[Batch]: ...

    def state_dict(self) -> dict[str, Any]: ...

    def load_state_dict(self, state: dict[str, Any]) -> None: ...


Evaluate = Callable[[Transformer], Mapping[str, float]]
"""Measures the model in between, in evaluation mode and without gradients; what it returns is logged by name."""


@dataclass(frozen=True)
class Look:
    """What the loop must know of a step before its first loss; of a rank, or of all together."""

    counts: Mapping[str, float]
    """What the sums of the loss and its extras are divided by."""
    tokens: int
    targets: int
    parts: int
    """Micro-batches."""


class Trainer:
    """Trains `model` on `batches` inside a run folder; opening the same folder again goes on where it stopped.

    The model's weights become float32 (`dtype` says what the products are) and stay so. A resumed run equals an
    uninterrupted one bit for bit on one device. Under `torchrun` every rank works through its share of each batch, and
    the run is the same as on one, up to rounding; rank 0 evaluates, logs and writes. A batch without a target counts
    as a step and changes nothing; the first is warned of.

    bundle: what makes a checkpoint a complete model folder. evaluate: called every `evaluate_every` steps and after the
    last; draws from the random generators do not touch the training's. inputs: by name, what else the run depends on: a
    digest, or the Path of a file or folder.

    Raises SansiError for impossible values, and for a folder whose checkpoint was made with other settings, model, data
    or inputs: it names what differs. What may change is said in `sansi.train.settings`.
    """

    def __init__(
        self,
        model: Transformer,
        batches: Batches,
        objective: Objective,
        config: TrainConfig,
        run: RunFolder | Path | str,
        bundle: ModelBundle | None = None,
        evaluate: Evaluate | None = None,
        inputs: Mapping[str, str | Path] | None = None,
    ):
        config = as_config(TrainConfig, config, "training configuration")
        model = uncompiled(model)
        check_parts(model, batches, objective)
        check_extras(bundle, evaluate, inputs)
        self.model, self.batches, self.objective, self.config = model, batches, objective, config
        self.run = run if isinstance(run, RunFolder) else RunFolder(run)
        self.evaluate = evaluate
        self.device = next(model.parameters()).device
        self.dtype = compute_dtype(model, config.dtype)
        self.world = World.current(self.device)
        self._shared_out = check_ranks(batches, self.world)
        to_master_weights(model)
        betas = (config.adam_beta1, config.adam_beta2)
        self.optimizer = Optimizer(
            model,
            config.optimizer,
            config.learning_rate,
            config.weight_decay,
            betas,
            config.adam_epsilon,
            config.muon_momentum,
        )
        self.guard = SpikeGuard(config.spike_factor)
        self.step, self.tokens, self._row_length = 0, 0, 0
        self._warned = False
        self._loss: Callable[..., Loss] = torch.compile(objective, dynamic=False) if config.compile else objective
        settings = {
            **run_settings(config, objective, model, inputs or {}),
            "dtype": str(self.dtype).removeprefix("torch."),
            "rows_per_step": self._rows_per_step(),
        }
        self.checkpointer = Checkpointer(self.run, model, self.optimizer, bundle, settings)
        self.world.gather(self._resume)
        self.world.broadcast(model)
        self._warn_of_warmup()

    def train(self, title: str | None = "training") -> Transformer:
        """Run to the last step and return the model. title: of the progress that is shown; None: none is."""
        config, stream = self.config, iter(self.batches)
        beginning = None if self.step else plain(self.batches.state_dict())
        pace = Throughput(self.model.config, self.device, self.dtype, self.world.size)
        is_shown = title is not None and self.world.is_main
        shown = progress_bar(title or "", config.steps, self.step) if is_shown else nullcontext()
        self._enter()
        try:
            with shown as bar:
                while self.step < config.steps:
                    tokens = self.tokens
                    metrics = self._train_step(stream)
                    self.step += 1
                    if beginning is not None:  # not before: a run that fails in its first step leaves nothing behind
                        self.world.on_main(functools.partial(self._save_beginning, beginning))
                        beginning = None
                    pace.add(self.tokens - tokens, self._row_length)
                    if bar:
                        bar.update(1, f"loss {metrics[LOSS]:.3f}  {pace.tokens_per_second:,.0f} tok/s")
                    if self._is_due(config.log_every):
                        self._log({"tokens": self.tokens, **pace.metrics(), **self._producer_metrics(), **metrics})
                    if self.evaluate and self._is_due(config.evaluate_every):
                        self._log(self.world.on_main(self._evaluated))
                    if self._is_due(config.checkpoint_every):
                        self._save()
        finally:
            self._leave()
        return self.model

    # ---- one step -----------------------------------------------------------------------------------------------

    def _train_step(self, stream: Iterator[Batch]) -> dict[str, float]:
        parts: list[Batch] = []
        look = _together(self.world.gather(lambda: self._look(stream, parts)))
        self.tokens += look.tokens
        factor = self.config.schedule.factor(self.step, self.config.steps)
        figures = {"learning_rate": factor * self.config.learning_rate, "target_tokens": look.targets}
        if look.counts[LOSS] == 0:
            self._warn_of_no_target()
            return {LOSS: 0.0, **figures}
        statistics = self._statistics(parts, look.parts)
        totals = Totals.added(self.world.gather(lambda: self._backward(parts, look.counts, statistics)))
        self.world.sum_gradients(self.optimizer.parameters.values())
        norm = clip_to(self.model, self.config.max_grad_norm)
        metrics = totals.metrics(self.objective)
        if isinstance(self.objective, Checking):
            self.objective.check(metrics)
        if self.guard.accepts(self.step + 1, metrics[LOSS], norm):
            self.optimizer.step(factor)
        self.optimizer.zero_grad()
        skipped = {"skipped": self.guard.skipped} if self.guard.skipped else {}
        return {**{k: float(f"{v:.6g}") for k, v in {**metrics, "grad_norm": norm}.items()}, **figures, **skipped}

    def _look(self, stream: Iterator[Batch], parts: list[Batch]) -> Look:
        """Fetch this rank's rows of a step into `parts`, as micro-batches on the device."""
        counts: Counter[str] = Counter()
        for _ in range(self.config.gradient_accumulation_steps):
            batch = self._next_batch(stream)
            if not self._shared_out:
                batch = self.world.share(batch)
            for part in batch.micro_batches(self.config.micro_batch_size):
                known = self.objective.counts(part) if isinstance(self.objective, Counting) else {LOSS: part.targets}
                counts.update(dict(known))  # type: ignore[arg-type]  # floats add up as well
                parts.append(with_attention(part.to(self.device)))
        targets = sum(part.targets for part in parts)
        return Look({LOSS: 0.0, **counts}, sum(part.tokens for part in parts), targets, len(parts))

    def _next_batch(self, stream: Iterator[Batch]) -> Batch:
        batch = next(stream, None)
        if batch is None:
            raise SansiError(
                f"the batches ended before step {self.step + 1} of {self.config.steps}; give an endless producer, or "
                "fewer steps",
                param="batches",
            )
        check_batch(batch, self.model)
        self._row_length = batch.ids.shape[1] - 1
        return batch

    @torch.no_grad()
    def _statistics(self, parts: list[Batch], of_all: int) -> Statistics:
        """The objective's statistics of the whole step; a batch in one part counts for itself, in its own forward."""
        if of_all == 1 or not isinstance(self.objective, NeedsStatistics):
            return {}
        objective = self.objective

        def counted() -> Statistics:
            with autocast(self.model, self.dtype):
                return _added(objective.statistics(self.model, part) for part in parts)

        return _added(self.world.gather(counted), self.device)

    def _backward(self, parts: list[Batch], counts: Mapping[str, float], statistics: Statistics) -> Totals:
        return Totals.of(self._loss_of(part, counts, statistics) for part in parts)

    def _loss_of(self, part: Batch, counts: Mapping[str, float], statistics: Statistics) -> Loss:
        with autocast(self.model, self.dtype):
            loss = self._loss(self.model, part, statistics)
        minimised(loss, counts).backward()
        return loss

    # ---- around the steps ---------------------------------------------------------------------------------------

    def _is_due(self, every: int) -> bool:
        return self.step == self.config.steps or (every > 0 and self.step % every == 0)

    def _rows_per_step(self) -> int | None:
        """Rows of a step over all ranks, as far as the producer says how large its batches are."""
        rows = getattr(self.batches, "batch_size", None)
        if not isinstance(rows, int):
            return None
        return rows * getattr(self.batches, "world_size", 1) * self.config.gradient_accumulation_steps

    def _enter(self) -> None:
        self.model.train()
        if self.config.gradient_checkpointing:
            self.model.gradient_checkpointing_enable()

    def _leave(self) -> None:
        self.optimizer.zero_grad()
        if self.config.gradient_checkpointing:
            self.model.gradient_checkpointing_disable()
        self.model.eval()

    def _producer_metrics(self) -> Mapping[str, float]:
        metrics = getattr(self.batches, "metrics", None)
        return metrics() if callable(metrics) else {}

    def _evaluated(self) -> Mapping[str, float]:
        assert self.evaluate is not None
        self.model.eval()
        try:
            with torch.no_grad(), untouched_random_state():
                return plain_figures(self.evaluate(self.model))
        finally:
            self.model.train()

    def _log(self, figures: Mapping[str, float] | None) -> None:
        self.world.on_main(lambda: self.run.log(self.step, **(figures or {})))

    def _save_beginning(self, batches: dict[str, Any]) -> None:
        self.checkpointer.save_beginning(batches)
        write_record(self.run.path, self.batches, batches, self._rows_per_step())

    def _save(self) -> None:
        state = {
            "tokens": self.tokens,
            "steps": self.config.steps,
            "batches": self.batches.state_dict(),
            "guard": self.guard.state_dict(),
            "random": self.world.gather(random_state),
            "world_size": self.world.size,
            "versions": {"sansi": sansi.__version__, "torch": torch.__version__},
        }
        self.world.on_main(lambda: self.checkpointer.save(self.step, state))

    def _resume(self) -> None:
        state = self.checkpointer.read()
        if state is None:
            if (beginning := self.checkpointer.read_beginning()) is not None:
                self.batches.load_state_dict(beginning)
            return
        if problem := check_steps(self.config, state["steps"], state["step"]):
            raise SansiError(f"{self.run.latest()} was made with other settings: {problem}; give the run another name")
        self.batches.load_state_dict(state["batches"])
        self.checkpointer.restore()
        self.step, self.tokens = state["step"], state["tokens"]
        self.guard.load_state_dict(state["guard"])
        if self.world.rank < len(state["random"]):  # a rank that was not there then draws as it would have anyhow
            set_random_state(state["random"][self.world.rank])

    def _warn_of_no_target(self) -> None:
        """Of the first step that teaches nothing, unless the producer says itself why there may be such."""
        if self._warned or getattr(self.batches, "may_be_silent", False):
            return
        self._warned = True
        log.warning(
            "the batch of step %d has no token to learn: its loss masks (or weights) are 0 everywhere; such a step "
            "changes nothing. Look at what makes the batches; steps after it are not told of",
            self.step + 1,
        )

    def _warn_of_warmup(self) -> None:
        config = self.config
        if config.schedule.warmup(config.steps) > config.steps:
            share = config.schedule.highest(config.steps)
            log.warning(
                "the warm-up of %d steps is longer than the run of %d: the learning rate gets to %.0f%% of its peak; "
                'lower "warmup_steps", or leave it out',
                config.schedule.warmup_steps,
                config.steps,
                100 * share,
            )


def _together(looks: list[Look]) -> Look:
    counts: Counter[str] = Counter()
    for look in looks:
        counts.update(dict(look.counts))  # type: ignore[arg-type]
    return Look(dict(counts), *(sum(getattr(x, name) for x in looks) for name in ("tokens", "targets", "parts")))


def _added(parts: Any, device: torch.device | None = None) -> Statistics:
    total: dict[str, Tensor] = {}
    for part in parts:
        add_statistics(total, {name: value.to(device or "cpu") for name, value in part.items()})
    return total
