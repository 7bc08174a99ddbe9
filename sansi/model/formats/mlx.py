"""MLX's affine quantisation: w = q * scale + bias, in groups of inputs.

`X.weight` [N, K * bits / 32] uint32 holds inputs, the lowest bits first; `X.scales` and `X.biases` [N, K / G]. The
embedding and the head are quantised as well. Experts of a layer lie in one: `mlp.switch_mlp.gate_proj` [E, N, K].
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from sansi.base.errors import SansiError
from sansi.base.shown import show
from sansi.model.formats.parts import Parts, affine_kind
from sansi.model.formats.quantised_folder import QuantisedFolder, unpacked, whole_number

BITS, GROUPS = (2, 4, 8), (32, 64, 128)
_EXPERT = re.compile(r"(?P<mlp>.*\.mlp)\.experts\.(?P<number>\d+)\.(?P<kind>\w+)\.weight")


class MlxFolder(QuantisedFolder):
    """Weights of MLX; those of four bits are computed with as they are where their scales are exact in fp16."""

    method = "mlx"
    own_name = True

    def settings(self, described: Mapping[str, Any]) -> None:
        self._default = self._setting(described, "")
        chosen = {path: value for path, value in described.items() if isinstance(value, dict)}
        self._own = {path: self._setting({**described, **value}, f"{path}: ") for path, value in chosen.items()}

    def _setting(self, described: Mapping[str, Any], path: str) -> tuple[int, int]:
        """Bits and group size."""
        where = f"{self.folder}/config.json: {path}quantization".removesuffix(": ")
        if (mode := described.get("mode", "affine")) != "affine":
            raise SansiError(f'{where}: "mode" is {show(mode)}, and Sansi reads "affine"; take a model of 4 or 8 bits')
        return whole_number(described, ("bits",), BITS, where), whole_number(described, ("group_size",), GROUPS, where)

    def stored(self, name: str) -> dict[str, tuple[int, ...]]:
        (stem, expert), (rows, columns) = self._place(name), self.shapes[name]
        before = () if expert is None else (self.config.num_experts,)
        if not self._has_scales(stem):
            return {f"{stem}weight": (*before, rows, columns)}
        bits, group = self._settings_of(stem)
        groups = (*before, rows, columns // group)
        return {
            f"{stem}weight": (*before, rows, columns * bits // 32),
            f"{stem}scales": groups,
            f"{stem}biases": groups,
        }

    def values(self, name: str, first: int, last: int) -> Tensor:
        stem, _ = self._place(name)
        if not self._has_scales(stem):
            return self._read(name, "weight", first, last)
        q, scales, biases = self._levels(name, first, last)
        values = q.view(len(q), scales.shape[1], -1).float() * scales.float().unsqueeze(2)
        return (values + biases.float().unsqueeze(2)).flatten(1)

    def parts(self, name: str, first: int, last: int) -> Parts:
        q, scales, biases = self._levels(name, first, last)
        return Parts(q, scales.to(torch.float16), dmin=-biases.to(torch.float16))

    def kind(self, name: str) -> str | None:
        stem, _ = self._place(name)
        bits, group = self._settings_of(stem)
        if bits != 4 or not self._has_scales(stem):
            return None
        rows = self.shapes[name][0]
        exact = all(_fits_half(self._read(name, part, 0, rows)) for part in ("scales", "biases"))
        return affine_kind(4, group, self.shapes[name][1]) if exact else None

    def _levels(self, name: str, first: int, last: int) -> tuple[Tensor, Tensor, Tensor]:
        """Levels [N, K] uint8, scales and biases [N, K / G] of rows [first, last)."""
        bits, _ = self._settings_of(self._place(name)[0])
        words, scales, biases = (self._read(name, part, first, last) for part in ("weight", "scales", "biases"))
        if words.dtype != torch.uint32:
            raise SansiError(f"{self.folder}: {name} is {words.dtype} and has scales of MLX; download it again")
        return unpacked(words.view(torch.int32), bits).flatten(1), scales, biases

    def _read(self, name: str, part: str, first: int, last: int) -> Tensor:
        stem, expert = self._place(name)
        index = (slice(first, last),) if expert is None else (expert, slice(first, last))
        return self.files.read(f"{stem}{part}", *index)

    def _settings_of(self, stem: str) -> tuple[int, int]:
        return self._own.get(stem.removesuffix("."), self._default)

    def _place(self, name: str) -> tuple[str, int | None]:
        """The stem of its tensors, and which of the experts in them it is."""
        return (name.removesuffix("weight"), None) if name in self.files.shapes else place_of(name)

    def _has_scales(self, stem: str) -> bool:
        return f"{stem}scales" in self.files.shapes


def place_of(name: str) -> tuple[str, int | None]:
    """The stem of a tensor's parts, and for an expert its number among those that lie in them."""
    if match := _EXPERT.fullmatch(name):
        return f"{match['mlp']}.switch_mlp.{match['kind']}.", int(match["number"])
    return name.removesuffix("weight"), None


def _fits_half(values: Tensor) -> bool:
    """Whether float16 holds every value as it is."""
    return values.dtype == torch.float16 or torch.equal(values.to(torch.float16).to(values.dtype), values)
