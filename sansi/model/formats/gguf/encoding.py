"""Levels, scales and minima as the blocks of a GGUF file: the other way round from `values.parts`."""

from __future__ import annotations

import torch
from torch import Tensor

from sansi.model.formats.gguf import blocks
from sansi.model.formats.gguf.blocks import BlockType
from sansi.model.formats.parts import Parts


def encode(parts: Parts, kind: BlockType) -> Tensor:
    """[N, bytes of a row] uint8."""
    count = parts.d.shape[1]
    q = parts.q.unflatten(1, (count, -1))
    pieces = _WRITERS[kind](parts, q)
    return torch.cat(pieces, dim=-1).flatten(1)


def _half(values: Tensor) -> Tensor:
    """[N, B] float16 -> [N, B, 2] bytes."""
    return values.contiguous().view(torch.uint8).unflatten(-1, (-1, 2))


def _nibbles(q: Tensor) -> Tensor:
    """[N, B, 32] -> [N, B, 16]: the first 16 in the low halves."""
    low, high = (q & 15).chunk(2, dim=-1)
    return low | high << 4


def _fifth_bits(q: Tensor) -> Tensor:
    """[N, B, 32] -> [N, B, 4]: the fifth bit of each, lowest first."""
    bits = (q >> 4 & 1).unflatten(-1, (4, 8)) << torch.arange(8, dtype=torch.uint8)
    return bits.sum(-1, dtype=torch.uint8)


def _q4_0(p: Parts, q: Tensor) -> list[Tensor]:
    return [_half(p.d), _nibbles((q + 8).to(torch.uint8))]


def _q5_0(p: Parts, q: Tensor) -> list[Tensor]:
    raised = (q + 16).to(torch.uint8)
    return [_half(p.d), _fifth_bits(raised), _nibbles(raised)]


def _q8_0(p: Parts, q: Tensor) -> list[Tensor]:
    return [_half(p.d), q.contiguous().view(torch.uint8)]


def _minimum(p: Parts) -> Tensor:
    assert p.dmin is not None
    return _half(-p.dmin)


def _q4_1(p: Parts, q: Tensor) -> list[Tensor]:
    return [_half(p.d), _minimum(p), _nibbles(q)]


def _q5_1(p: Parts, q: Tensor) -> list[Tensor]:
    return [_half(p.d), _minimum(p), _fifth_bits(q), _nibbles(q)]


def _heads(p: Parts) -> list[Tensor]:
    """d, dmin, and eight scales and minima of six bits in twelve bytes."""
    assert p.sc is not None and p.m is not None and p.dmin is not None
    sc, m = (v.unflatten(1, (-1, 8)) for v in (p.sc, p.m))
    first = [v[..., :4] | v[..., 4:] >> 4 << 6 for v in (sc, m)]
    return [_half(p.d), _half(p.dmin), *first, sc[..., 4:] & 15 | (m[..., 4:] & 15) << 4]


def _chunks(q: Tensor) -> Tensor:
    """[N, B, 256] -> [N, B, 128]: of each 64 the first 32 in the low halves."""
    return _nibbles(q.unflatten(-1, (4, 64))).flatten(-2)


def _q4_k(p: Parts, q: Tensor) -> list[Tensor]:
    return [*_heads(p), _chunks(q)]


def _q5_k(p: Parts, q: Tensor) -> list[Tensor]:
    groups = torch.arange(8, dtype=torch.uint8).unsqueeze(-1)
    fifth = ((q >> 4 & 1).unflatten(-1, (8, 32)) << groups).sum(-2, dtype=torch.uint8)
    return [*_heads(p), fifth, _chunks(q)]


def _q6_k(p: Parts, q: Tensor) -> list[Tensor]:
    assert p.sc is not None
    a, b, c, d = (q + 32).to(torch.uint8).unflatten(-1, (2, 4, 32)).unbind(-2)
    low = torch.cat([a & 15 | (c & 15) << 4, b & 15 | (d & 15) << 4], dim=-1)
    high = a >> 4 | b >> 4 << 2 | c >> 4 << 4 | d >> 4 << 6
    sc = p.sc.contiguous().view(torch.uint8).unflatten(1, (-1, 16))
    return [low.flatten(-2), high.flatten(-2), sc, _half(p.d)]


_WRITERS = {
    **{blocks.Q4_0: _q4_0, blocks.Q4_1: _q4_1, blocks.Q5_0: _q5_0, blocks.Q5_1: _q5_1, blocks.Q8_0: _q8_0},
    **{blocks.Q4_K: _q4_k, blocks.Q5_K: _q5_k, blocks.Q6_K: _q6_k},
}
