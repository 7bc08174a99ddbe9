"""Advantages by hand; whatever is a number is a reward, and nothing else is."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest
import torch
from sansi.base import SansiError
from sansi.post.advantages import group_advantages, has_signal

THIRD = 1 / math.sqrt(3)  # one of four: mean 1/4, deviation sqrt(3)/4


def test_by_hand():
    rewards = torch.tensor([[1.0, 0.0, 0.0, 1.0], [0.0, 0.0, 0.0, 1.0], [1.0, 1.0, 1.0, 1.0]])
    expected = torch.tensor([[1.0, -1.0, -1.0, 1.0], [-THIRD, -THIRD, -THIRD, 3 * THIRD], [0.0, 0.0, 0.0, 0.0]])
    torch.testing.assert_close(group_advantages(rewards), expected, atol=1e-5, rtol=0)
    torch.testing.assert_close(group_advantages(rewards.tolist()), expected, atol=1e-5, rtol=0)


@pytest.mark.parametrize(
    "rewards",
    [
        [1, 0, 0, 0],
        [True, False, False, False],
        [1.0, 0, False, 0.0],
        np.array([1, 0, 0, 0]),
        [np.float32(1), np.int64(0), torch.tensor(0), Fraction(0)],
        torch.tensor([1, 0, 0, 0]),
        torch.tensor([True, False, False, False]),
        [5, 3, 3, 3],
    ],
)
def test_rewards_may_be_whole_numbers_truth_values_and_fractions(rewards):
    advantages = group_advantages(rewards)
    assert advantages.dtype == torch.float32
    assert advantages.tolist() == pytest.approx([3 * THIRD, -THIRD, -THIRD, -THIRD], abs=1e-4)


@pytest.mark.parametrize("value", [0.1, 1 / 3, 1e-7, 1e6 + 0.1])
@pytest.mark.parametrize("size", [1, 2, 3, 7, 64])
def test_equal_rewards_have_no_advantage_whatever_their_mean_rounds_to(value, size):
    for scale in ("group", "none"):
        assert group_advantages([value] * size, scale).tolist() == [0.0] * size
        assert group_advantages(torch.full((2, size), value), scale).tolist() == [[0.0] * size] * 2


def test_unscaled_advantages_are_distances_to_the_mean():
    assert group_advantages([1, 0, 0, 0.5], "none").tolist() == [0.625, -0.375, -0.375, 0.125]


def test_an_unknown_reward_counts_in_no_mean():
    assert group_advantages([1, None, 0]).tolist() == pytest.approx([1, 0, -1], abs=1e-4)
    assert group_advantages([None, None]).tolist() == [0, 0]
    assert group_advantages([1, None]).tolist() == [0, 0]
    assert has_signal([1, None, 0]) and has_signal([0.5, 0.25])
    assert (
        not has_signal([1, None]) and not has_signal([True, 1, 1.0]) and not has_signal([]) and not has_signal([None])
    )


@pytest.mark.parametrize(
    ("rewards", "message"),
    [
        ([1, math.nan], "must be a finite number"),
        ([1, math.inf], "must be a finite number"),
        ([1, "1"], "'1'; it must be a finite number"),
        ([1, 10**400], "must be a finite number"),
        ([1, 1j], "must be a finite number"),
        (torch.tensor([1.0, math.nan]), "must be a finite number"),
        ([[1, 0], [1]], "different sizes"),
        ([], "without rewards"),
        ([[], []], "without rewards"),
        (torch.tensor(1.0), "without rewards"),
    ],
)
def test_anything_else_is_refused(rewards, message):
    with pytest.raises(SansiError, match=message):
        group_advantages(rewards)


def test_an_unknown_scale_is_refused():
    with pytest.raises(SansiError, match="\"scale_rewards\" is 'batch'"):
        group_advantages([1, 0], "batch")
