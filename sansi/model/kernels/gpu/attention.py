"""Attention over the paged cache: split over the context for single tokens, by tiles of queries for chunks of prompts.

Letters of shapes:

    T new tokens   N sequences   M tokens that are attended one by one   H query heads   K key/value heads   G = H / K
    D head size   W width of the block tables   P parts of the longest context   B blocks   BLOCK = 16 positions

Keys and values of a layer are [B, K, BLOCK, D]: the 16 positions of a block and head lie together, 4 KiB at D = 128 in
bfloat16, so a tile that gathers whole blocks still reads long runs. The query heads of a group share each key that is
read: as rows of one matrix product. The softmax runs along (Milakov & Gimelshein 2018, arXiv:1805.02867), to base 2.
Positions beyond a sequence's context are never read, so what a block holds there (even NaN) reaches no result.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
import triton
import triton.language as tl
from torch import Tensor

BLOCK = 16

PARTITION = 256
"""Positions that one program of the split kernel attends to. At batch 1, 8 key heads and a context of 4,096 that makes
128 programs, as many as an H100 has multiprocessors; what a part writes (G * (D + 2) floats) stays below 2% of what it
reads. Fixed, so that a token's sum is cut the same way in any company."""

PARTS_AT_ONCE = 16  # rows of the merge's tile: 16 * 128 floats are 16 registers for each of 128 threads


@dataclass(frozen=True)
class Cache:
    """One layer of the cache."""

    keys: Tensor
    """[B, K, BLOCK, D]."""
    values: Tensor
    """[B, K, BLOCK, D]."""
    scales: Tensor | None = None
    """[2, K] float32 where keys and values are fp8: what is stored times its scale is meant; keys first."""


