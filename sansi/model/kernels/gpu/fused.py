"""What stands between the matrix products of a layer, each as one pass over memory.

Letters of shapes:

    T new tokens   C hidden size   H query heads   K key/value heads   D head size   I feed-forward width
    N sequences   W width of the block tables   B blocks   BLOCK = 16 positions

Sums and norms are in float32, whatever the dtype of the weights.
"""

from __future__ import annotations

import torch
import triton
import triton.language as tl
from torch import Tensor

from sansi.model.kernels.gpu.attention import BLOCK, Cache

FP8_MAX = 448.0  # largest float8_e4m3fn


@triton.jit
def _add_rms_norm_kernel(x, residual, weight, out, eps, C: tl.constexpr, C_PAD: tl.constexpr, ADD: tl.constexpr):
    token = tl.program_id(0).to(tl.int64)
    c = tl.arange(0, C_PAD)
    there = c < C
    row = tl.load(x + token * C + c, mask=there, other=0.0)
    if ADD:
        # Rounded before the norm, as the residual stream is in memory.
        row = (row.to(tl.float32) + tl.load(residual + token * C + c, mask=there, other=0.0)).to(row.dtype)
        tl.store(residual + token * C + c, row, mask=there)
    wide = row.to(tl.float32)
    inverse = tl.rsqrt(tl.sum(wide * wide, 0) / C + eps)
    y = wide * inverse * tl.load(weight + c, mask=there, other=0.0).to(tl.float32)
    tl.store(out + token * C + c, y.to(out.dtype.element_ty), mask=there)


def add_rms_norm(x: Tensor, residual: Tensor | None, weight: Tensor, eps: float) -> Tensor:
    """RMSNorm of x [T, C], or of x + residual, which is left in `residual` (in place)."""
    out = torch.empty_like(x)
    width = x.shape[1]
    if len(x):
        _add_rms_norm_kernel[(len(x),)](
            x,
            residual if residual is not None else x,
            weight,
            out,
            eps,
            C=width,
            C_PAD=triton.next_power_of_2(width),
            ADD=residual is not None,
            num_warps=4 if width <= 2048 else 8,  # 16 to 32 elements a thread: loads of 16 bytes, two to four in flight
        )
    return out


