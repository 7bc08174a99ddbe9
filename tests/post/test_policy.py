"""The clipped objective by hand, and the loss of packed rollouts against a plain forward over each of them."""

from __future__ import annotations

import dataclasses
import math

import pytest
import torch
from sansi.base import SansiError
from sansi.data.batch import Batch
from sansi.model import Transformer
from sansi.post.packing import Learned, pack_rollouts
from sansi.post.policy import PolicyGradient, clipped_objective, kl_penalty, score_batch
from sansi.post.rewards import Reward
from sansi.post.sampling import Rollout
from tiny_policy import small_model
from torch import Tensor

CLIP = {"clip_low": 0.2, "clip_high": 0.28}
VOCAB = 23


def plain_logprobs(model: Transformer, rollout: Rollout) -> Tensor:
    """Of every id after the prompt [n, V], by one forward over this rollout alone."""
    ids = torch.tensor([rollout.prompt_ids + rollout.ids])
    return model(ids[:, :-1])[0, len(rollout.prompt_ids) - 1 :].log_softmax(-1)


def chosen(logprobs: Tensor, rollout: Rollout) -> Tensor:
    return logprobs.gather(-1, torch.tensor(rollout.ids)[:, None])[:, 0]


def rollouts(model: Transformer, shift: float = 0.0) -> list[Learned]:
    """Of several lengths, one with tokens that are not the model's own; sampled `shift` nats from where it stands."""
    draw = torch.Generator().manual_seed(3)
    made = []
    for prompt, length, advantage in ((3, 5, 1.3), (2, 9, -0.7), (6, 1, 0.4), (1, 3, -1.1), (4, 7, 0.9)):
        ids = torch.randint(0, VOCAB, (prompt + length,), generator=draw).tolist()
        mask = [i % 3 != 1 for i in range(length)] if length == 9 else None
        rollout = Rollout(ids[:prompt], ids[prompt:], [0.0] * length, Reward(1, True, True), False, mask)
        with torch.no_grad():
            logprobs = chosen(plain_logprobs(model, rollout), rollout)
        logprobs += shift * torch.randn(length, generator=draw)
        rollout = Rollout(ids[:prompt], ids[prompt:], logprobs.tolist(), Reward(1, True, True), False, mask)
        made.append(Learned(rollout, advantage))
    return made


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
    now = torch.tensor([-1.5], requires_grad=True)
    terms = clipped_objective(now, now.detach() - math.log(ratio), torch.tensor([advantage]), **CLIP)
    assert terms.objective.item() == pytest.approx(objective, abs=1e-5)
    assert terms.clipped.item() == clipped
    assert terms.log_ratio.item() == pytest.approx(math.log(ratio), abs=1e-6)
    assert bool(torch.autograd.grad(terms.objective.sum(), now)[0].any()) != clipped


def test_a_ratio_out_of_all_bounds_stays_finite():
    now = torch.tensor([-0.1, -400.0], requires_grad=True)
    terms = clipped_objective(now, torch.tensor([-400.0, -0.1]), torch.tensor([-1.0, -1.0]), **CLIP)
    assert terms.objective.isfinite().all() and torch.autograd.grad(terms.objective.sum(), now)[0].isfinite().all()


def test_the_kl_penalty_is_an_unbiased_estimate_of_the_divergence_and_its_gradient():
    logits = torch.randn(6, generator=torch.Generator().manual_seed(1), requires_grad=True)
    reference = torch.randn(6, generator=torch.Generator().manual_seed(2)).log_softmax(-1)
    policy = logits.log_softmax(-1)
    expected = (policy.exp() * (policy - reference)).sum()
    penalty = kl_penalty(policy, reference)
    assert (penalty >= 0).all() and kl_penalty(policy, policy).abs().max() == 0
    assert (policy.exp() * penalty).sum().item() == pytest.approx(expected.item(), abs=1e-6)


