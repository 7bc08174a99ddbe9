"""One step of training in several layouts: as a whole, in micro-batches, on two ranks. All have the same gradients.

An objective of another room is tried by `check_layouts(make)`, with a function of a module's top level that makes
model, batch and objective anew: the second rank imports it by its name.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest
import torch
from ranks import on_two_ranks
from sansi.data.batch import Batch
from sansi.model import Transformer
from sansi.train.loop import TrainConfig, Trainer
from torch import Tensor

Make = Callable[[], tuple[Transformer, Batch, Any]]
TOLERANCE = 1e-6


class Same:
    """The same batch again and again."""

    def __init__(self, batch: Batch):
        self.batch = batch

    def __iter__(self) -> Iterator[Batch]:
        while True:
            yield self.batch

    def state_dict(self) -> dict[str, Any]:
        return {}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        pass


@dataclass(frozen=True)
class Step:
    """What one step came to before its update, and the weights after it."""

    metrics: dict[str, float]
    gradients: dict[str, Tensor]
    weights: dict[str, Tensor]


def take_step(make: Make, micro_batch_size: int | None = None, **settings: Any) -> Step:
    model, batch, objective = make()
    config = TrainConfig(
        steps=1,
        compile=False,
        max_grad_norm=1e9,
        micro_batch_size=micro_batch_size,
        schedule={"warmup_steps": 0},
        **settings,
    )
    with tempfile.TemporaryDirectory() as folder:
        trainer = Trainer(model, Same(batch), objective, config, folder)
        gradients: dict[str, Tensor] = {}
        usual = trainer.optimizer.step

        def seen(factor: float) -> None:
            gradients.update({name: p.grad.clone() for name, p in model.named_parameters() if p.grad is not None})
            usual(factor)

        trainer.optimizer.step = seen  # type: ignore[method-assign]
        metrics = trainer._train_step(iter(trainer.batches))
        weights = {name: value.clone() for name, value in model.state_dict().items()}
    return Step(metrics, gradients, weights)


def assert_like(step: Step, whole: Step, tolerance: float = TOLERANCE) -> None:
    assert step.metrics == {k: pytest.approx(v, rel=2e-6, abs=1e-9) for k, v in whole.metrics.items()}
    assert step.gradients.keys() == whole.gradients.keys() and whole.gradients
    for name, gradient in whole.gradients.items():
        torch.testing.assert_close(step.gradients[name], gradient, rtol=tolerance, atol=tolerance, msg=name)


def check_layouts(make: Make) -> Step:
    """Assert that 4 micro-batches, single rows and 2 ranks (whole, and in micro-batches) equal the whole batch."""
    whole = take_step(make)
    rows = len(make()[1])
    for size in (-(-rows // 4), 1):
        assert_like(take_step(make, size), whole)
    for size in (None, 1):
        assert_like(on_two_ranks(take_step, make, size), whole)
    return whole
