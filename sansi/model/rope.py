"""Rotary position embedding (Su et al. 2021, arXiv:2104.09864), YaRN (Peng et al. 2023, arXiv:2309.00071) and its kin.

Dimension i of a head turns together with dimension i + head_dim/2: the "half-split" layout of Hugging Face weights.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from sansi.model.config import ModelConfig, RopeScaling


@dataclass(frozen=True)
class RopeTable:
    """Rotation of every position: `x * cos + swap_halves(x) * sin`. Both are float32 [context_length, head_dim]."""

    cos: Tensor
    sin: Tensor  # the first half is negated, so that rotating needs no negation of x


def rope_table(config: ModelConfig) -> RopeTable:
    """The table of `config`, on the CPU, whatever the default device is."""
    frequencies = inverse_frequencies(config)  # [head_dim/2], radians per token
    positions = torch.arange(config.context_length, dtype=torch.float32, device="cpu")
    angles = torch.outer(positions, frequencies)  # [context_length, head_dim/2]
    scale = attention_factor(config.rope_scaling)
    cos, sin = angles.cos() * scale, angles.sin() * scale
    return RopeTable(torch.cat((cos, cos), dim=-1), torch.cat((-sin, sin), dim=-1))


def apply_rope(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """Rotate x [B, H, T, D] by cos and sin, which broadcast to it."""
    return torch.addcmul(x * cos, x.roll(x.shape[-1] // 2, -1), sin)


def inverse_frequencies(config: ModelConfig) -> Tensor:
    """Radians per token of each of the head_dim/2 rotating pairs, float32, on the CPU."""
    exponents = torch.arange(0, config.head_dim, 2, dtype=torch.float32, device="cpu") / config.head_dim
    plain = 1.0 / config.rope_theta**exponents
    scaling = config.rope_scaling
    if scaling is None:
        return plain
    if scaling.rope_type == "linear":
        return plain / scaling.factor
    if scaling.rope_type == "llama3":
        return _llama3(plain, scaling)
    # Pairs that turn often within the trained context keep their speed; slow ones are slowed down `factor` times.
    keep = 1.0 - _ramp(config, scaling)
    return plain / scaling.factor * (1.0 - keep) + plain * keep


def attention_factor(scaling: RopeScaling | None) -> float:
    """YaRN's temperature: cos and sin are multiplied by it, so attention logits by its square (section 3.4)."""
    if scaling is None or scaling.rope_type != "yarn":
        return 1.0
    if scaling.attention_factor is not None:
        return scaling.attention_factor
    if scaling.mscale and scaling.mscale_all_dim:
        return _mscale(scaling.factor, scaling.mscale) / _mscale(scaling.factor, scaling.mscale_all_dim)
    return _mscale(scaling.factor, 1.0)


def _llama3(plain: Tensor, scaling: RopeScaling) -> Tensor:
    """Pairs by how often they turn in the trained context: few times are slowed down, many are left, a ramp between."""
    low, high, trained = scaling.low_freq_factor, scaling.high_freq_factor, scaling.original_max_position_embeddings
    assert low is not None and high is not None and trained is not None
    turns = trained * plain / (2 * math.pi)
    keep = ((turns - low) / (high - low)).clamp(0, 1)
    return plain / scaling.factor * (1 - keep) + plain * keep


def _mscale(factor: float, weight: float) -> float:
    return 1.0 if factor <= 1 else 0.1 * weight * math.log(factor) + 1.0


def _ramp(config: ModelConfig, scaling: RopeScaling) -> Tensor:
    """How far each pair is interpolated: 0 for the fast ones, 1 for the slow ones (section 3.2)."""
    trained = scaling.original_max_position_embeddings or config.max_position_embeddings

    def pair_turning(times: float) -> float:  # the (fractional) pair that turns so many times in the trained context
        return config.head_dim * math.log(trained / (times * 2 * math.pi)) / (2 * math.log(config.rope_theta))

    low, high = pair_turning(scaling.beta_fast or 32.0), pair_turning(scaling.beta_slow or 1.0)
    if scaling.truncate:
        low, high = math.floor(low), math.ceil(high)
    low, high = max(low, 0), min(high, config.head_dim - 1)
    if low == high:
        high += 0.001  # a step instead of a division by zero
    pairs = torch.arange(config.head_dim // 2, dtype=torch.float32, device="cpu")
    return ((pairs - low) / (high - low)).clamp(0, 1)
