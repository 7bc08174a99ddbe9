"""Mixture of experts without waiting for the router: sort the visits by expert, then one grouped product for all.

Letters of shapes:

    T tokens   A experts per token   V = T * A visits   E experts   C hidden size   I expert width   O outputs
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
import triton
import triton.language as tl
from torch import Tensor

from sansi.model.kernels.gpu.fused import silu_mul


@triton.jit
def _grouped_kernel(
    x,  # [R, C]
    rows,  # [V] the row of x of each visit, visits sorted by expert
    weight,  # [E, O, C]
    counts,  # [E] visits of each expert
    out,  # [V, O]
    E: tl.constexpr,
    E_PAD: tl.constexpr,
    O: tl.constexpr,  # noqa: E741
    C: tl.constexpr,
    TILE_V: tl.constexpr,
    TILE_O: tl.constexpr,
    TILE_C: tl.constexpr,
):
    """Tile number `tile` of the visits, none of which holds two experts; every program finds its own by the counts."""
    column, tile = tl.program_id(0), tl.program_id(1)
    e = tl.arange(0, E_PAD)
    count = tl.load(counts + e, mask=e < E, other=0).to(tl.int32)
    tiles = tl.cdiv(count, TILE_V)
    expert = tl.sum((tl.cumsum(tiles, 0) <= tile).to(tl.int32), 0)
    if expert >= E_PAD:  # the grid is for the worst case
        return
    before = e < expert
    within = (tile - tl.sum(tl.where(before, tiles, 0), 0)) * TILE_V + tl.arange(0, TILE_V)
    visit = tl.sum(tl.where(before, count, 0), 0) + within
    real = within < tl.sum(tl.where(e == expert, count, 0), 0)
    o = column * TILE_O + tl.arange(0, TILE_O)
    c = tl.arange(0, TILE_C)
    row = tl.load(rows + visit, mask=real, other=0).to(tl.int64)
    own = weight + expert.to(tl.int64) * O * C
    total = tl.zeros((TILE_V, TILE_O), tl.float32)
    for first in range(0, C, TILE_C):
        at = first + c
        a = tl.load(x + row[:, None] * C + at[None, :], mask=real[:, None] & (at < C)[None, :], other=0.0)
        b = tl.load(own + o[None, :] * C + at[:, None], mask=(o < O)[None, :] & (at < C)[:, None], other=0.0)
        total = tl.dot(a, b, total, input_precision="ieee")
    place = out + visit[:, None].to(tl.int64) * O + o[None, :]
    tl.store(place, total.to(out.dtype.element_ty), mask=real[:, None] & (o < O)[None, :])


def grouped_linear(x: Tensor, rows: Tensor, weight: Tensor, counts: Tensor) -> Tensor:
    """Row rows[v] of x [R, C] times weight[e].T for visit v -> [V, O].

    weight [E, O, C]. rows [V]: sorted by expert, the next counts[e] [E] of them are those of expert e. By torch's own
    kernel where the device has one that never waits for the counts.
    """
    if _torch_can(x, weight):
        return F.grouped_mm(x[rows], weight.transpose(1, 2), offs=counts.cumsum(0).to(torch.int32))
    experts, outputs, inputs = weight.shape
    visits = len(rows)
    out = x.new_empty(visits, outputs)
    half = x.element_size() == 2
    # Few visits (decoding): 16 rows, the least a tensor core takes, since weights are all the traffic. Many: 64 rows
    # reuse each weight 64 times, above which the experts' last tiles are mostly empty. Counts in visits per expert.
    tile_v = 16 if visits <= 32 * experts else 64
    tile_o = 64  # 768 and 1536, the published widths, are multiples; 16 x 64 sums are 8 registers a thread
    _grouped_kernel[(triton.cdiv(outputs, tile_o), triton.cdiv(visits, tile_v) + min(experts, visits))](
        x,
        rows,
        weight,
        counts,
        out,
        E=experts,
        E_PAD=triton.next_power_of_2(experts),
        O=outputs,
        C=inputs,
        TILE_V=tile_v,
        TILE_O=tile_o,
        TILE_C=64 if half else 32,  # 128 bytes of each row: whole sectors, 8 KiB of weights a stage
        num_warps=4,
        num_stages=3,
    )
    return out


def _torch_can(x: Tensor, weight: Tensor) -> bool:
    """torch's grouped product is one kernel for bfloat16 from Hopper on, rows being multiples of 16 bytes."""
    if x.device.type != "cuda" or x.dtype != torch.bfloat16 or torch.version.hip:
        return False
    aligned = weight.shape[1] % 8 == 0 and weight.shape[2] % 8 == 0
    return aligned and torch.cuda.get_device_capability(x.device) >= (9, 0)


def sparse_mlp(x: Tensor, router: Tensor, gate_up: Tensor, down: Tensor, active: int, normalise: bool) -> Tensor:
    """A sparse layer: x [T, C], router [E, C], gate_up [E, 2 I, C], down [E, C, I] -> [T, C].

    Softmax over all experts in float32, then the `active` largest; `normalise` scales their weights to sum to 1.
    """
    weights, chosen = F.linear(x, router).float().softmax(-1).topk(active, dim=-1)  # [T, A]
    if normalise:
        weights = weights / weights.sum(-1, keepdim=True)
    visited = chosen.flatten()
    order = visited.argsort(stable=True)  # visits by expert
    counts = torch.zeros(len(router), dtype=torch.int32, device=x.device)
    counts.scatter_add_(0, visited, torch.ones_like(visited, dtype=torch.int32))
    hidden = silu_mul(grouped_linear(x, order // active, gate_up, counts))
    visits = grouped_linear(hidden, torch.arange(len(order), device=x.device), down, counts)  # [V, C]
    # Back in the order of the tokens, summed in a fixed order: the same result on every run.
    each = visits[order.argsort()].view(len(x), active, -1)
    return (each * weights.to(x.dtype)[..., None]).sum(1)