@pytest.mark.parametrize("shift", [0.0, 0.6])
def test_the_loss_of_packed_rollouts_is_that_of_each_by_itself(shift):
    model = small_model(VOCAB)
    learned = rollouts(model, shift)
    batch = pack_rollouts(learned, pad_id=0)
    assert len(batch) < len(learned)  # several in a row
    loss = PolicyGradient(**CLIP)(model, batch, {})
    mean = loss.sum / loss.count
    got = torch.autograd.grad(mean, list(model.parameters()))

    total, entropy, count = torch.zeros(()), 0.0, 0
    for item in learned:
        logprobs = plain_logprobs(model, item.rollout)
        ratio = (chosen(logprobs, item.rollout) - torch.tensor(item.rollout.logprobs)).exp()
        terms = torch.minimum(ratio * item.advantage, ratio.clamp(0.8, 1.28) * item.advantage)
        own = torch.tensor(item.rollout.own)
        total = total - terms[own].sum()
        entropy -= (logprobs.exp() * logprobs).sum(-1)[own].sum().item()
        count += int(own.sum())
    assert batch.targets == count == loss.count and PolicyGradient(**CLIP).counts(batch)["loss"] == count
    assert mean.item() == pytest.approx((total / count).item(), abs=1e-6)
    for mine, plain in zip(got, torch.autograd.grad(total / count, list(model.parameters())), strict=True):
        torch.testing.assert_close(mine, plain, atol=1e-6, rtol=1e-4)
    assert (loss.extras["policy_entropy"].sum / count).item() == pytest.approx(entropy / count, abs=1e-5)
    if shift == 0.0:  # on-policy nothing is clipped
        assert loss.extras["clipped"].sum == 0 and loss.extras["max_ratio"].sum.item() == pytest.approx(1, abs=1e-5)
        assert loss.extras["log_ratio"].sum.item() == pytest.approx(0, abs=1e-4)
    else:
        assert loss.extras["clipped"].sum > 0 and loss.extras["max_ratio"].sum > 1.28
    assert all(extra.weight == 0 for extra in loss.extras.values())


def test_weights_of_tokens_scale_what_they_say():
    model = small_model(VOCAB)
    batch = pack_rollouts(rollouts(model, 0.3), pad_id=0)
    objective = PolicyGradient(**CLIP)
    twice = objective(model, _with(batch, weights=torch.full(batch.ids.shape, 2.0)), {})
    once = objective(model, batch, {})
    assert twice.sum.item() == pytest.approx(2 * once.sum.item(), rel=1e-5) and twice.count == 2 * once.count


def test_a_reference_adds_a_kl_term():
    model, other = small_model(VOCAB), small_model(VOCAB, 1)
    batch = pack_rollouts(rollouts(model, 0.3), pad_id=0)
    with torch.no_grad():
        values = torch.zeros(batch.ids.shape)
        values[:, 1:][batch.loss_mask[:, 1:]] = score_batch(other, batch).logprobs
    referred = _with(batch, reference_logprobs=values)
    measured, weighed = (
        PolicyGradient(**CLIP)(model, referred, {}),
        PolicyGradient(**CLIP, kl_weight=0.5)(model, referred, {}),
    )
    assert measured.extras["kl"].weight == 0 and weighed.extras["kl"].weight == 0.5
    assert (weighed.extras["kl"].sum / weighed.extras["kl"].count).item() > 0.1
    assert weighed.extras["kl"].sum.requires_grad
    itself = _with(batch, reference_logprobs=torch.zeros(batch.ids.shape))
    with torch.no_grad():
        itself.reference_logprobs[:, 1:][batch.loss_mask[:, 1:]] = score_batch(model, batch).logprobs
    assert PolicyGradient(**CLIP)(model, itself, {}).extras["kl"].sum.item() == pytest.approx(0, abs=1e-6)


def test_what_is_missing_or_impossible_is_named():
    model = small_model(VOCAB)
    batch = pack_rollouts(rollouts(model), pad_id=0)
    for name in ("logprobs", "advantages"):
        with pytest.raises(SansiError, match=f'needs "{name}"'):
            PolicyGradient()(model, _with(batch, **{name: None}), {})
    with pytest.raises(SansiError, match='needs "reference_logprobs"'):
        PolicyGradient(kl_weight=0.1)(model, batch, {})
    for name, value in (("clip_low", -0.1), ("clip_high", math.nan), ("kl_weight", "much")):
        with pytest.raises(SansiError, match=f'"{name}" must be'):
            PolicyGradient(**{name: value})


def test_a_batch_without_targets_has_a_loss_of_nothing():
    model = small_model(VOCAB)
    loss = PolicyGradient()(model, pack_rollouts([], pad_id=0), {})
    assert loss.sum == 0 and loss.count == 0
    loss.sum.backward()
    assert all(p.grad is None or not p.grad.any() for p in model.parameters())


def _with(batch: Batch, **changes: Tensor | None) -> Batch:
    return dataclasses.replace(batch, **changes)
