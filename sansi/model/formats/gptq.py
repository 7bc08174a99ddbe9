"""GPTQ (Frantar et al. 2022, arXiv:2210.17323), four or eight bits: w = (q - zero) * scale.

`X.qweight` [K * bits / 32, N] int32 holds inputs, the lowest bits first; `X.qzeros` [K / G, N * bits / 32] outputs;
`X.scales` [K / G, N] float16; `X.g_idx` [K] the group of each input. Files of the first version ("gptq") hold zero
points less one, those of the second ("gptq_v2") as they are.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from sansi.base.errors import SansiError
from sansi.base.shown import show
from sansi.model.formats.parts import Parts, affine_kind
from sansi.model.formats.quantised_folder import QuantisedFolder, unpacked, whole_number
from sansi.model.kernels import GROUP

VERSIONS = ("gptq", "gptq_v2")


class GptqFolder(QuantisedFolder):
    """Weights of four or eight bits; those of symmetric files are computed with as they are."""

    method = "gptq"

    def settings(self, described: Mapping[str, Any]) -> None:
        where = f"{self.folder}/config.json"
        self._bits = whole_number(described, ("bits",), (4, 8), where)
        self._group = described.get("group_size", 128)
        if type(self._group) is not int or (self._group != -1 and self._group < 1):
            raise SansiError(f'{where}: "group_size" is {show(self._group)}; it must be positive, or -1 for one group')
        version = described.get("checkpoint_format") or "gptq"
        if version not in VERSIONS:
            known = " and ".join(f'"{name}"' for name in VERSIONS)
            raise SansiError(f'{where}: "checkpoint_format" is {show(version)}, and Sansi reads {known}')
        self._less_one = version == "gptq"
        self._symmetric = described.get("sym", True) is True
        self._act_order = described.get("desc_act", False) is True

    def stored(self, name: str) -> dict[str, tuple[int, ...]]:
        (rows, columns), stem = self.shapes[name], name.removesuffix("weight")
        groups, per_word = -(-columns // self.group_size(columns)), 32 // self._bits
        parts: dict[str, tuple[int, ...]] = {
            f"{stem}qweight": (columns // per_word, rows),
            f"{stem}qzeros": (groups, rows // per_word),
            f"{stem}scales": (groups, rows),
        }
        index = f"{stem}{self.index}"
        return parts | ({index: (columns,)} if self._act_order or index in self.files.shapes else {})

    def values(self, name: str, first: int, last: int) -> Tensor:
        q, scales, zeros = self._read(name, first, last)
        group = self._group_of(name)
        return (q.float() - zeros.float()[:, group]) * scales.float()[:, group]

    def parts(self, name: str, first: int, last: int) -> Parts:
        q, scales, zeros = self._read(name, first, last)
        middle = 2 ** (self._bits - 1)
        if not self._symmetric:
            return Parts(q, scales, dmin=scales, m=zeros)
        if not bool((zeros == middle).all()):
            told = f"{name} has other zero points than {middle}, but config.json says sym"
            raise SansiError(f"{self.folder}: {told}; the file is damaged, or quantised by a broken program")
        return Parts((q.to(torch.int16) - middle).to(torch.int8), scales)

    def kind(self, name: str) -> str | None:
        columns = self.shapes[name][1]
        size = self.group_size(columns)
        if size % GROUP or columns % size or (self._act_order and not self._in_order(name)):
            return None
        if self._symmetric:
            return "int4" if self._bits == 4 else "int8"
        return affine_kind(4, size, columns) if self._bits == 4 else None

    def group_size(self, columns: int) -> int:
        return columns if self._group == -1 else self._group

    def _read(self, name: str, first: int, last: int) -> tuple[Tensor, Tensor, Tensor]:
        """Levels [N, K] uint8, scales and zero points [N, groups] of rows [first, last)."""
        stem, per_word = name.removesuffix("weight"), 32 // self._bits
        words = self.files.read(f"{stem}qweight", slice(None), slice(first, last))  # [K / per_word, N]
        q = unpacked(words.T.contiguous(), self._bits).flatten(1)
        scales = self.files.read(f"{stem}scales", slice(None), slice(first, last)).to(torch.float16).T.contiguous()
        low = first // per_word
        held = self.files.read(f"{stem}qzeros", slice(None), slice(low, -(-last // per_word)))
        zeros = unpacked(held, self._bits).flatten(1).T[first - low * per_word : last - low * per_word].contiguous()
        if self._less_one:
            zeros = (zeros + 1) & (2**self._bits - 1)
        return q, scales, zeros
