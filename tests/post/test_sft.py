"""Fine-tuning in one call, and what weights of samples mean."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest
import torch
from fake_sampler import VOCAB, tiny_model
from sansi.base import SansiError
from sansi.data import Mixture, SampleDataset
from sansi.data.shards.streams import stack
from sansi.post.sft import sft
from sansi.train.config import TrainConfig
from sansi.train.objective import NextToken, with_attention

LONG = ([1, 2, 3, 4, 5, 6], [0, 0, 1, 1, 1, 1])
SHORT = ([7, 8, 9], [0, 1, 1])
CONFIG = TrainConfig(steps=3, learning_rate=1e-2, optimizer="adamw", log_every=1, compile=False)


@dataclasses.dataclass(frozen=True)
class Sample:
    ids: list[int]
    loss_mask: list[int]
    weight: float = 1.0


def loss_of(*samples: Any) -> float:
    """Over one batch that holds each of the samples once, in rows of 9 tokens."""
    data = SampleDataset(samples, 8, 1)
    batch = with_attention(stack([data.take() for _ in range(data.rows_per_epoch)]))
    loss = NextToken()(tiny_model(), batch, {})
    assert loss.count == pytest.approx(batch.target_weight)
    return float(loss.sum.detach() / loss.count)


def test_a_call_trains_and_its_folder_goes_on(tmp_path):
    trainer = sft(tiny_model(), [LONG, SHORT] * 4, CONFIG, tmp_path, sequence_length=8, batch_size=2)
    trainer.train()
    losses = [row["loss"] for row in trainer.run.metrics()]
    assert len(losses) == 3 and losses[-1] < losses[0]
    again = sft(tiny_model(), [LONG, SHORT] * 4, CONFIG, tmp_path, sequence_length=8, batch_size=2)
    assert again.step == 3
    with pytest.raises(SansiError, match=r"digest|other data"):
        sft(tiny_model(), [(*LONG, 2.0), SHORT] * 4, CONFIG, tmp_path, sequence_length=8, batch_size=2)


@pytest.mark.parametrize("heavy", [(*LONG, 3), Sample(*LONG, 3.0), {"ids": LONG[0], "loss_mask": LONG[1], "weight": 3}])
def test_a_sample_of_weight_three_counts_as_three_of_it(heavy):
    assert loss_of(heavy, SHORT) == pytest.approx(loss_of(LONG, LONG, LONG, SHORT), rel=1e-5)
    assert loss_of(heavy, SHORT) != pytest.approx(loss_of(LONG, SHORT), rel=1e-5)
    assert loss_of((*LONG, 0), SHORT) == pytest.approx(loss_of(SHORT), rel=1e-5)


def test_without_weights_a_batch_has_none_and_beside_weights_they_are_one():
    plain, weighted = SampleDataset([LONG], 8, 1), SampleDataset([(*SHORT, 0.5)], 8, 1)
    assert next(plain).weights is None
    batch = next(Mixture([(plain, 1), (weighted, 1)], batch_size=2))
    values = {float(w) for w in batch.weights[batch.loss_mask]}
    assert values == {1.0, 0.5} and batch.ids.max() < VOCAB


@pytest.mark.parametrize("weight", [-1, float("nan"), float("inf"), "2", True, torch.tensor([1.0, 2.0])])
def test_a_weight_that_is_none_is_refused(weight):
    with pytest.raises(SansiError, match="sample 1 has the weight"):
        SampleDataset([LONG, (*SHORT, weight)], 8, 1)
    with pytest.raises(SansiError, match="all samples have weight 0"):
        SampleDataset([(*LONG, 0)], 8, 1)
