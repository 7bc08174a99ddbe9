"""The load-balancing loss: transformers' scale, blind to how the batch is cut, and only to padding."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from sansi.model import expert_counts, load_balancing_loss
from torch import Tensor
from transformers.models.qwen3_moe.modeling_qwen3_moe import load_balancing_loss_func

EXPERTS, ACTIVE = 6, 2


def random_logits(layers: int = 3, batch: int = 4, tokens: int = 5, seed: int = 0) -> list[Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return [torch.randn(batch, tokens, EXPERTS, generator=generator) * 2 for _ in range(layers)]


def test_one_layer_equals_transformers() -> None:
    (logits,) = random_logits(layers=1)
    mask = torch.ones(4, 5, dtype=torch.bool)
    mask[1, 2:] = False
    for given_mask in (None, mask):
        theirs = load_balancing_loss_func((logits.flatten(0, 1),), EXPERTS, ACTIVE, given_mask)
        torch.testing.assert_close(load_balancing_loss([logits], ACTIVE, given_mask).loss, theirs)


@given(st.lists(st.integers(1, 3), min_size=1, max_size=4), st.integers(0, 3))
def test_with_global_counts_any_split_equals_the_whole_batch(cuts: list[int], seed: int) -> None:
    whole = [x.requires_grad_() for x in random_logits(batch=sum(cuts), seed=seed)]
    parts = [list(micro) for micro in zip(*(x.split(cuts) for x in whole), strict=True)]
    counts = torch.stack([expert_counts(micro, ACTIVE) for micro in parts]).sum(0)
    expected = load_balancing_loss(whole, ACTIVE)
    assert torch.equal(counts, expected.counts)
    losses = [load_balancing_loss(micro, ACTIVE, counts=counts).loss for micro in parts]
    split = sum(loss * cut for loss, cut in zip(losses, cuts, strict=True)) / sum(cuts)
    torch.testing.assert_close(split, expected.loss)
    for ours, theirs in zip(torch.autograd.grad(split, whole), torch.autograd.grad(expected.loss, whole), strict=True):
        torch.testing.assert_close(ours, theirs)


def test_padding_changes_nothing() -> None:
    logits = random_logits()
    padded = [torch.cat((x, torch.full((4, 7, EXPERTS), 9.0)), dim=1) for x in logits]
    mask = torch.arange(12).expand(4, -1) < 5
    expected, got = load_balancing_loss(logits, ACTIVE), load_balancing_loss(padded, ACTIVE, mask)
    torch.testing.assert_close(got.loss, expected.loss)
    assert torch.equal(got.counts, expected.counts)


def test_balance_is_the_minimum_and_collapse_the_maximum() -> None:
    turns = torch.arange(EXPERTS)
    preference = torch.stack([turns.roll(shift) for shift in range(EXPERTS)]).float()[None]  # each expert once on top
    assert load_balancing_loss([preference], ACTIVE).loss.item() == pytest.approx(ACTIVE)
    collapsed = (turns == 0).float().mul(50).expand(1, 8, -1)
    assert load_balancing_loss([collapsed], 1).loss.item() == pytest.approx(EXPERTS)


def test_opposite_imbalances_of_two_layers_do_not_cancel() -> None:
    one = torch.tensor([5.0, 0.0]).expand(1, 8, 2)
    pair = [one, one.flip(-1)]
    assert load_balancing_loss(pair, 1).loss.item() == pytest.approx(load_balancing_loss([one], 1).loss.item())


def test_a_batch_of_padding_alone_has_no_loss() -> None:
    loss = load_balancing_loss(random_logits(), ACTIVE, torch.zeros(4, 5, dtype=torch.bool)).loss
    assert loss.item() == 0


def test_a_dense_model_has_nothing_to_balance() -> None:
    with pytest.raises(ValueError, match="at least one router"):
        load_balancing_loss([], ACTIVE)
