"""Advantages and the clipped loss by hand and against plain policy gradient; which rollouts make a batch."""

from __future__ import annotations

import math

import pytest
import torch
from sansi.post.grpo import Batch, Rollout, group_advantages, make_batch, policy_loss
from sansi.post.rewards import Reward
from torch import Tensor

CLIP = {"clip_low": 0.2, "clip_high": 0.28}


def test_group_advantages_by_hand():
    rewards = torch.tensor([[1.0, 0.0, 0.0, 1.0], [0.0, 0.0, 0.0, 1.0], [1.0, 1.0, 1.0, 1.0]])
    third = 1 / math.sqrt(3)  # mean 1/4, deviation sqrt(3)/4
    expected = torch.tensor([[1.0, -1.0, -1.0, 1.0], [-third, -third, -third, 3 * third], [0.0, 0.0, 0.0, 0.0]])
    torch.testing.assert_close(group_advantages(rewards), expected, atol=1e-5, rtol=0)


def random_batch(seed: int = 0, rows: int = 3, length: int = 8, vocab: int = 11) -> tuple[Tensor, Batch]:
    """Logits that need a gradient, and a batch whose log-probabilities are those of the same logits."""
    draw = torch.Generator().manual_seed(seed)
    logits = torch.randn(rows, length - 1, vocab, generator=draw)
    ids = torch.randint(0, vocab, (rows, length), generator=draw)
    targets = torch.rand(rows, length - 1, generator=draw) < 0.6
    batch = Batch(ids, targets, chosen_logprobs(logits, ids), torch.randn(rows, generator=draw))
    return logits.requires_grad_(), batch


def chosen_logprobs(logits: Tensor, ids: Tensor) -> Tensor:
    return logits.log_softmax(-1).gather(-1, ids[:, 1:, None]).squeeze(-1)


@pytest.mark.parametrize("seed", range(3))
def test_on_policy_it_is_plain_policy_gradient(seed):
    logits, batch = random_batch(seed)
    result = policy_loss(logits, batch, **CLIP)
    assert result.max_ratio == pytest.approx(1, abs=1e-6)
    assert result.mismatch == pytest.approx(0, abs=1e-6) and result.clipped == 0
    weights = batch.advantages[:, None] * batch.targets / batch.targets.sum()
    assert result.loss.item() == pytest.approx(-weights.sum().item(), abs=1e-6)
    reinforce = -(weights * chosen_logprobs(logits, batch.ids)).sum()
    expected = torch.autograd.grad(reinforce, logits)[0]
    torch.testing.assert_close(torch.autograd.grad(result.loss, logits)[0], expected, atol=1e-6, rtol=1e-4)


@pytest.mark.parametrize(
    ("ratio", "advantage", "objective", "clipped"),
    [
        (1.0, 2.0, 2.0, False),
        (1.2, 2.0, 2.4, False),
        (1.5, 2.0, 2.56, True),  # a good token is not pushed further up
        (0.5, 2.0, 1.0, False),  # ... but back up, from anywhere
        (0.9, -2.0, -1.8, False),
        (0.5, -2.0, -1.6, True),  # a bad token is not pushed further down
        (1.5, -2.0, -3.0, False),
    ],
)
def test_clipping_by_hand(ratio, advantage, objective, clipped):
    logits = torch.tensor([[[0.3, -0.2, 1.0]]], requires_grad=True)
    ids = torch.tensor([[0, 2]])
    old = chosen_logprobs(logits.detach(), ids) - math.log(ratio)
    batch = Batch(ids, torch.tensor([[True]]), old, torch.tensor([advantage]))
    result = policy_loss(logits, batch, **CLIP)
    assert result.loss.item() == pytest.approx(-objective, abs=1e-5)
    assert result.clipped == clipped
    assert result.max_ratio == pytest.approx(ratio, abs=1e-5)
    assert result.mismatch == pytest.approx(abs(math.log(ratio)), abs=1e-5)
    assert bool(torch.autograd.grad(result.loss, logits)[0].any()) != clipped


def test_only_targets_count():
    logits, batch = random_batch()
    result = policy_loss(logits, batch, **CLIP)
    gradient = torch.autograd.grad(result.loss, logits)[0]
    assert not gradient[~batch.targets].any() and gradient[batch.targets].any(-1).all()
    changed = torch.where(batch.targets[..., None], logits.detach(), 5 * logits.detach().flip(-1))
    again = policy_loss(changed, batch, **CLIP)
    assert again.loss.item() == pytest.approx(result.loss.item(), abs=1e-6)
    assert (again.entropy, again.max_ratio) == pytest.approx((result.entropy, result.max_ratio), abs=1e-6)


def test_entropy_is_that_of_the_policy():
    _, batch = random_batch(vocab=11)
    assert policy_loss(torch.zeros(3, 7, 11), batch, **CLIP).entropy == pytest.approx(math.log(11), abs=1e-5)


def rollout(prompt: list[int], ids: list[int], reward: float, truncated: bool = False) -> Rollout:
    logprobs = [-0.5 * (i + 1) for i in range(len(ids))]
    return Rollout(prompt, ids, logprobs, Reward(reward, bool(reward), True), truncated)


def test_a_batch_lays_each_token_beside_its_own_log_probability():
    batch = make_batch([[rollout([1, 2, 3], [4, 5], 1.0), rollout([1], [6, 7, 8], 0.0)]], pad_id=9)
    assert batch is not None
    assert batch.ids.tolist() == [[1, 2, 3, 4, 5], [1, 6, 7, 8, 9]]
    assert batch.targets.int().tolist() == [[0, 0, 1, 1], [1, 1, 1, 0]]
    assert batch.logprobs.tolist() == [[0, 0, -0.5, -1.0], [-0.5, -1.0, -1.5, 0]]
    assert batch.advantages.tolist() == pytest.approx([1, -1], abs=1e-4)
    row = batch.rows(torch.tensor([1]))
    assert row.ids.tolist() == [[1, 6, 7, 8, 9]] and row.advantages.tolist() == pytest.approx([-1], abs=1e-4)


def test_groups_without_contrast_and_truncated_rollouts_are_left_out():
    right, wrong, cut = rollout([1], [2], 1.0), rollout([1], [3], 0.0), rollout([1], [4, 4, 4, 4], 0.0, truncated=True)
    assert make_batch([[right, right], [wrong, wrong]], 0) is None
    assert make_batch([[cut, cut], [right, right]], 0) is None
    batch = make_batch([[right, right], [right, wrong, wrong, cut]], 0)
    assert batch is not None and batch.ids.tolist() == [[1, 2], [1, 3], [1, 3]]
    third = 1 / math.sqrt(3)  # the truncated one counts as wrong in its group
    assert batch.advantages.tolist() == pytest.approx([3 * third, -third, -third], abs=1e-4)
