"""MLX's affine quantisation, as mlx_lm reads it (see `formats/mlx.py`)."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor

from sansi.base.config import not_among
from sansi.model.bundle import ModelBundle, json_object
from sansi.model.formats.fitting import VALUES_AT_ONCE, Fit, error_of, fit_affine, levels_of
from sansi.model.formats.mlx import place_of
from sansi.model.formats.writing.folder_format import ROUTER, WriterOptions, too_large
from sansi.model.formats.writing.grouped import GroupedFormat, GroupedOptions
from sansi.model.formats.writing.shards import Stored
from sansi.model.formats.writing.words import words

BITS = (4, 8)
TOKENIZER_CONFIG = "tokenizer_config.json"
CALL = 'tool_call>\\n{"name": '
"""How templates of this design begin a call, after its tag's first sign; later ones write XML."""
ROUTER_SETTING = (8, 64)
"""Bits and group size of routers, whatever the others have."""


@dataclass(frozen=True)
class MlxOptions(GroupedOptions):
    """Options of MLX."""

    bits: int = 4

    def problems(self) -> list[str]:
        return super().problems() + not_among(self, "bits", BITS)


class MlxWriter(GroupedFormat):
    """Every matrix in levels with scale and bias for each group of inputs, of the dtype of what is not quantised."""

    name: ClassVar[str] = "mlx"
    options_type: ClassVar[type[WriterOptions]] = MlxOptions
    usual: ClassVar[int] = 64
    metadata: ClassVar[Mapping[str, str]] = {"format": "mlx"}

    options: MlxOptions

    def fits(self, name: str, shape: tuple[int, ...]) -> bool:
        return len(shape) == 2 and shape[1] % self._setting(name)[1] == 0

    def described(self) -> Mapping[str, Any]:
        said: dict[str, Any] = {"group_size": self.group, "bits": self.options.bits, "mode": "affine"}
        routers = [name for name in self.quantised if name.endswith(ROUTER)]
        own = {"group_size": ROUTER_SETTING[1], "bits": ROUTER_SETTING[0]}
        said |= {name.removesuffix(".weight"): own for name in sorted(routers)}
        return {"quantization": said, "quantization_config": said}

    def files(self, bundle: ModelBundle) -> Mapping[str, bytes]:
        """mlx-lm knows how a model writes calls by words of one template, unless these settings say."""
        settings = json_object(bundle.files, TOKENIZER_CONFIG)
        if CALL not in str(settings.get("chat_template", "")) or "tool_parser_type" in settings:
            return {}
        said = json.dumps({**settings, "tool_parser_type": "json_tools"}, ensure_ascii=False, indent=2)
        return {TOKENIZER_CONFIG: said.encode()}

    def index_metadata(self) -> Mapping[str, int]:
        return {"total_parameters": sum(math.prod(shape) for shape in self.weights.shapes.values())}

    def kind(self, name: str) -> str:
        return f"int{self._setting(name)[0]}"

    def stored(self, name: str) -> list[Stored]:
        (bits, group), (rows, columns) = self._setting(name), self.weights.shapes[name]
        stem, before = self._stacked(name)
        scales = (*before, rows, columns // group)
        packed = Stored(f"{stem}weight", torch.uint32, (*before, rows, columns * bits // 32))
        return [packed, Stored(f"{stem}scales", self.dtype, scales), Stored(f"{stem}biases", self.dtype, scales)]

    def stored_in_full(self, name: str, shape: tuple[int, ...]) -> list[Stored]:
        stem, before = self._stacked(name)
        return [Stored(f"{stem}weight" if before else name, self.dtype, (*before, *shape))]

    def rounded(self, name: str, first: int, rows: Tensor) -> tuple[dict[str, tuple[int, Tensor]], Tensor]:
        (bits, group), (stem, _) = self._setting(name), self._stacked(name)
        x = rows.view(-1, group)
        fit = affine(x, bits, self.dtype)
        if not fit.error.isfinite().all():
            raise too_large(name, self.dtype)
        q = levels_of(x, fit.scale, fit.low, 0, 2**bits - 1)
        shape = (len(rows), -1)
        packed = words(q.to(torch.uint8).view(shape), bits).view(torch.uint32)
        scales, biases = (part.to(self.dtype).view(shape) for part in (fit.scale, fit.low))
        row = (place_of(name)[1] or 0) * self.weights.shapes[name][0] + first
        parts = {"weight": packed, "scales": scales, "biases": biases}
        return {f"{stem}{part}": (row * t.shape[1], t) for part, t in parts.items()}, (q * fit.scale + fit.low).view(
            shape
        )

    def start_in(self, name: str) -> int:
        return (place_of(name)[1] or 0) * math.prod(self.weights.shapes[name])

    def _setting(self, name: str) -> tuple[int, int]:
        """Bits and group size."""
        return ROUTER_SETTING if name.endswith(ROUTER) else (self.options.bits, self.group)

    def _stacked(self, name: str) -> tuple[str, tuple[int, ...]]:
        """The stem of its tensors, and their first dimension where experts lie in one."""
        stem, expert = place_of(name)
        return stem, () if expert is None else (self.weights.config.num_experts,)


def affine(x: Tensor, bits: int, dtype: torch.dtype) -> Fit:
    """Scale and minimum of groups [M, n], float32 with values of `dtype`, that the files hold.

    The error is infinite where the dtype is too small.
    """
    at_once = max(1, VALUES_AT_ONCE // x.shape[1])
    return Fit.joined([_affine(part, 2**bits - 1, dtype) for part in x.split(at_once)])


def _affine(x: Tensor, top: int, dtype: torch.dtype) -> Fit:
    ones, low = torch.ones(1, 1).expand_as(x), x.amin(-1, keepdim=True)
    fitted = fit_affine(x, ones, top, negative=False, step=3 if top < 255 else 7)
    best = Fit.none(low)
    for scale, start in ((fitted.scale, fitted.low), ((x.amax(-1, keepdim=True) - low) / top, low)):
        scale, start = scale.to(dtype).float(), start.to(dtype).float()
        best.offer(scale, start, error_of(x, ones, scale, start, 0, top))
    return best
