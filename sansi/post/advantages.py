"""Advantages: how much better an answer is than the other answers to its question."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Literal

import torch
from torch import Tensor

from sansi.base import SansiError
from sansi.data.problems.task import check_finite

ScaleRewards = Literal["group", "none"]
SMALLEST_DEVIATION = 1e-6  # added to a group's deviation, in units of the reward


def group_advantages(
    rewards: Tensor | Sequence[float | None] | Sequence[Sequence[float | None]], scale_rewards: ScaleRewards = "group"
) -> Tensor:
    """Distance of each reward to the mean of its group, in the group's standard deviations; float32, of one shape.

    rewards: of one group [size] or several [groups, size]: whole numbers, truth values and fractions alike. None is an
    answer that could not be judged: it counts in no mean and its advantage is 0. scale_rewards: "none" leaves the
    distances as they are (Liu et al. 2025, "Understanding R1-Zero-like training", section 3.1). The advantages of a
    group of equal rewards, or of a single one, are exactly 0.

    Raises SansiError for anything that is not a finite number, and for groups of different sizes.
    """
    values, known = _checked(rewards)
    if scale_rewards not in ("group", "none"):
        raise SansiError(f'"scale_rewards" is {scale_rewards!r}; use "group" or "none"', param="scale_rewards")
    count = known.sum(-1, keepdim=True).clamp(min=1)
    mean = values.sum(-1, keepdim=True) / count
    # The mean of equal rewards may be off by a rounding error, which a deviation of about 0 would blow up.
    centred = torch.where(known & ~_equal(values, known), values - mean, 0.0)
    if scale_rewards == "group":
        deviation = (centred.square().sum(-1, keepdim=True) / count).sqrt()
        centred = centred / (deviation + SMALLEST_DEVIATION)
    return centred.float()


def has_signal(rewards: Sequence[float | None]) -> bool:
    """Whether a group says which answers are better than others: at least two of its rewards differ."""
    return len({value for value in rewards if value is not None}) > 1


def _equal(values: Tensor, known: Tensor) -> Tensor:
    """Whether all known values of a group are the same [..., 1]."""
    least = values.masked_fill(~known, math.inf).amin(-1, keepdim=True)
    most = values.masked_fill(~known, -math.inf).amax(-1, keepdim=True)
    return least >= most


def _checked(rewards: Tensor | Sequence[float | None] | Sequence[Sequence[float | None]]) -> tuple[Tensor, Tensor]:
    """The rewards as float64, unknown ones as 0, and which are known."""
    if isinstance(rewards, Tensor):
        values, known = rewards.detach().double(), torch.ones(rewards.shape, dtype=torch.bool, device=rewards.device)
    else:
        groups: Sequence[Any] = rewards
        nested = [_numbers(part) for part in groups] if _is_nested(groups) else _numbers(groups)
        try:
            values = torch.tensor(nested, dtype=torch.float64)
        except ValueError as error:  # ragged
            message = "the groups have different sizes; give their rewards one by one"
            raise SansiError(message, param="rewards") from error
        known = ~values.isnan()
        values = values.masked_fill(~known, 0.0)
    if values.ndim == 0 or values.shape[-1] == 0:
        raise SansiError("a group without rewards has no advantages", param="rewards")
    if not values.isfinite().all():
        worst = values[~values.isfinite()][0].item()
        raise SansiError(f"a reward is {worst}; it must be a finite number", param="rewards")
    return values, known


def _is_nested(rewards: Sequence[object]) -> bool:
    """Whether these are groups of rewards."""
    return len(rewards) > 0 and all(isinstance(part, list | tuple) for part in rewards)


def _numbers(rewards: Sequence[object]) -> list[float]:
    """The rewards of a group as floats; NaN stands for an unknown one."""
    return [math.nan if value is None else check_finite("reward", value) for value in rewards]
