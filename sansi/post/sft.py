"""Supervised fine-tuning: samples with loss masks on the one training loop."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Literal

from sansi.base.runs import RunFolder
from sansi.data import SampleDataset
from sansi.model import ModelBundle, Transformer
from sansi.train.config import TrainConfig
from sansi.train.loop import Evaluate, Trainer
from sansi.train.objective import NextToken


def sft(
    model: Transformer,
    samples: Iterable[Any],
    config: TrainConfig,
    run: RunFolder | Path | str,
    *,
    sequence_length: int,
    batch_size: int,
    seed: int = 0,
    too_long: Literal["error", "drop"] = "error",
    bundle: ModelBundle | None = None,
    evaluate: Evaluate | None = None,
    inputs: Mapping[str, str | Path] | None = None,
) -> Trainer:
    """A training of `model` on `samples`, packed into rows; `.train()` runs it.

    samples: what `Codec.training_sample` and `Codec.cut_sample` make, or whatever else `SampleDataset` takes, with
    weights too. The loss is the mean over all learned tokens. The other arguments are those of `Trainer` and
    `SampleDataset`, and so are the errors.
    """
    batches = SampleDataset(samples, sequence_length, batch_size, seed, too_long=too_long)
    return Trainer(model, batches, NextToken(), config, run, bundle, evaluate, inputs)
