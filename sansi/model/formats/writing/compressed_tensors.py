"""compressed-tensors, as llm-compressor writes them (see `formats/compressed_tensors.py`)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, ClassVar

import torch
from torch import Tensor

from sansi.base.errors import SansiError, did_you_mean
from sansi.model.formats.weights import WeightSource
from sansi.model.formats.writing.calibrated import CalibratedOptions
from sansi.model.formats.writing.folder_format import WriterOptions, is_projection
from sansi.model.formats.writing.fp8 import LARGEST
from sansi.model.formats.writing.gptq import LevelsFormat
from sansi.model.formats.writing.levels import Levels
from sansi.model.formats.writing.shards import Stored
from sansi.model.formats.writing.words import words

BITS = MappingProxyType({"W4A16": 4, "W8A16": 8, "FP8_DYNAMIC": 8})
"""Of the schemes."""
FLOAT = "FP8_DYNAMIC"


@dataclass(frozen=True)
class CompressedOptions(CalibratedOptions):
    """Options of compressed-tensors."""

    scheme: str = "W4A16"
    """W4A16 and W8A16: levels in groups, with a calibration as GPTQ rounds them; FP8_DYNAMIC: float8, a scale for each
    output."""

    def problems(self) -> list[str]:
        wrong = []
        if self.scheme not in BITS:
            wrong.append(f'unknown "scheme" "{self.scheme}"{did_you_mean(self.scheme, BITS)}')
        if self.scheme == FLOAT and self.group_size is not None:
            wrong.append(f'"group_size" is for whole numbers, and {FLOAT} has a scale for each output; leave it out')
        return super().problems() + wrong


class CompressedWriter(LevelsFormat):
    """Projections and experts in levels or in float8; embedding, norms, routers and head in full."""

    name: ClassVar[str] = "compressed-tensors"
    calibrated: ClassVar[str] = "optional"
    options_type: ClassVar[type[WriterOptions]] = CompressedOptions
    options: CompressedOptions

    def __init__(self, weights: WeightSource, options: CompressedOptions, calibration: Iterable[Tensor] | None = None):
        self._float = options.scheme == FLOAT
        self.bits = BITS[options.scheme]
        if self._float and calibration is not None:
            raise SansiError(f"{FLOAT} has no use for a calibration; leave it out", param="calibration")
        super().__init__(weights, options, calibration)

    def fits(self, name: str, shape: tuple[int, ...]) -> bool:
        return is_projection(name) and (self._float or shape[1] % self.group == 0)

    def kind(self, name: str) -> str:
        return "fp8" if self._float else f"int{self.bits}"

    def described(self) -> Mapping[str, Any]:
        layout = "float-quantized" if self._float else "pack-quantized"
        weights = _arguments(self.bits, "float", "channel") if self._float else _arguments(self.bits, "int", "group")
        if not self._float:
            weights["group_size"] = self.group
        inputs = {**_arguments(8, "float", "token"), "dynamic": True, "observer": None} if self._float else None
        group = {"targets": ["Linear"], "weights": weights, "input_activations": inputs, "output_activations": None}
        said = {
            "quant_method": "compressed-tensors",
            "format": layout,
            "quantization_status": "compressed",
            "config_groups": {"group_0": {**group, "format": layout}},
            "ignore": ["lm_head", *self.full_modules()],
            "kv_cache_scheme": None,
            "global_compression_ratio": None,
        }
        return {"quantization_config": said}

    def stored(self, name: str) -> list[Stored]:
        (rows, columns), stem = self.weights.shapes[name], name.removesuffix("weight")
        if self._float:
            return [Stored(name, torch.float8_e4m3fn, (rows, columns)), Stored(f"{name}_scale", self.dtype, (rows, 1))]
        return [
            Stored(f"{stem}weight_packed", torch.int32, (rows, columns * self.bits // 32)),
            Stored(f"{stem}weight_scale", self.dtype, (rows, columns // self.group)),
            Stored(f"{stem}weight_shape", torch.int64, (2,)),
        ]

    def rounded(self, name: str, first: int, rows: Tensor) -> tuple[dict[str, tuple[int, Tensor]], Tensor]:
        if not self._float:
            return super().rounded(name, first, rows)
        largest = rows.abs().amax(1, keepdim=True) / LARGEST
        scales = largest.to(self.dtype)
        scales = torch.where(scales == 0, torch.ones_like(scales), scales)
        levels = (rows / scales.float()).clamp(-LARGEST, LARGEST).to(torch.float8_e4m3fn)
        at = {name: (first * rows.shape[1], levels), f"{name}_scale": (first, scales)}
        return at, levels.float() * scales.float()

    def parts(self, name: str, first: int, levels: Levels) -> dict[str, tuple[int, Tensor]]:
        stem = name.removesuffix("weight")
        packed, scales = words(levels.q, self.bits).cpu(), levels.grid.scales.to(self.dtype).cpu()
        shape = {} if first else {f"{stem}weight_shape": (0, torch.tensor(self.weights.shapes[name]))}
        return {
            f"{stem}weight_packed": (first * packed.shape[1], packed),
            f"{stem}weight_scale": (first * scales.shape[1], scales),
            **shape,
        }


def _arguments(bits: int, kind: str, strategy: str) -> dict[str, Any]:
    return {
        "num_bits": bits,
        "type": kind,
        "symmetric": True,
        "strategy": strategy,
        "group_size": None,
        "block_structure": None,
        "dynamic": False,
        "actorder": None,
        "observer": "minmax",
        "observer_kwargs": {},
    }
