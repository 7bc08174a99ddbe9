"""Kernels written by hand for what torch's operators do slowly, one folder per kind of device; and the packed form of
weights that the CPU's kernels read (layouts: cpu/gemm.h).

Letters of shapes: N outputs   K inputs   P panels of 16 outputs, the last one filled with zeros   G groups of 32 inputs
"""

from __future__ import annotations

import mmap
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from sansi.base.errors import SansiError

PANEL = 16
"""Outputs that lie side by side in a packed weight."""
GROUP = 32
"""Inputs that share one scale in a quantised weight."""
SUPER = 256
"""Inputs of an int6 weight that share one fp16 scale."""
SPANS = {"int4a": 8, "int4a/4": 4, "int4a/2": 2, "int4a/1": 1, "int5a": 8, "int5a/1": 1}
"""Of the kinds with minima: how many groups share fp16 factors of their scales and minima."""
KINDS = {
    **{"fp32": 0, "bf16": 1, "int8": 2, "int4": 3},
    **{kind: {"int4a": 4, "int5a": 5}[kind[:5]] | span << 8 for kind, span in SPANS.items()},
    "int6": 6,
    "fp16": 7,
}
"""Names of the packed forms and their numbers in cpu/gemm.h."""
FLOATS = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}
"""Those that are not quantised."""
LEVELS = {"int8": 127, "int4": 8}
"""Largest magnitude of a quantised weight: int8 has -127..127, int4 -8..7."""
DIVISORS = {"int8": (120.0, 124.0, 130.0, 135.0), "int4": (7.0, 7.5, 8.5, 9.0)}
"""A group's scale is its largest magnitude over one of these, or over LEVELS: of normal weights, the search among them
and a fit take 10% off the squared error of int4 and 12% off int8's, for five times the work."""


