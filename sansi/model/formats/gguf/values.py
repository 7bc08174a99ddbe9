"""The blocks of a GGUF file as numbers.

Every quantised value is levels times scales, and where there are minima less a minimum: `parts` gives these as they
are, for kernels that compute with them; `floats` gives the values, float32 and exact.

Letters of shapes: N rows   K columns   B blocks of a row   S groups with a scale of their own
"""

from __future__ import annotations

import torch
from torch import Tensor

from sansi.model.formats.gguf import blocks
from sansi.model.formats.gguf.blocks import BlockType
from sansi.model.formats.parts import Parts

PLAIN = {blocks.F32: torch.float32, blocks.F16: torch.float16, blocks.BF16: torch.bfloat16}


def tensor_of(data: bytearray, kind: BlockType, rows: int, columns: int) -> Tensor:
    """[rows, columns] in the dtype of a type that is not quantised; else [rows, B, bytes of a block] uint8."""
    flat = torch.frombuffer(data, dtype=torch.uint8)
    if kind in PLAIN:
        return flat.view(PLAIN[kind]).view(rows, columns)
    return flat.view(rows, columns // kind.values, kind.nbytes)


def floats(data: bytearray, kind: BlockType, rows: int, columns: int) -> Tensor:
    """The values [rows, columns]: float32, or the dtype of a type that is not quantised."""
    stored = tensor_of(data, kind, rows, columns)
    return stored if kind in PLAIN else parts(stored, kind).floats()


def parts(stored: Tensor, kind: BlockType) -> Parts:
    """What blocks [N, B, bytes] hold."""
    return _READERS[kind](stored)


def _half(stored: Tensor, at: int) -> Tensor:
    """[N, B] float16 that stand at byte `at` of each block."""
    return stored[..., at : at + 2].contiguous().view(torch.float16).squeeze(-1)


def _nibbles(stored: Tensor) -> Tensor:
    """[N, B, 16] bytes -> [N, B, 32]: the low halves, then the high ones."""
    return torch.cat([stored & 15, stored >> 4], dim=-1)


def _fifth_bits(stored: Tensor) -> Tensor:
    """[N, B, 4] bytes -> [N, B, 32] of 0 and 16: the bits of a 32-bit word, lowest first."""
    bits = stored.unsqueeze(-1) >> torch.arange(8, dtype=torch.uint8)
    return ((bits & 1) << 4).flatten(-2)


def _q4_0(stored: Tensor) -> Parts:
    return Parts(_nibbles(stored[..., 2:]).to(torch.int8).sub_(8).flatten(1), _half(stored, 0))


def _q5_0(stored: Tensor) -> Parts:
    q = _nibbles(stored[..., 6:]) | _fifth_bits(stored[..., 2:6])
    return Parts(q.to(torch.int8).sub_(16).flatten(1), _half(stored, 0))


def _q8_0(stored: Tensor) -> Parts:
    return Parts(stored[..., 2:].contiguous().view(torch.int8).flatten(1), _half(stored, 0))


def _q4_1(stored: Tensor) -> Parts:
    return Parts(_nibbles(stored[..., 4:]).flatten(1), _half(stored, 0), dmin=-_half(stored, 2))


def _q5_1(stored: Tensor) -> Parts:
    q = _nibbles(stored[..., 8:]) | _fifth_bits(stored[..., 4:8])
    return Parts(q.flatten(1), _half(stored, 0), dmin=-_half(stored, 2))


def _six_bits(packed: Tensor) -> tuple[Tensor, Tensor]:
    """Scales and minima [N, B, 8] uint8 of the 12 bytes that hold them, six bits each.

    The first four of either stand in the low six bits of four bytes; of the last four the low halves share a byte, and
    their two high bits are those of the first ones' bytes.
    """
    first, second, low = packed[..., :4], packed[..., 4:8], packed[..., 8:]
    sc = torch.cat([first & 63, low & 15 | first >> 6 << 4], dim=-1)
    return sc, torch.cat([second & 63, low >> 4 | second >> 6 << 4], dim=-1)


def _q4_k(stored: Tensor) -> Parts:
    sc, m = _six_bits(stored[..., 4:16])
    q = _nibbles(stored[..., 16:].unflatten(-1, (4, 32)))  # a chunk of 64 values has its first 32 in the low halves
    return Parts(q.flatten(1), _half(stored, 0), sc.flatten(1), _half(stored, 2), m.flatten(1))


def _q5_k(stored: Tensor) -> Parts:
    sc, m = _six_bits(stored[..., 4:16])
    low = _nibbles(stored[..., 48:].unflatten(-1, (4, 32))).unflatten(-1, (2, 32)).flatten(-3, -2)  # [N, B, 8, 32]
    bits = stored[..., 16:48].unsqueeze(-2) >> torch.arange(8, dtype=torch.uint8).unsqueeze(-1)  # bit j: group j
    q = low | (bits & 1) << 4
    return Parts(q.flatten(1), _half(stored, 0), sc.flatten(1), _half(stored, 2), m.flatten(1))


def _q6_k(stored: Tensor) -> Parts:
    low = _nibbles(stored[..., :128].unflatten(-1, (2, 64)))  # [N, B, 2, 128]: each half of 128 values by itself
    high = stored[..., 128:192].unflatten(-1, (2, 1, 32)) >> torch.tensor([0, 2, 4, 6], dtype=torch.uint8).unsqueeze(-1)
    q = low | ((high & 3) << 4).flatten(-2)
    sc = stored[..., 192:208].contiguous().view(torch.int8)
    return Parts(q.to(torch.int8).sub_(32).flatten(1), _half(stored, 208), sc.flatten(1))


_READERS = {
    **{blocks.Q4_0: _q4_0, blocks.Q4_1: _q4_1, blocks.Q5_0: _q5_0, blocks.Q5_1: _q5_1, blocks.Q8_0: _q8_0},
    **{blocks.Q4_K: _q4_k, blocks.Q5_K: _q5_k, blocks.Q6_K: _q6_k},
}
