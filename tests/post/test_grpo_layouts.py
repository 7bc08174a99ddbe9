"""GRPO's loss and gradient are those of the whole batch, in micro-batches and on two ranks; so is a whole run."""

from __future__ import annotations

import dataclasses
import tempfile
from typing import Any

import pytest
import torch
from fake_sampler import CONFIG, PROBLEMS, Sampler, sometimes, tiny_model
from layouts import check_layouts
from ranks import on_two_ranks
from sansi.base import SansiError
from sansi.data.batch import Batch
from sansi.model import Transformer
from sansi.post.packing import Learned, pack_rollouts
from sansi.post.policy import PolicyGradient, score_batch
from sansi.post.rewards import Reward
from sansi.post.rollouts import Rollouts
from sansi.post.sampling import Rollout
from sansi.train.config import TrainConfig
from sansi.train.loop import Trainer
from tiny_policy import small_model

VOCAB = 23


@torch.no_grad()
def policy_gradient() -> tuple[Transformer, Batch, Any]:
    """Rollouts of very different lengths, off-policy so that some are clipped, with a KL term to another model."""
    model, reference = small_model(VOCAB).double(), small_model(VOCAB, 1).double()
    draw = torch.Generator().manual_seed(5)
    learned = []
    for prompt, length in ((3, 5), (2, 17), (6, 1), (1, 4), (4, 12), (2, 15), (5, 14), (3, 9)):
        ids = torch.randint(0, VOCAB, (prompt + length,), generator=draw).tolist()
        rollout = Rollout(ids[:prompt], ids[prompt:], [0.0] * length, Reward(1, True, True), False)
        learned.append(Learned(rollout, float(torch.randn((), generator=draw))))
    batch = pack_rollouts(learned, pad_id=0)
    mask = batch.loss_mask[:, 1:]
    sampled, referred = torch.zeros(batch.ids.shape), torch.zeros(batch.ids.shape)
    sampled[:, 1:][mask] = score_batch(model, batch).logprobs.float() + 0.4 * torch.randn(batch.targets, generator=draw)
    referred[:, 1:][mask] = score_batch(reference, batch).logprobs.float()
    batch = dataclasses.replace(batch, logprobs=sampled, reference_logprobs=referred)
    assert len(batch) >= 4
    return model, batch, PolicyGradient(0.2, 0.28, kl_weight=0.1)


def test_every_layout_has_the_gradient_of_the_whole_batch():
    with torch.enable_grad():
        whole = check_layouts(policy_gradient)
    assert 0.05 < whole.metrics["clipped"] < 0.9 and whole.metrics["kl"] > 0.1


def rounds(error: float = 0.0, asked_by_one: bool = False) -> tuple[dict[str, torch.Tensor], list[dict[str, Any]]]:
    """Weights after three rounds, and what was logged of them."""
    model = tiny_model()
    sampler = Sampler(model, sometimes, error)
    rollouts = Rollouts(model, sampler, PROBLEMS, dataclasses.replace(CONFIG, max_oversampling=2.0))
    settings = TrainConfig(steps=6, learning_rate=1e-2, optimizer="adamw", log_every=2, compile=False)
    with tempfile.TemporaryDirectory() as folder:
        trainer = Trainer(model, rollouts, PolicyGradient(), settings, folder)
        trainer.train()
        rows = [row for row in trainer.run.metrics() if "reward" in row]
    assert sum(map(len, sampler.asked)) < rollouts.asked or not asked_by_one
    shown = (
        "round",
        "reward",
        "questions",
        "mixed_groups",
        "entropy",
        "engine_mismatch",
        "loss",
        "log_ratio",
        "clipped",
    )
    return dict(model.state_dict()), [{name: row[name] for name in shown if name in row} for row in rows]


def test_two_ranks_share_the_questions_and_learn_the_same():
    weights, rows = rounds()
    shared_weights, shared_rows = on_two_ranks(rounds, 0.0, True)
    assert len(rows) == 3 and all(row["mixed_groups"] > 0 for row in rows)
    for row, shared in zip(rows, shared_rows, strict=True):
        assert shared == pytest.approx(row, abs=2e-6, rel=1e-4)
    for name, value in weights.items():
        torch.testing.assert_close(shared_weights[name], value, atol=1e-5, rtol=1e-4)


def test_two_ranks_stop_together():
    with pytest.raises(SansiError, match=r"disagree by 0\.5000"):
        on_two_ranks(stopped)


def stopped() -> None:
    try:
        rounds(0.5)
    except SansiError as error:
        if torch.distributed.get_rank() == 0:
            raise
        assert "disagree by 0.5000" in str(error)
