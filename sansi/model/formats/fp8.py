"""Official FP8 (DeepSeek-V3 technical report, arXiv:2412.19437, section 3.3; Qwen3's -FP8 folders).

`X.weight` [N, K] is float8 e4m3 and `X.weight_scale_inv` [N / 128, K / 128] multiplies its blocks, whatever its name
says. Embeddings, norms, routers and LM head stay as they were.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from sansi.base.errors import SansiError
from sansi.base.shown import show
from sansi.model.formats.quantised_folder import QuantisedFolder


class Fp8Folder(QuantisedFolder):
    """Weights in FP8 with a scale for each block; the CPU, which has no FP8, computes with them in int8 groups."""

    method = "fp8"
    own_name = True
    scales = ("weight_scale_inv", "weight_scale")  # official, and as compressed-tensors calls the same
    optional = (".input_scale", ".activation_scale")  # static scales of activations, which are not rounded to FP8 here

    def settings(self, described: Mapping[str, Any]) -> None:
        where = f"{self.folder}/config.json"
        if (shape := described.get("fmt", "e4m3")) not in ("e4m3", "float8_e4m3fn"):
            raise SansiError(f'{where}: "fmt" is {show(shape)}, and Sansi reads "e4m3"; take the full model')
        block = described.get("weight_block_size")
        good = isinstance(block, list | tuple) and len(block) == 2 and all(type(n) is int and n > 0 for n in block)
        if not good:
            told = f'"weight_block_size" is {show(block)}, and Sansi reads two positive numbers such as [128, 128]'
            raise SansiError(f"{where}: {told}; take the full model, or its official FP8 folder")
        assert block is not None
        self._block = (int(block[0]), int(block[1]))

    def stored(self, name: str) -> dict[str, tuple[int, ...]]:
        (rows, columns), (high, wide) = self.shapes[name], self._block
        return {name: (rows, columns), self._scale(name): (-(-rows // high), -(-columns // wide))}

    def values(self, name: str, first: int, last: int) -> Tensor:
        high, wide = self._block
        weight = self.files.read(name, slice(first, last))
        if weight.dtype != torch.float8_e4m3fn:
            raise SansiError(f"{self.folder}: {name} is {weight.dtype} and has scales of FP8; download it again")
        scales = self.files.read(self._scale(name), slice(first // high, -(-last // high))).float()
        of_row = torch.arange(first, last) // high - first // high
        spread = scales.repeat_interleave(wide, dim=1)[:, : weight.shape[1]]
        return weight.float() * spread[of_row]

    def kind(self, name: str) -> str | None:
        return "int8"

    def exact(self, kind: str) -> bool:
        return False
