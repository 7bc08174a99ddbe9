"""Which numbers a training computes with: float32 master weights and optimiser state, and half precision in between.

A weight in bfloat16 has 8 bits: a step of a learning rate of 1e-5 is less than half the distance to its neighbour, and
rounding takes most steps away. So the weights of a model in training are float32, and the products alone are bfloat16.
"""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from typing import Literal

import torch
from torch import nn

from sansi.base import SansiError
from sansi.model import Transformer

ComputeDtype = Literal["auto", "float32", "bfloat16"]


def compute_dtype(model: nn.Module, dtype: ComputeDtype) -> torch.dtype:
    """The dtype of the products; "auto": what the model came in, bfloat16 for any half precision."""
    if dtype != "auto":
        return torch.float32 if dtype == "float32" else torch.bfloat16
    found = next(model.parameters()).dtype
    return torch.bfloat16 if found.itemsize < 4 else found


def to_master_weights(model: Transformer) -> None:
    """Widen the weights of the model, in place, to float32 where they are narrower; the table of RoPE is made anew."""
    for parameter in model.parameters():
        if not parameter.is_floating_point():
            raise SansiError(
                f"the model has weights of dtype {parameter.dtype}: a quantised model can not be trained; load the "
                "full one"
            )
        if parameter.dtype.itemsize < 4:
            parameter.data = parameter.data.float()
    if model.rope_cos.dtype.itemsize < 4:
        model.rope_cos, model.rope_sin = model.rope_cos.float(), model.rope_sin.float()
        model.init_buffers()


def autocast(model: nn.Module, dtype: torch.dtype) -> AbstractContextManager:
    """Products in `dtype` over master weights: what the loop's forward runs in."""
    device = next(model.parameters()).device.type
    return torch.autocast(device, dtype=dtype) if dtype.itemsize < 4 else nullcontext()
