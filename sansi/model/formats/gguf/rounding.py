"""Weights rounded to the block types of GGUF: by C++ (`kernels/cpu/blocks.cpp`), or by the same search with torch.

The squared error is made small, each input's weighted by its importance where that is known. A group is fitted as in
`fitting.py`; of a block of the K types there are also turns of fitting what its groups share (d, dmin), and what each
has of its own (whole numbers of 6 or 8 bits).

Letters of shapes: M groups or blocks   J groups of a block   n values of a group
"""

from __future__ import annotations

import torch
from torch import Tensor

from sansi.base.errors import SansiError
from sansi.model.formats.fitting import Fit, error_of, fit_affine, fit_symmetric, inverse, levels_of
from sansi.model.formats.gguf import blocks
from sansi.model.formats.gguf.blocks import SUPER, BlockType
from sansi.model.formats.gguf.encoding import encode
from sansi.model.formats.gguf.values import PLAIN
from sansi.model.formats.parts import Parts
from sansi.model.kernels.cpu.blocks import RoundedBlocks, round_blocks

TURNS = 3
_TOP = {blocks.Q4_1: 15, blocks.Q5_1: 31, blocks.Q4_K: 15, blocks.Q5_K: 31}
_SPAN = {blocks.Q4_0: 8, blocks.Q5_0: 16, blocks.Q8_0: 127}
_INFINITE = float("inf")


def round_rows(rows: Tensor, kind: BlockType, importance: Tensor | None = None) -> RoundedBlocks:
    """Rows [N, K] as the bytes of a type.

    importance: [K], the weight of each input's squared error. Raises SansiError for a value that is not finite or too
    large for the type.
    """
    if kind in PLAIN:
        return _plain(rows, kind)
    try:
        found = round_blocks(rows, kind.number, kind.row_bytes(rows.shape[1]), importance)
    except ValueError as error:
        raise SansiError(f"{error}, and can not be rounded to {kind.name}; take BF16") from error
    return found or round_slowly(rows, kind, importance)


def round_slowly(rows: Tensor, kind: BlockType, importance: Tensor | None = None) -> RoundedBlocks:
    """The same with torch, for machines without the kernels."""
    x = rows.float()
    if not (x.abs() < 65504).all():
        raise SansiError(f"a weight is not finite, or above 65504, and can not be rounded to {kind.name}; take BF16")
    w = torch.ones(x.shape[1]) if importance is None else importance.float()
    w = w.expand_as(x)
    parts = (
        _six(x, w) if kind == blocks.Q6_K else _k_affine(x, w, kind) if kind.values == SUPER else _simple(x, w, kind)
    )
    missed = (x - parts.floats()).double().square().sum().item()
    return RoundedBlocks(encode(parts, kind), missed, x.double().square().sum().item())


def _plain(rows: Tensor, kind: BlockType) -> RoundedBlocks:
    stored = rows.to(PLAIN[kind]).contiguous()
    wide = rows.float()
    if not (stored.isfinite().all() and wide.isfinite().all()):
        raise SansiError(f"a weight is not finite, or too large for {kind.name}; take BF16 or F32")
    missed = (wide - stored.float()).double().square().sum().item()
    return RoundedBlocks(stored.view(torch.uint8), missed, wide.double().square().sum().item())


# ---- types -----------------------------------------------------------------------------------------------------------


def _half(values: Tensor) -> Tensor:
    return values.half().float()


def _simple(rows: Tensor, weights: Tensor, kind: BlockType) -> Parts:
    """Blocks of 32."""
    x, w = rows.reshape(-1, 32), weights.reshape(-1, 32)
    affine = kind in _TOP
    bottom, top = (0, _TOP[kind]) if affine else (-_SPAN[kind], _SPAN[kind] - (kind != blocks.Q8_0))
    largest = x.gather(-1, x.abs().argmax(-1, keepdim=True))
    best = Fit.none(largest)

    def offer(scale: Tensor, low: Tensor) -> None:
        best.offer(_half(scale), _half(low), error_of(x, w, _half(scale), _half(low), bottom, top))

    fitted = fit_affine(x, w, top, False) if affine else fit_symmetric(x, w, bottom, top)
    if affine:
        low = x.amin(-1, keepdim=True)
        offer((x.amax(-1, keepdim=True) - low) / top, low)
    else:
        signed = largest.abs() if kind == blocks.Q8_0 else -largest
        for share in (1.0, 0.94, 0.97, 1.03, 1.06, 1.1):
            offer(signed / (share * _SPAN[kind]), torch.zeros_like(largest))
    offer(fitted.scale, fitted.low)
    q = levels_of(x, best.scale, best.low, bottom, top).view_as(rows)
    d, low = (v.view(len(rows), -1).half() for v in (best.scale, best.low))
    return Parts(q.to(torch.uint8), d, dmin=-low) if affine else Parts(q.to(torch.int8), d)