@triton.jit
def _norm_and_rotate(row, real, weight, cos, sin, position, eps, D: tl.constexpr, D_PAD: tl.constexpr):
    """RMSNorm and RoPE of heads at `row` [heads], float32. The partner half of a head is loaded again, from L1."""
    d = tl.arange(0, D_PAD)
    partner = (d + D // 2) % D
    mask = real[:, None] & (d < D)[None, :]
    x = tl.load(row[:, None] + d[None, :], mask=mask, other=0.0).to(tl.float32)
    other = tl.load(row[:, None] + partner[None, :], mask=mask, other=0.0).to(tl.float32)
    inverse = tl.rsqrt(tl.sum(x * x, 1) / D + eps)[:, None]
    x *= inverse * tl.load(weight + d, mask=d < D, other=0.0).to(tl.float32)[None, :]
    other *= inverse * tl.load(weight + partner, mask=d < D, other=0.0).to(tl.float32)[None, :]
    c = tl.load(cos + position * D + d, mask=d < D, other=0.0)[None, :]
    s = tl.load(sin + position * D + d, mask=d < D, other=0.0)[None, :]
    return x * c + other * s


@triton.jit
def _to_cache(x, scales, at, real, SCALED: tl.constexpr, MAX: tl.constexpr):
    if SCALED:
        scale = tl.load(scales + at, mask=real, other=1.0)
        return tl.minimum(tl.maximum(x / scale[:, None], -MAX), MAX)
    return x


@triton.jit
def _rope_kernel(
    qkv,  # [T, (H + 2 K) * D]
    q_weight,  # [D]
    k_weight,
    cos,  # [positions, D] float32, as in RopeTable
    sin,
    positions,  # [T]; negative: padding, nothing is written to the cache
    owners,  # [T]
    tables,  # [N, W]
    queries,  # [T, H, D]
    keys,  # [B, K, BLOCK, D]
    values,
    scales,  # [2, K]
    eps,
    table_width,
    HEADS: tl.constexpr,
    KV_HEADS: tl.constexpr,
    D: tl.constexpr,
    D_PAD: tl.constexpr,
    BLOCK: tl.constexpr,
    HEADS_AT_ONCE: tl.constexpr,
    SCALED: tl.constexpr,
    MAX: tl.constexpr,
):
    token, piece = tl.program_id(0).to(tl.int64), tl.program_id(1)
    query_pieces: tl.constexpr = (HEADS + HEADS_AT_ONCE - 1) // HEADS_AT_ONCE
    key_pieces: tl.constexpr = (KV_HEADS + HEADS_AT_ONCE - 1) // HEADS_AT_ONCE
    at = tl.load(positions + token)
    position = tl.maximum(at, 0)
    d = tl.arange(0, D_PAD)
    h = tl.arange(0, HEADS_AT_ONCE)
    row = qkv + token * (HEADS + 2 * KV_HEADS) * D
    if piece < query_pieces:
        head = piece * HEADS_AT_ONCE + h
        real = head < HEADS
        y = _norm_and_rotate(row + head * D, real, q_weight, cos, sin, position, eps, D, D_PAD)
        out = queries + (token * HEADS + head)[:, None] * D + d[None, :]
        tl.store(out, y.to(queries.dtype.element_ty), mask=real[:, None] & (d < D)[None, :])
    else:
        table = tables + tl.load(owners + token).to(tl.int64) * table_width
        block = tl.load(table + position // BLOCK).to(tl.int64)
        is_key = piece < query_pieces + key_pieces
        head = (piece - query_pieces - tl.where(is_key, 0, key_pieces)) * HEADS_AT_ONCE + h
        real = (head < KV_HEADS) & (at >= 0)
        mask = real[:, None] & (d < D)[None, :]
        place = ((block * KV_HEADS + head) * BLOCK + position % BLOCK)[:, None] * D + d[None, :]
        if is_key:
            key = _norm_and_rotate(row + (HEADS + head) * D, real, k_weight, cos, sin, position, eps, D, D_PAD)
            key = _to_cache(key, scales, head, real, SCALED, MAX)
            tl.store(keys + place, key.to(keys.dtype.element_ty), mask=mask)
        else:
            value = tl.load(row + ((HEADS + KV_HEADS + head) * D)[:, None] + d[None, :], mask=mask, other=0.0)
            value = _to_cache(value.to(tl.float32), scales, KV_HEADS + head, real, SCALED, MAX)
            tl.store(values + place, value.to(values.dtype.element_ty), mask=mask)


def norm_rope_and_store(
    qkv: Tensor,
    norms: tuple[Tensor, Tensor],
    eps: float,
    rotation: tuple[Tensor, Tensor],
    positions: Tensor,
    owners: Tensor,
    tables: Tensor,
    cache: Cache,
) -> Tensor:
    """QK-norm and RoPE; keys and values go into their blocks. Returns the queries [T, H, D].

    qkv [T, (H + 2 K) * D]: query heads, key heads, value heads. norms: weights [D] of queries and keys. rotation: cos
    and sin, float32 [positions, D]. positions [T] (negative: padding, nothing is stored), owners [T] (the sequence of
    each token), tables [N, W], int32.
    """
    kv_heads, head_dim = cache.keys.shape[1], cache.keys.shape[3]
    heads = qkv.shape[1] // head_dim - 2 * kv_heads
    queries = qkv.new_empty(len(qkv), heads, head_dim)
    at_once = 4  # heads: 16 elements a thread of one warp at D = 128; more programs than heads fit when T is 1
    pieces = triton.cdiv(heads, at_once) + 2 * triton.cdiv(kv_heads, at_once)
    _rope_kernel[(len(qkv), pieces)](
        qkv,
        *norms,
        *rotation,
        positions,
        owners,
        tables,
        queries,
        cache.keys,
        cache.values,
        cache.scales if cache.scales is not None else queries,
        eps,
        tables.shape[1],
        HEADS=heads,
        KV_HEADS=kv_heads,
        D=head_dim,
        D_PAD=triton.next_power_of_2(head_dim),
        BLOCK=BLOCK,
        HEADS_AT_ONCE=at_once,
        SCALED=cache.scales is not None,
        MAX=FP8_MAX,
        num_warps=1,
    )
    return queries


@triton.jit
def _silu_mul_kernel(gate_up, out, I: tl.constexpr, AT_ONCE: tl.constexpr):  # noqa: E741
    token = tl.program_id(0).to(tl.int64)
    i = tl.program_id(1) * AT_ONCE + tl.arange(0, AT_ONCE)
    gate = tl.load(gate_up + token * 2 * I + i, mask=i < I, other=0.0).to(tl.float32)
    up = tl.load(gate_up + token * 2 * I + I + i, mask=i < I, other=0.0).to(tl.float32)
    y = gate / (1.0 + tl.exp(-gate)) * up
    tl.store(out + token * I + i, y.to(out.dtype.element_ty), mask=i < I)


def silu_mul(gate_up: Tensor) -> Tensor:
    """silu(gate) * up of [T, 2 I], gate first -> [T, I]."""
    width = gate_up.shape[1] // 2
    out = gate_up.new_empty(len(gate_up), width)
    at_once = 1024  # 8 elements for each of 128 threads: one load of 16 bytes
    if len(out):
        _silu_mul_kernel[(len(out), triton.cdiv(width, at_once))](gate_up, out, I=width, AT_ONCE=at_once, num_warps=4)
    return out
