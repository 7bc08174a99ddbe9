"""AWQ as AutoAWQ's GEMM kernels have it (Lin et al. 2023, arXiv:2306.00978): w = (q - zero) * scale, four bits.

`X.qweight` [K, N / 8] int32 holds eight outputs to a word, in the order 0 2 4 6 1 3 5 7; `X.qzeros` [K / G, N / 8]
likewise; `X.scales` [K / G, N] float16.
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

PER_WORD = 8
ORDER = (0, 4, 1, 5, 2, 6, 3, 7)
"""Where outputs 0 to 7 lie among the nibbles of a word."""
MIDDLE = 8  # the zero point of files that store none
VERSIONS = ("gemm", "GEMM")


class AwqFolder(QuantisedFolder):
    """Four-bit weights with a scale and a zero point for each output and group of inputs."""

    method = "awq"

    def settings(self, described: Mapping[str, Any]) -> None:
        where = f"{self.folder}/config.json"
        whole_number(described, ("bits", "w_bit"), (4,), where)
        key = "group_size" if "group_size" in described else "q_group_size"
        group = described.get(key)
        if type(group) is not int or group < 32 or group % 32:
            raise SansiError(f'{where}: "{key}" is {show(group)}, and Sansi reads multiples of 32; take the full model')
        if (version := described.get("version", "gemm")) not in VERSIONS:
            raise SansiError(f'{where}: "version" is {show(version)}, and Sansi reads "gemm"; take the full model')
        self._group, self._zeros = group, described.get("zero_point", True) is not False

    def stored(self, name: str) -> dict[str, tuple[int, ...]]:
        (rows, columns), stem = self.shapes[name], name.removesuffix("weight")
        groups, words = columns // self._group, rows // PER_WORD
        parts: dict[str, tuple[int, ...]] = {f"{stem}qweight": (columns, words), f"{stem}scales": (groups, rows)}
        return parts | ({f"{stem}qzeros": (groups, words)} if self._zeros else {})

    def values(self, name: str, first: int, last: int) -> Tensor:
        low = first // PER_WORD * PER_WORD
        return self.parts(name, low, last).floats()[first - low :]

    def parts(self, name: str, first: int, last: int) -> Parts:
        stem = name.removesuffix("weight")
        words = slice(first // PER_WORD, -(-last // PER_WORD))
        count = last - first
        q = _outputs(self.files.read(f"{stem}qweight", slice(None), words))[:count]
        scales = self.files.read(f"{stem}scales", slice(None), slice(first, last)).to(torch.float16).T.contiguous()
        if self._zeros:
            zeros = _outputs(self.files.read(f"{stem}qzeros", slice(None), words))[:count]
        else:
            zeros = torch.full_like(scales, MIDDLE, dtype=torch.uint8)
        return Parts(q, scales, dmin=scales, m=zeros)

    def kind(self, name: str) -> str | None:
        return affine_kind(4, self._group, self.shapes[name][1])


def _outputs(words: Tensor) -> Tensor:
    """[K, W] int32 -> [8 W, K] uint8, outputs in their order."""
    return unpacked(words, 4)[..., list(ORDER)].flatten(1).T.contiguous()
