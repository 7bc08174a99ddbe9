"""FP8 in blocks of 128 x 128, as the official -FP8 folders have it (see `formats/fp8.py`)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor

from sansi.model.formats.tensors import LM_HEAD
from sansi.model.formats.writing.folder_format import FolderFormat, is_projection
from sansi.model.formats.writing.shards import Stored

BLOCK = 128
LARGEST = torch.finfo(torch.float8_e4m3fn).max
_LEAST = torch.finfo(torch.float32).tiny


class Fp8Writer(FolderFormat):
    """Projections and experts in float8 e4m3, each block with a float32 scale; whatever else in full."""

    name: ClassVar[str] = "fp8"
    rows_together: ClassVar[int] = BLOCK

    def fits(self, name: str, shape: tuple[int, ...]) -> bool:
        return is_projection(name)

    def described(self) -> Mapping[str, Any]:
        said: dict[str, Any] = {"activation_scheme": "dynamic", "fmt": "e4m3", "quant_method": "fp8"}
        if full := self._full_modules():
            said["modules_to_not_convert"] = full
        return {"quantization_config": {**said, "weight_block_size": [BLOCK, BLOCK]}}

    def kind(self, name: str) -> str:
        return "fp8"

    def stored(self, name: str) -> list[Stored]:
        rows, columns = self.weights.shapes[name]
        blocks = (-(-rows // BLOCK), -(-columns // BLOCK))
        return [Stored(name, torch.float8_e4m3fn, (rows, columns)), Stored(f"{name}_scale_inv", torch.float32, blocks)]

    def rounded(self, name: str, first: int, rows: Tensor) -> tuple[dict[str, tuple[int, Tensor]], Tensor]:
        levels, scales = in_blocks(rows)
        meant = levels.float() * _spread(scales, rows.shape)
        at = {name: (first * rows.shape[1], levels), f"{name}_scale_inv": (first // BLOCK * scales.shape[1], scales)}
        return at, meant

    def _full_modules(self) -> list[str]:
        """What the official folders of mixtures list; those of dense models have no such key."""
        layers = [n for n in range(self.weights.config.num_hidden_layers) if self.weights.config.is_sparse(n)]
        parts = ("input_layernorm", "mlp.gate", "post_attention_layernorm")
        named = [f"model.layers.{layer}.{part}" for layer in layers for part in parts]
        return [LM_HEAD.removesuffix(".weight"), *named] if layers else []


def in_blocks(rows: Tensor) -> tuple[Tensor, Tensor]:
    """[N, K] float32 -> float8 values alike, and the scale of each block [ceil(N / 128), ceil(K / 128)] float32."""
    n, k = rows.shape
    whole = F.pad(rows, (0, -k % BLOCK, 0, -n % BLOCK))
    largest = whole.view(whole.shape[0] // BLOCK, BLOCK, -1, BLOCK).abs().amax((1, 3))
    scales = torch.where(largest == 0, 1.0, (largest / LARGEST).clamp(min=_LEAST))
    levels = (rows / _spread(scales, rows.shape)).clamp(-LARGEST, LARGEST).to(torch.float8_e4m3fn)
    return levels, scales


def _spread(scales: Tensor, shape: torch.Size) -> Tensor:
    """The scale of each value."""
    return scales.repeat_interleave(BLOCK, 0)[: shape[0]].repeat_interleave(BLOCK, 1)[:, : shape[1]]
