"""A model, batches and a configuration small enough to train for some steps in a blink."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from sansi.data import Mixture, PackedDataset, SampleDataset
from sansi.model import ModelConfig, Transformer
from sansi.train.loop import TrainConfig, Trainer
from sansi.train.objective import NextToken
from sansi.train.schedule import Schedule

VOCAB = 31


def tiny_model(seed: int = 0, scale: float = 1.0, **overrides: Any) -> Transformer:
    """`scale` multiplies the matrices: above 1, attention looks at something and an error in its mask shows."""
    shape = {"vocab_size": VOCAB, "hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 2}
    heads = {"num_attention_heads": 2, "num_key_value_heads": 1, "head_dim": 8, "max_position_embeddings": 64}
    model = Transformer(ModelConfig.preset("nano", **{**shape, **heads, **overrides}))
    model.init_weights(seed)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.mul_(scale if parameter.ndim > 1 else 1.0)
    return model


def samples(count: int, seed: int = 0) -> list[tuple[list[int], list[int]]]:
    """(ids, loss mask) of 2 to 12 tokens, the first token of each without loss."""
    rng = np.random.default_rng(seed)
    made = []
    for _ in range(count):
        size = int(rng.integers(2, 13))
        made.append((rng.integers(1, VOCAB, size).tolist(), [0, *rng.integers(0, 2, size - 2).tolist(), 1]))
    return made


def batches() -> Mixture:
    text = [np.random.default_rng(i).integers(1, VOCAB, 20) for i in range(6)]
    return Mixture([(PackedDataset(text, 16, 3), 0.6), (SampleDataset(samples(20), 16, 3), 0.4)])


def make_trainer(
    folder: Path,
    optimizer: Any = "muon",
    model: Transformer | None = None,
    data: Any = None,
    objective: Any = None,
    inputs: Any = None,
    evaluate: Any = None,
    bundle: Any = None,
    **settings: Any,
) -> Trainer:
    usual = {
        "steps": 7,
        "checkpoint_every": 2,
        "log_every": 1,
        "learning_rate": 1e-2,
        "compile": False,
        "schedule": Schedule(warmup_steps=2, decay_from=0.5),
    }
    config = TrainConfig(optimizer=optimizer, **{**usual, **settings})
    return Trainer(
        model or tiny_model(),
        data or batches(),
        objective or NextToken(),
        config,
        folder,
        bundle,
        evaluate=evaluate,
        inputs=inputs,
    )
