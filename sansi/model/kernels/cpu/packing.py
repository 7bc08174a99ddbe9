"""Weights into their packed form, in place: int8 and int4 by C++, or by torch operators where that can not be built."""

from __future__ import annotations

import ctypes
from functools import cache

import torch
from torch import Tensor

from sansi.base.cores import available_cores
from sansi.model.kernels import DIVISORS, GROUP, KINDS, LEVELS, PANEL, PackedWeight, cannot_round, pack
from sansi.model.kernels.cpu.build import KernelsUnavailable, load_kernels

VALUES_AT_ONCE = 2**19
VALUES_OF_TORCH = 2**15  # few enough for the cache, and for torch to use one thread
FORMS = {torch.float32: KINDS["fp32"], torch.bfloat16: KINDS["bf16"]}


def rows_at_once(kind: str, columns: int) -> int:
    """Of a weight that is packed in pieces: a multiple of 16."""
    return max((VALUES_AT_ONCE if kind in LEVELS else VALUES_OF_TORCH) // columns // PANEL, 1) * PANEL


def pack_into(packed: PackedWeight, first: int, rows: Tensor) -> None:
    """Pack `rows` [n, K] as those of `packed` from `first` on; `first` and n are multiples of 16, n not for the last.

    Rounds as `pack` does, with C++ in a fraction of the time. Of two scales whose squared errors differ by a millionth
    or less, the two may take different ones. Raises SansiError as `pack`.
    """
    panel, count = first // PANEL, -(-rows.shape[0] // PANEL)
    data = packed.data.view(-1, len(packed.data) // -(-packed.rows // PANEL))[panel : panel + count]
    scales = packed.scales[panel : panel + count]
    if packed.kind in LEVELS and kernels_library() is not None:
        _round(rows, packed.kind, data, scales)
        return
    part = pack(rows, packed.kind)
    data.copy_(part.data.view_as(data))
    if packed.kind in LEVELS:
        scales.copy_(part.scales)


def _round(rows: Tensor, kind: str, data: Tensor, scales: Tensor) -> None:
    library = kernels_library()
    assert library is not None and rows.shape[1] % GROUP == 0 and data.is_contiguous() and scales.is_contiguous()
    rows = (rows if rows.dtype in FORMS else rows.float()).contiguous()
    divisors = (LEVELS[kind], *DIVISORS[kind])
    failed = library.sansi_pack(
        KINDS[kind],
        FORMS[rows.dtype],
        ctypes.c_void_p(rows.data_ptr()),
        ctypes.c_int64(rows.shape[0]),
        ctypes.c_int64(rows.shape[1]),
        (ctypes.c_float * len(divisors))(*divisors),
        len(divisors),
        ctypes.c_void_p(data.data_ptr()),
        ctypes.c_void_p(scales.data_ptr()),
        threads_at_hand(),
    )
    if failed:
        raise cannot_round(kind)


@cache
def kernels_library() -> ctypes.CDLL | None:
    """None where they can not be built or run."""
    try:
        return load_kernels().library
    except KernelsUnavailable:
        return None


@cache
def threads_at_hand() -> int:
    return available_cores()
