"""Quantised weights as what they are: levels times scales, and where there are minima less a minimum.

Letters of shapes: N rows   K columns
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from sansi.model.kernels import GROUP, LEVELS, PANEL, SPANS, PackedWeight, pack_affine, pack_levels, pack_six

VALUES_AT_ONCE = 2**22


@dataclass(frozen=True)
class Parts:
    """w[k] = d[k // D] * sc[k // G] * q[k] - dmin[k // D] * m[k // G]; D is K / columns of d, G is K / those of sc."""

    q: Tensor
    """[N, K] int8, or uint8 where there are minima."""
    d: Tensor
    """[N, K / 32] or, of the K types, [N, K / 256] float16."""
    sc: Tensor | None = None
    """[N, K / 32] uint8 of Q4_K and Q5_K, [N, K / 16] int8 of Q6_K; else 1."""
    dmin: Tensor | None = None
    """As d; None: there are no minima."""
    m: Tensor | None = None
    """[N, K / 32] uint8; None beside minima: 1."""

    def floats(self) -> Tensor:
        """[N, K] float32."""
        n, k = self.q.shape
        scales = _times(self.d, self.sc)
        values = self.q.view(n, scales.shape[1], -1) * scales.unsqueeze(2)
        if self.dmin is not None:
            values -= _times(self.dmin, self.m).unsqueeze(2)
        return values.view(n, k)


def _times(d: Tensor, sc: Tensor | None) -> Tensor:
    wide = d.float()
    return wide if sc is None else (wide.unsqueeze(2) * sc.view(len(d), d.shape[1], -1)).flatten(1)


def affine_kind(bits: int, group_size: int, columns: int) -> str | None:
    """The packed kind for levels of `bits` with scale and minimum for each `group_size` inputs; None: there is none."""
    fits = [k for k, span in SPANS.items() if k.startswith(f"int{bits}a") and not group_size % (GROUP * span)]
    return fits[0] if fits and not columns % group_size else None  # the widest span comes first


def joined(many: Sequence[Parts]) -> Parts:
    """The rows of several, one after the other."""

    def whole(name: str) -> Tensor | None:
        pieces = [getattr(one, name) for one in many]
        return None if pieces[0] is None else torch.cat(pieces)

    return Parts(*(whole(name) for name in ("q", "d", "sc", "dmin", "m")))  # type: ignore[arg-type]


def put_rows(
    packed: PackedWeight,
    names: Sequence[str],
    shapes: Mapping[str, tuple[int, ...]],
    rows: Callable[[str, int, int], Parts],
) -> None:
    """Put the rows of all `names`, one after the other, into `packed`, which is of their kind.

    rows: (name, first, last) -> those rows; `first` is a multiple of 16.
    """
    if any(shapes[name][0] % PANEL for name in names[:-1]):  # panels that hold rows of two
        put(packed, 0, joined([rows(name, 0, shapes[name][0]) for name in names]))
        return
    step = max(1, VALUES_AT_ONCE // packed.columns // PANEL) * PANEL
    at = 0
    for name in names:
        count = shapes[name][0]
        for first in range(0, count, step):
            put(packed, at + first, rows(name, first, min(first + step, count)))
        at += count


def put(packed: PackedWeight, first: int, piece: Parts) -> None:
    """Rows into a packed weight from its row `first` on, a multiple of 16."""
    part = _packed(piece, packed.kind)
    panel, count = first // PANEL, len(part.scales)
    packed.data.view(len(packed.scales), -1)[panel : panel + count] = part.data.view(count, -1)
    packed.scales[panel : panel + count] = part.scales


def _packed(piece: Parts, kind: str) -> PackedWeight:
    rows, groups = len(piece.q), piece.q.shape[1] // GROUP
    if kind in LEVELS:
        return pack_levels(piece.q, _widened(piece.d, groups), kind)
    if kind == "int6":
        assert piece.sc is not None
        return pack_six(piece.q, piece.sc, piece.d)
    assert piece.dmin is not None
    ones = torch.ones(rows, 1, dtype=torch.uint8)
    d, dmin = (_widened(v, groups // SPANS[kind]) for v in (piece.d, piece.dmin))
    sc, m = (_widened(ones if v is None else v, groups) for v in (piece.sc, piece.m))
    return pack_affine(piece.q, d, dmin, sc, m, kind)


def _widened(values: Tensor, count: int) -> Tensor:
    """[N, any] -> [N, count], each value for as many neighbours as it takes."""
    return values.repeat_interleave(count // values.shape[1], dim=1)
