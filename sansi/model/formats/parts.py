"""Quantised weights as what they are: levels times scales, and where there are minima less a minimum.

Letters of shapes: N rows   K columns
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from sansi.model.kernels import GROUP, LEVELS, PANEL, PackedWeight, pack_levels


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


def _by_group(d: Tensor, columns: int) -> Tensor:
    """One scale for each GROUP inputs, where a format has one for several groups."""
    return d.repeat_interleave(columns // GROUP // d.shape[1], dim=1)


def joined(many: Sequence[Parts]) -> Parts:
    """The rows of several, one after the other."""

    def whole(name: str) -> Tensor | None:
        pieces = [getattr(one, name) for one in many]
        return None if pieces[0] is None else torch.cat(pieces)

    return Parts(*(whole(name) for name in ("q", "d", "sc", "dmin", "m")))  # type: ignore[arg-type]


def put(packed: PackedWeight, first: int, piece: Parts) -> None:
    """Rows into a packed weight from its row `first` on, a multiple of 16."""
    assert packed.kind in LEVELS  # as `kinds` has it, by KINDS
    part = pack_levels(piece.q, _by_group(piece.d, packed.columns), packed.kind)
    panel, count = first // PANEL, len(part.scales)
    packed.data.view(len(packed.scales), -1)[panel : panel + count] = part.data.view(count, -1)
    packed.scales[panel : panel + count] = part.scales