@dataclass(frozen=True)
class PackedWeight:
    """A weight [N, K] as the CPU's kernels read it."""

    kind: str
    """A key of KINDS."""
    rows: int
    """N."""
    columns: int
    """K."""
    data: Tensor
    """[bytes] uint8, aligned to 64 bytes."""
    scales: Tensor
    """[P, G, 16] float16 for int8 and int4; of other quantised kinds [P, bytes] uint8; else empty."""

    @property
    def nbytes(self) -> int:
        return self.data.nbytes + self.scales.nbytes

    @classmethod
    def zeros(cls, kind: str, rows: int, columns: int, arena: Arena | None = None) -> PackedWeight:
        """Room for a packed weight, filled with zero bytes."""
        check_columns(kind, columns)
        arena = arena or Arena()
        panels = -(-rows // PANEL)
        scales = arena.take(panels * panel_scales(kind, columns))
        if kind in LEVELS:
            scales = scales.view(torch.float16).view(panels, columns // GROUP, PANEL)
        else:
            scales = scales.view(torch.float16) if kind in FLOATS else scales.view(panels, -1)
        return cls(kind, rows, columns, arena.take(panels * panel_bytes(kind, columns)), scales)


def check_columns(kind: str, columns: int) -> None:
    """Raise SansiError for a number of inputs that a quantised kind can not have."""
    step = 1 if kind in FLOATS else SUPER if kind == "int6" else GROUP * SPANS.get(kind, 1)
    if columns % step:
        raise SansiError(f"{kind} weights need a multiple of {step} inputs, not {columns}; use bf16 or fp32")


def panel_bytes(kind: str, columns: int) -> int:
    """Of the data of 16 outputs."""
    if kind in FLOATS:
        return {"fp32": 64 * columns, "bf16": 64 * ((columns + 1) // 2), "fp16": 32 * columns}[kind]  # bf16 is in pairs
    return PANEL * columns * {"int8": 8, "int4": 4, "int4a": 4, "int5a": 5, "int6": 6}[kind[:5]] // 8


def panel_scales(kind: str, columns: int) -> int:
    """Bytes of the scales of 16 outputs; 0 for floats."""
    if kind in FLOATS:
        return 0
    shared = columns // GROUP // SPANS[kind] * 4 if kind in SPANS else columns // SUPER * 2 if kind == "int6" else 0
    return (shared + columns // GROUP * 2) * PANEL


class Arena:
    """Memory for packed weights, in huge pages where the system grants them.

    Reading weights is what decoding waits for, and 2 MiB pages are read up to 1.7 times as fast as 4 KiB pages:
    fewer addresses to translate, and the processor's prefetcher stops at the end of a page. Memory that nothing was
    written to costs nothing; all of it is freed with the last tensor.
    """

    SLAB = 64 << 20
    PAGE = 2 << 20
    ALIGNMENT = 64

    def __init__(self) -> None:
        self._rest = torch.empty(0, dtype=torch.uint8)  # of the latest slab

    def take(self, nbytes: int) -> Tensor:
        """[nbytes] uint8 zeros, aligned to 64 bytes."""
        if nbytes > len(self._rest):
            self._rest = self._slab(nbytes)
        taken = self._rest[:nbytes]
        self._rest = self._rest[-(-nbytes // self.ALIGNMENT) * self.ALIGNMENT :]
        return taken

    def _slab(self, nbytes: int) -> Tensor:
        size = -(-max(nbytes, self.SLAB) // self.PAGE) * self.PAGE
        if not hasattr(mmap, "MADV_HUGEPAGE"):  # not Linux
            return torch.zeros(size, dtype=torch.uint8)
        # Private: shared anonymous memory, Python's default, gets small pages.
        memory = mmap.mmap(-1, size + self.PAGE, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
        memory.madvise(mmap.MADV_HUGEPAGE)
        slab = torch.frombuffer(memory, dtype=torch.uint8)
        return slab[-slab.data_ptr() % self.PAGE :][:size]


def pack(weight: Tensor, kind: str, search: bool = True) -> PackedWeight:
    """A weight [N, K] in the form `kind`; int8 and int4 round as `round_to_levels` does.

    Raises SansiError for int8 and int4 where K is no multiple of 32, or where a weight is not finite or too large for
    an fp16 scale.
    """
    if kind in LEVELS:
        q, scales = round_to_levels(weight, kind, search)
        return pack_levels(q, scales, kind)
    n, k = weight.shape
    if kind != "bf16":
        data = _panels(weight.to(FLOATS[kind])).transpose(1, 2)  # [P, 16, K] -> [P, K, 16]
    else:
        pairs = _panels(F.pad(weight.to(torch.bfloat16), (0, k % 2)))
        data = pairs.unflatten(2, (-1, 2)).transpose(1, 2)  # [P, 16, K/2, 2] -> [P, K/2, 16, 2]
    return PackedWeight(kind, n, k, _aligned(data), torch.empty(0, dtype=torch.float16))


def round_to_levels(weight: Tensor, kind: str, search: bool = True) -> tuple[Tensor, Tensor]:
    """Levels q [N, K] int8 and scales [N, G] float16 with weight ≈ q * scale.

    search: try each of DIVISORS and one least-squares fit per group, and keep the scale with the smallest squared
    error; without it the largest magnitude of a group lands on the last level. Raises SansiError as `pack`.
    """
    check_columns(kind, weight.shape[1])
    groups = weight.float().unflatten(1, (-1, GROUP))
    largest = groups.gather(2, groups.abs().argmax(2, keepdim=True))  # with its sign: int4 has one more level below 0
    largest = largest.abs() if kind == "int8" else -largest
    if not (groups.isfinite().all() and (largest / LEVELS[kind]).half().isfinite().all()):
        raise cannot_round(kind)
    best = _Rounded.by(groups, largest / LEVELS[kind], kind)
    if search:
        for divisor in DIVISORS[kind]:
            best = best.or_better(_Rounded.by(groups, largest / divisor, kind))
        levels = best.q.float()
        fitted = (groups * levels).sum(2, keepdim=True) / levels.square().sum(2, keepdim=True).clamp(min=1)
        best = best.or_better(_Rounded.by(groups, fitted, kind))
    return best.q.flatten(1), best.scales.squeeze(2)


def cannot_round(kind: str) -> SansiError:
    return SansiError(f"{kind} weights must be finite and below {LEVELS[kind]} * 65504; use bf16 or fp32")


@dataclass(frozen=True)
class _Rounded:
    """Groups [N, G, 32] on levels q with scales and squared errors [N, G, 1]."""

    q: Tensor
    scales: Tensor
    error: Tensor

    @classmethod
    def by(cls, groups: Tensor, scales: Tensor, kind: str) -> _Rounded:
        halves = scales.to(torch.float16)
        wide = halves.float()
        q = nearest_levels(groups, wide, kind)
        return cls(q, halves, torch.addcmul(groups, q.float(), wide, value=-1).square().sum(2, keepdim=True))

    def or_better(self, other: _Rounded) -> _Rounded:
        better = other.error < self.error
        return _Rounded(
            torch.where(better, other.q, self.q),
            torch.where(better, other.scales, self.scales),
            torch.where(better, other.error, self.error),
        )


def nearest_levels(groups: Tensor, scales: Tensor, kind: str) -> Tensor:
    """The level nearest to each of groups [..., 32], in units of scales [..., 1] (float32), as int8."""
    inverse = torch.where(scales == 0, 0.0, 1.0 / scales)
    lowest, highest = (-127, 127) if kind == "int8" else (-8, 7)
    return (groups * inverse).round().clamp(lowest, highest).to(torch.int8)


def pack_levels(q: Tensor, scales: Tensor, kind: str) -> PackedWeight:
    """Levels q [N, K] int8 and scales [N, G] float16 in the form `kind`, "int8" or "int4"."""
    n, k = q.shape
    # [P, 16, G, 8, 4] -> [P, G, 8, 16, 4]: four inputs of an output side by side, as the integer dot product wants
    quads = _panels(q).unflatten(2, (-1, 8, 4)).permute(0, 2, 3, 1, 4)
    if kind == "int8":
        data = (quads.to(torch.int16) + 128).to(torch.uint8)
    else:
        low, high = (quads + 8).to(torch.uint8).chunk(2, dim=2)  # inputs 0..15 and 16..31 of each group
        data = low | high << 4
    return PackedWeight(kind, n, k, _aligned(data), _panels(scales).transpose(1, 2).contiguous())


def unpack_levels(packed: PackedWeight) -> tuple[Tensor, Tensor]:
    """The levels [N, K] int8 and scales [N, G] float16 that `pack_levels` was given."""
    panels, groups = packed.scales.shape[:2]
    if packed.kind == "int8":
        quads = (packed.data.view(panels, groups, 8, PANEL, 4).to(torch.int16) - 128).to(torch.int8)
    else:
        bytes_ = packed.data.view(panels, groups, 4, PANEL, 4)
        quads = torch.cat([bytes_ & 15, bytes_ >> 4], dim=2).to(torch.int8) - 8
    q = quads.permute(0, 3, 1, 2, 4).reshape(panels * PANEL, -1)[: packed.rows]
    return q, packed.scales.transpose(1, 2).reshape(panels * PANEL, groups)[: packed.rows]


def pack_affine(q: Tensor, d: Tensor, dmin: Tensor, sc: Tensor, m: Tensor, kind: str) -> PackedWeight:
    """w = d sc q - dmin m in a form of SPANS: levels q [N, K] uint8, d and dmin [N, K / 32 / span] float16, sc and m
    [N, K / 32] uint8."""
    n, k = q.shape
    quads = _panels(q).unflatten(2, (-1, 8, 4)).permute(0, 2, 3, 1, 4)  # [P, G, 8, 16, 4], as in `pack_levels`
    data = _nibbles(quads & 15)
    if kind.startswith("int5a"):
        bits = (quads >> 4 & 1).flatten(3).unflatten(3, (8, 8)) << torch.arange(8, dtype=torch.uint8)
        data = torch.cat([data.flatten(2), bits.sum(-1, dtype=torch.uint8).flatten(2)], dim=2)
    shared = [_panels(v).transpose(1, 2).contiguous().view(torch.uint8) for v in (d, dmin)]  # [P, spans, 32]
    own = torch.stack([_panels(v).transpose(1, 2) for v in (sc, m)], dim=2)  # [P, G, 2, 16]
    scales = torch.cat([*shared, own.unflatten(1, (-1, SPANS[kind])).flatten(2)], dim=2)
    return PackedWeight(kind, n, k, _aligned(data), scales.flatten(1).contiguous())


def pack_six(q: Tensor, sc: Tensor, d: Tensor) -> PackedWeight:
    """w = d sc q in the form int6: levels q [N, K] int8 of -32..31, sc [N, K / 16] int8, d [N, K / 256] float16."""
    n, k = q.shape
    quads = _panels((q + 32).to(torch.uint8)).unflatten(2, (-1, 8, 4)).permute(0, 2, 3, 1, 4)
    high = [half[..., i, :, :] >> 4 << 2 * i for half in (quads.chunk(2, dim=2)) for i in range(4)]
    lines = [high[i] | high[i + 1] | high[i + 2] | high[i + 3] for i in (0, 4)]  # [P, G, 16, 4] each
    data = torch.cat([_nibbles(quads & 15).flatten(2), *(line.flatten(2) for line in lines)], dim=2)
    shared = _panels(d).transpose(1, 2).contiguous().view(torch.uint8)  # [P, K / 256, 32]
    own = _panels(sc).transpose(1, 2).contiguous().view(torch.uint8).unflatten(1, (-1, 16)).flatten(2)
    return PackedWeight("int6", n, k, _aligned(data), torch.cat([shared, own], dim=2).flatten(1).contiguous())


def _nibbles(quads: Tensor) -> Tensor:
    """[P, G, 8, 16, 4] of 0..15 -> [P, G, 4, 16, 4]: inputs 0..15 of a group low, 16..31 high."""
    low, high = quads.chunk(2, dim=2)
    return low | high << 4


def _levels(packed: PackedWeight) -> Tensor:
    """[N filled up, K] uint8 of a kind with minima or of int6, before anything is taken off."""
    panels, groups = len(packed.scales), packed.columns // GROUP
    data = packed.data.view(panels, groups, -1)
    low = data[..., :256].view(panels, groups, 4, PANEL, 4)
    q, more = torch.cat([low & 15, low >> 4], dim=2), data[..., 256:]
    if packed.kind.startswith("int5a"):
        bits = more.unsqueeze(-1) >> torch.arange(8, dtype=torch.uint8) & 1
        q = q | bits.reshape(q.shape) << 4
    if packed.kind == "int6":
        high = more.view(panels, groups, 2, 1, PANEL, 4) >> torch.tensor([0, 2, 4, 6], dtype=torch.uint8).view(4, 1, 1)
        q = q | (high & 3).reshape(q.shape) << 4
    return q.permute(0, 3, 1, 2, 4).reshape(panels * PANEL, -1)


def _by_output(scales: Tensor) -> Tensor:
    """[P, spans, n * 16] -> [N filled up, spans, n]."""
    return scales.unflatten(2, (-1, PANEL)).permute(0, 3, 1, 2).flatten(0, 1)


def _unpack_affine(packed: PackedWeight) -> Tensor:
    panels, span = len(packed.scales), SPANS[packed.kind]
    scales = packed.scales.view(panels, packed.columns // GROUP // span, -1)
    d, dmin = _by_output(scales[..., :64].contiguous().view(torch.float16)).float().chunk(2, dim=2)
    sc, m = _by_output(scales[..., 64:]).unflatten(2, (span, 2)).unbind(3)
    levels = _levels(packed).float().unflatten(1, (-1, GROUP))
    return (levels * (d * sc).flatten(1).unsqueeze(2) - (dmin * m).flatten(1).unsqueeze(2)).flatten(1)[: packed.rows]


def _unpack_six(packed: PackedWeight) -> Tensor:
    scales = packed.scales.view(len(packed.scales), packed.columns // SUPER, -1)
    d = _by_output(scales[..., :32].contiguous().view(torch.float16)).float()
    by = d * _by_output(scales[..., 32:].contiguous().view(torch.int8))
    levels = (_levels(packed).float() - 32).unflatten(1, (-1, 16))
    return (levels * by.flatten(1).unsqueeze(2)).flatten(1)[: packed.rows]


def unpack(packed: PackedWeight) -> Tensor:
    """The weight [N, K] as float32."""
    if packed.kind in LEVELS:
        q, scales = unpack_levels(packed)
        return (q.unflatten(1, (-1, GROUP)).float() * scales.float().unsqueeze(2)).flatten(1)
    if packed.kind in SPANS:
        return _unpack_affine(packed)
    if packed.kind == "int6":
        return _unpack_six(packed)
    if packed.kind != "bf16":
        panels = packed.data.view(FLOATS[packed.kind]).view(-1, packed.columns, PANEL).transpose(1, 2)
    else:
        panels = packed.data.view(torch.bfloat16).view(-1, (packed.columns + 1) // 2, PANEL, 2).transpose(1, 2)
    return panels.reshape(-1, panels[0, 0].numel())[: packed.rows, : packed.columns].float()


def _panels(rows: Tensor) -> Tensor:
    """[N, …] -> [P, 16, …], filled with zeros."""
    missing = -rows.shape[0] % PANEL
    filled = F.pad(rows, (0, 0) * (rows.dim() - 1) + (0, missing)) if missing else rows
    return filled.unflatten(0, (-1, PANEL))


def _aligned(data: Tensor) -> Tensor:
    """The bytes of a tensor in memory that starts on a 64-byte boundary (torch's own CPU allocator sees to that)."""
    return data.contiguous().view(torch.uint8).flatten() if data.numel() else data.new_empty(0, dtype=torch.uint8)
