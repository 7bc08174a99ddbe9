"""Weights rounded to the block types of GGUF files, by C++."""

from __future__ import annotations

import ctypes
from dataclasses import dataclass

import torch
from torch import Tensor

from sansi.model.kernels.cpu.packing import FORMS, kernels_library, threads_at_hand


@dataclass(frozen=True)
class RoundedBlocks:
    """Rounded rows, and what that cost."""

    data: Tensor
    """[N, bytes of a row] uint8."""
    missed: float
    """Sum of the squared errors, unweighted."""
    total: float
    """Sum of the squares."""


def round_blocks(rows: Tensor, number: int, row_bytes: int, importance: Tensor | None) -> RoundedBlocks | None:
    """Rows [N, K] as blocks of the type `number`; None where the kernels can not be built or run.

    importance: [K] float32, the weight of each input's squared error. Raises ValueError for a value that is not finite
    or too large.
    """
    library = kernels_library()
    if library is None:
        return None
    rows = (rows if rows.dtype in FORMS else rows.float()).contiguous()
    weights = None if importance is None else importance.float().contiguous()
    out = torch.empty(len(rows), row_bytes, dtype=torch.uint8)
    sums = (ctypes.c_double * 2)()
    failed = library.sansi_round_blocks(
        number,
        FORMS[rows.dtype],
        ctypes.c_void_p(rows.data_ptr()),
        ctypes.c_int64(rows.shape[0]),
        ctypes.c_int64(rows.shape[1]),
        ctypes.c_void_p(None if weights is None else weights.data_ptr()),
        ctypes.c_void_p(out.data_ptr()),
        sums,
        threads_at_hand(),
    )
    if failed:
        raise ValueError("a weight is not finite, or above 65504")
    return RoundedBlocks(out, sums[0], sums[1])