def _k_affine(rows: Tensor, weights: Tensor, kind: BlockType) -> Parts:
    """Q4_K and Q5_K: blocks of eight groups of 32."""
    top, (x, w) = _TOP[kind], (v.reshape(-1, 8, 32) for v in (rows, weights))
    fit = fit_affine(x.flatten(0, 1), w.flatten(0, 1), top, True)
    scale, low = fit.scale.view(-1, 8, 1), fit.low.view(-1, 8, 1)
    d, dmin = (_half(v.amax(1, keepdim=True) / 63) for v in (scale, -low))
    best = [torch.zeros_like(v) for v in (d, dmin, scale, low)]
    least = torch.full_like(d, _INFINITE)
    for turn in range(TURNS):
        sc, m, error = _choose(x, w, d, dmin, scale, low, top, wide=turn == 0)
        total = error.sum(1, keepdim=True)
        better = total < least
        best = [torch.where(better, new, old) for new, old in zip((d, dmin, sc, m), best, strict=True)]
        least = torch.minimum(total, least)
        d, dmin = _refit(x, w, d, dmin, sc, m, top)
    d, dmin, sc, m = best
    q = levels_of(x, d * sc, -dmin * m, 0, top)
    n = len(rows)
    halves = [v.reshape(n, -1).half() for v in (d, dmin)]
    whole = [v.reshape(n, -1).to(torch.uint8) for v in (sc, m)]
    return Parts(q.reshape(n, -1).to(torch.uint8), halves[0], whole[0], halves[1], whole[1])


def _choose(
    x: Tensor, w: Tensor, d: Tensor, dmin: Tensor, scale: Tensor, low: Tensor, top: int, wide: bool
) -> tuple[Tensor, Tensor, Tensor]:
    """Whole numbers for each group, near scale / d and low / dmin, and the errors with them; [M, J, 1] each."""
    near_sc, near_m = (scale * inverse(d)).round(), (-low * inverse(dmin)).round()
    best = Fit.none(scale)
    for a in (-1, 0, 1):
        for b in (-1, 0, 1):
            if wide or not (a and b):
                sc, m = (near_sc + a).clamp(0, 63), (near_m + b).clamp(0, 63)
                best.offer(sc, m, error_of(x, w, d * sc, -dmin * m, 0, top))
    return best.scale, best.low, best.error


def _refit(x: Tensor, w: Tensor, d: Tensor, dmin: Tensor, sc: Tensor, m: Tensor, top: int) -> tuple[Tensor, Tensor]:
    """d and dmin [M, 1, 1] that fit the levels of all groups best."""
    a = sc * levels_of(x, d * sc, -dmin * m, 0, top)
    aa, am, mm, xa, xm = ((w * u * v).sum((1, 2), keepdim=True) for u, v in ((a, a), (a, m), (m, m), (x, a), (x, m)))
    det = aa * mm - am * am
    new_d, new_m = (xa * mm - xm * am) / det, (am * xa - aa * xm) / det
    both = (det > 1e-6 * aa * mm) & (new_m > 0) & (new_d > 0)
    alone = torch.where(aa > 0, xa / aa, d)
    return _half(torch.where(both, new_d, alone)), _half(torch.where(both, new_m, dmin))


def _six(rows: Tensor, weights: Tensor) -> Parts:
    """Q6_K: blocks of sixteen groups of 16."""
    x, w = (v.reshape(-1, 16, 16) for v in (rows, weights))
    scale = fit_symmetric(x.flatten(0, 1), w.flatten(0, 1), -32, 31).scale.view(-1, 16, 1)
    d = _half(scale.gather(1, scale.abs().argmax(1, keepdim=True)) / -128)
    best, least = [torch.zeros_like(d), torch.zeros_like(scale)], torch.full_like(d, _INFINITE)
    for _ in range(TURNS):
        found = Fit.none(scale)
        for a in (-1, 0, 1):
            sc = ((scale * inverse(d)).round() + a).clamp(-128, 127)
            found.offer(sc, sc * 0, error_of(x, w, d * sc, sc * 0, -32, 31))
        total = found.error.sum(1, keepdim=True)
        best = [torch.where(total < least, new, old) for new, old in zip((d, found.scale), best, strict=True)]
        least = torch.minimum(total, least)
        a_ = found.scale * levels_of(x, d * found.scale, 0.0, -32, 31)
        aa, xa = (w * a_ * a_).sum((1, 2), keepdim=True), (w * x * a_).sum((1, 2), keepdim=True)
        d = _half(torch.where(aa > 0, xa / aa, d))
    d, sc = best
    q, n = levels_of(x, d * sc, 0.0, -32, 31), len(rows)
    return Parts(q.reshape(n, -1).to(torch.int8), d.reshape(n, -1).half(), sc.reshape(n, -1).to(torch.int8))