@triton.jit
def _attend_tile(
    q,
    state,
    keys,
    values,
    table,
    start,
    end,
    row_positions,
    head,
    scale,
    KV_HEADS: tl.constexpr,
    D: tl.constexpr,
    D_PAD: tl.constexpr,
    BLOCK: tl.constexpr,
    TILE: tl.constexpr,
    BOUNDED: tl.constexpr,
    CAUSAL: tl.constexpr,
):
    """The state of the softmax after positions start … start + TILE, those below `end` if BOUNDED."""
    largest, total, weighted = state
    at = start + tl.arange(0, TILE)
    d = tl.arange(0, D_PAD)
    inside = at < end if BOUNDED else at >= 0
    block = tl.load(table + at // BLOCK, mask=inside, other=0).to(tl.int64)  # a cache may have over 2**31 elements
    row = (block * KV_HEADS + head) * BLOCK + at % BLOCK
    k = tl.load(keys + row[None, :] * D + d[:, None], mask=inside[None, :] & (d < D)[:, None], other=0.0)
    scores = tl.dot(q, k.to(q.dtype), input_precision="ieee") * scale
    if BOUNDED:
        seen = inside[None, :] & (at[None, :] <= row_positions[:, None]) if CAUSAL else inside[None, :]
        scores = tl.where(seen, scores, -float("inf"))
    # The first tile holds a visible key for every row, so the maximum is finite from then on.
    new_largest = tl.maximum(largest, tl.max(scores, 1))
    shrink = tl.exp2(largest - new_largest)
    p = tl.exp2(scores - new_largest[:, None])
    v = tl.load(values + row[:, None] * D + d[None, :], mask=inside[:, None] & (d < D)[None, :], other=0.0)
    v = v.to(q.dtype)
    weighted = weighted * shrink[:, None] + tl.dot(p.to(q.dtype), v, input_precision="ieee")
    return new_largest, total * shrink + tl.sum(p, 1), weighted


@triton.jit
def _scale_of(scales, kv_heads: tl.constexpr, which: tl.constexpr, head, SCALED: tl.constexpr):
    if SCALED:
        return tl.load(scales + which * kv_heads + head)
    return 1.0


@triton.jit(do_not_specialize=["parts"])
def _split_kernel(
    queries,  # [T, H, D]
    keys,
    values,
    scales,
    tables,  # [N, W]
    positions,  # [T]; negative: padding, whose result is zero
    owners,  # [T] the sequence of each token
    tokens,  # [M]
    out,  # [T, H, D]
    partial,  # [M, H, P, D] float32
    states,  # [M, H, P, 2] float32: largest score, sum
    softmax_scale,
    table_width,
    parts,
    HEADS: tl.constexpr,
    KV_HEADS: tl.constexpr,
    D: tl.constexpr,
    D_PAD: tl.constexpr,
    GROUP_PAD: tl.constexpr,
    BLOCK: tl.constexpr,
    PARTITION: tl.constexpr,
    TILE: tl.constexpr,
    SINGLE: tl.constexpr,
    SCALED: tl.constexpr,
):
    entry, head, part = tl.program_id(0), tl.program_id(1), tl.program_id(2)
    token = tl.load(tokens + entry)
    context = tl.load(positions + token) + 1
    first = part * PARTITION
    if not SINGLE:  # noqa: SIM102  (settled when compiling, the next when running)
        if first >= context:
            return
    group: tl.constexpr = HEADS // KV_HEADS
    g = tl.arange(0, GROUP_PAD)
    d = tl.arange(0, D_PAD)
    query_heads = head * group + g
    real = (g < group)[:, None] & (d < D)[None, :]
    q = tl.load(queries + (token * HEADS + query_heads)[:, None] * D + d[None, :], mask=real, other=0.0)
    scale = softmax_scale * _scale_of(scales, KV_HEADS, 0, head, SCALED)
    table = tables + tl.load(owners + token).to(tl.int64) * table_width
    largest = tl.full((GROUP_PAD,), -float("inf"), tl.float32)
    total = tl.zeros((GROUP_PAD,), tl.float32)
    weighted = tl.zeros((GROUP_PAD, D_PAD), tl.float32)
    end = tl.minimum(first + PARTITION, context)
    for start in range(first, end, TILE):
        largest, total, weighted = _attend_tile(
            q, (largest, total, weighted), keys, values, table, start, end, g, head, scale,
            KV_HEADS, D, D_PAD, BLOCK, TILE, True, False,
        )  # fmt: skip
    weighted *= _scale_of(scales, KV_HEADS, 1, head, SCALED)
    if SINGLE:
        weighted = weighted / tl.where(total > 0, total, 1.0)[:, None]
        at = (token * HEADS + query_heads)[:, None] * D + d[None, :]
        tl.store(out + at, weighted.to(out.dtype.element_ty), mask=real)
    else:
        place = (entry.to(tl.int64) * HEADS + query_heads) * parts + part
        tl.store(partial + place[:, None] * D + d[None, :], weighted, mask=real)
        tl.store(states + place * 2, largest, mask=g < group)
        tl.store(states + place * 2 + 1, total, mask=g < group)


@triton.jit(do_not_specialize=["parts"])
def _merge_kernel(
    partial,
    states,
    positions,
    tokens,
    out,
    parts,
    HEADS: tl.constexpr,
    D: tl.constexpr,
    D_PAD: tl.constexpr,
    PARTITION: tl.constexpr,
    AT_ONCE: tl.constexpr,
):
    """One head of one token from its parts, in the order of the context, AT_ONCE parts at a time."""
    entry, head = tl.program_id(0), tl.program_id(1)
    token = tl.load(tokens + entry)
    used = tl.cdiv(tl.load(positions + token) + 1, PARTITION)
    base = (entry.to(tl.int64) * HEADS + head) * parts
    p = tl.arange(0, AT_ONCE)
    d = tl.arange(0, D_PAD)
    largest = -float("inf")
    total = 0.0
    weighted = tl.zeros((D_PAD,), tl.float32)
    for first in range(0, used, AT_ONCE):
        there = first + p < used
        place = base + first + p
        maxima = tl.load(states + place * 2, mask=there, other=-float("inf"))
        sums = tl.load(states + place * 2 + 1, mask=there, other=0.0)
        rows = tl.load(partial + place[:, None] * D + d[None, :], mask=there[:, None] & (d < D)[None, :], other=0.0)
        new_largest = tl.maximum(largest, tl.max(maxima, 0))
        shrink = tl.exp2(largest - new_largest)
        weight = tl.exp2(maxima - new_largest)
        total = total * shrink + tl.sum(sums * weight, 0)
        weighted = weighted * shrink + tl.sum(rows * weight[:, None], 0)
        largest = new_largest
    weighted = weighted / tl.where(total > 0, total, 1.0)
    tl.store(out + (token * HEADS + head) * D + d, weighted.to(out.dtype.element_ty), mask=d < D)


@triton.jit
def _chunk_kernel(
    queries,  # [T, H, D]
    keys,
    values,
    scales,
    tables,  # [N, W]
    starts,  # [N+1]
    context,  # [N]
    tile_sequences,  # [tiles]
    tile_tokens,  # [tiles] first of the T tokens
    out,  # [T, H, D]
    softmax_scale,
    table_width,
    HEADS: tl.constexpr,
    KV_HEADS: tl.constexpr,
    D: tl.constexpr,
    D_PAD: tl.constexpr,
    BLOCK: tl.constexpr,
    ROWS: tl.constexpr,
    TILE: tl.constexpr,
    SCALED: tl.constexpr,
):
    tile, head = tl.program_id(0), tl.program_id(1)
    group: tl.constexpr = HEADS // KV_HEADS
    span: tl.constexpr = ROWS // group  # tokens of a tile; where G does not divide ROWS, some rows idle
    sequence = tl.load(tile_sequences + tile)
    first_token = tl.load(tile_tokens + tile)
    end_token = tl.load(starts + sequence + 1)
    offset = tl.load(context + sequence) - end_token  # token t of the batch is at position t + offset
    row = tl.arange(0, ROWS)
    d = tl.arange(0, D_PAD)
    token = first_token + row // group
    real = ((row < span * group) & (token < end_token))[:, None] & (d < D)[None, :]
    at = (token * HEADS + head * group + row % group)[:, None].to(tl.int64) * D + d[None, :]
    q = tl.load(queries + at, mask=real, other=0.0)
    scale = softmax_scale * _scale_of(scales, KV_HEADS, 0, head, SCALED)
    table = tables + sequence.to(tl.int64) * table_width
    positions = token + offset
    end = tl.minimum(first_token + span, end_token) + offset
    clear = (first_token + offset + 1) // TILE * TILE  # below it every row sees every key: no mask
    largest = tl.full((ROWS,), -float("inf"), tl.float32)
    total = tl.zeros((ROWS,), tl.float32)
    weighted = tl.zeros((ROWS, D_PAD), tl.float32)
    for start in range(0, clear, TILE):
        largest, total, weighted = _attend_tile(
            q, (largest, total, weighted), keys, values, table, start, end, positions, head, scale,
            KV_HEADS, D, D_PAD, BLOCK, TILE, False, True,
        )  # fmt: skip
    for start in range(clear, end, TILE):
        largest, total, weighted = _attend_tile(
            q, (largest, total, weighted), keys, values, table, start, end, positions, head, scale,
            KV_HEADS, D, D_PAD, BLOCK, TILE, True, True,
        )  # fmt: skip
    weighted = weighted * _scale_of(scales, KV_HEADS, 1, head, SCALED) / total[:, None]
    tl.store(out + at, weighted.to(out.dtype.element_ty), mask=real)


def attend_singles(
    queries: Tensor,
    cache: Cache,
    tables: Tensor,
    positions: Tensor,
    owners: Tensor,
    tokens: Tensor,
    parts: int,
    out: Tensor,
    tile: int = 64,
    partition: int = PARTITION,
) -> None:
    """Each of `tokens` [M] attends by itself to all positions up to its own; rows `tokens` of out [T, H, D] are filled.

    queries [T, H, D]; tables [N, W], positions [T] (negative: padding, whose result is zero), owners [T] (the
    sequence of each token), all int32. parts: at least the number of partitions of the longest context, since the host
    does not look at the positions; more costs only programs that end at once.
    """
    heads, kv_heads, head_dim = queries.shape[1], cache.keys.shape[1], queries.shape[2]
    entries = len(tokens)
    single = parts == 1
    partial = states = out
    if not single:
        partial = torch.empty(entries, heads, parts, head_dim, dtype=torch.float32, device=out.device)
        states = torch.empty(entries, heads, parts, 2, dtype=torch.float32, device=out.device)
    # TILE 64: a program has one tile, 32 KiB of keys and values in bfloat16 at D = 128, under way while it computes on
    # another. The compiler gives 96 to 128 registers a thread and 39 KiB of shared memory, so four or five programs
    # share a multiprocessor: over 120 KiB under way, where latency times bandwidth asks for about 25.
    # Products of 16 rows are the smallest of the tensor cores; most rows are empty, which costs nothing here: a key
    # that is read once per group is all the traffic there is.
    half = queries.element_size() == 2
    _split_kernel[(entries, kv_heads, parts)](
        queries,
        cache.keys,
        cache.values,
        cache.scales if cache.scales is not None else queries,
        tables,
        positions,
        owners,
        tokens,
        out,
        partial,
        states,
        _softmax_scale(head_dim),
        tables.shape[1],
        parts,
        HEADS=heads,
        KV_HEADS=kv_heads,
        D=head_dim,
        D_PAD=_padded(head_dim),
        GROUP_PAD=_padded(heads // kv_heads),
        BLOCK=BLOCK,
        PARTITION=partition,
        TILE=min(tile if half else 32, partition),
        SINGLE=single,
        SCALED=cache.scales is not None,
        num_warps=4 if half else 8,
        num_stages=3 if half else 2,
    )
    if not single:
        _merge_kernel[(entries, heads)](
            partial,
            states,
            positions,
            tokens,
            out,
            parts,
            HEADS=heads,
            D=head_dim,
            D_PAD=_padded(head_dim),
            PARTITION=partition,
            AT_ONCE=PARTS_AT_ONCE,
            num_warps=4,
        )


def chunk_span(heads: int, kv_heads: int, element_size: int) -> int:
    """Tokens of one tile of `attend_chunks`; the host lays out the tiles."""
    return _chunk_rows(heads // kv_heads, element_size) // (heads // kv_heads)


def attend_chunks(
    queries: Tensor,
    cache: Cache,
    tables: Tensor,
    starts: Tensor,
    context: Tensor,
    tile_sequences: Tensor,
    tile_tokens: Tensor,
    out: Tensor,
) -> None:
    """Causal attention of sequences with several new tokens, whose rows of out [T, H, D] are filled.

    tables [N, W], starts [N+1], context [N] as in the engine's batch, int32 on the device. Tile i holds the tokens from
    tile_tokens[i] on, up to `chunk_span` of them, of sequence tile_sequences[i].
    """
    heads, kv_heads, head_dim = queries.shape[1], cache.keys.shape[1], queries.shape[2]
    half = queries.element_size() == 2
    # 128 rows and 8 warps: two warpgroups with wgmma of 64 rows each, 64 sums a thread at D = 128 (187 registers in
    # all, no spill: one program a multiprocessor), and each key read serves 128 / G tokens. Three stages of 64 keys
    # keep two in flight: 97 KiB of shared memory with the queries. float32, never fast here, takes a fourth of rows.
    _chunk_kernel[(len(tile_tokens), kv_heads)](
        queries,
        cache.keys,
        cache.values,
        cache.scales if cache.scales is not None else queries,
        tables,
        starts,
        context,
        tile_sequences,
        tile_tokens,
        out,
        _softmax_scale(head_dim),
        tables.shape[1],
        HEADS=heads,
        KV_HEADS=kv_heads,
        D=head_dim,
        D_PAD=_padded(head_dim),
        BLOCK=BLOCK,
        ROWS=_chunk_rows(heads // kv_heads, queries.element_size()),
        TILE=64 if half else 32,
        SCALED=cache.scales is not None,
        num_warps=8,
        num_stages=3 if half else 2,
    )


def _chunk_rows(group: int, element_size: int) -> int:
    return max(128 if element_size == 2 else 32, triton.next_power_of_2(group))


def _padded(size: int) -> int:
    """A width that tiles and tensor cores take."""
    return max(16, triton.next_power_of_2(size))


def _softmax_scale(head_dim: int) -> float:
    return math.log2(math.e) / math.sqrt(head_dim)
