"""Small numbers, packed."""

from __future__ import annotations

import torch
from torch import Tensor


def words(levels: Tensor, bits: int) -> Tensor:
    """[..., K] uint8 below 2 ** bits -> [..., K * bits / 32] int32: neighbours in one, the first in the lowest bits."""
    if bits == 4:
        levels = levels[..., 0::2] | (levels[..., 1::2] << 4)
    return levels.reshape(-1).view(torch.int32).view(*levels.shape[:-1], -1)
