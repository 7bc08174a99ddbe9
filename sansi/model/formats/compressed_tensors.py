"""compressed-tensors, as llm-compressor writes them.

pack-quantized: `X.weight_packed` [N, K * bits / 32] int32 holds inputs, the lowest bits first, plus half of the range;
`X.weight_scale` [N, K / G]; `X.weight_zero_point` [N * bits / 32, K / G] int32, outputs packed likewise.
int-quantized and float-quantized: `X.weight` [N, K] int8 or float8 e4m3; `X.weight_scale` of each channel, group, block
or of the whole tensor; `X.weight_zero_point` int8. w = (q - zero point) * scale.
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

PACKED, PLAIN = "pack-quantized", ("int-quantized", "float-quantized", "naive-quantized")
STRATEGIES = ("tensor", "channel", "group", "block")
ORDERS = (None, False, "weight", "static", "group", "dynamic", True)


class CompressedFolder(QuantisedFolder):
    """Weights of compressed-tensors: integers of 4 and 8 bits, and FP8, which the CPU computes with in int8 groups."""

    method = "compressed-tensors"
    own_name = True
    scales = ("weight_scale", "weight_scale_inv")
    index = "weight_g_idx"
    optional = (".input_scale", ".input_zero_point", ".input_global_scale", ".k_scale", ".v_scale", ".output_scale")

    def settings(self, described: Mapping[str, Any]) -> None:
        where = f"{self.folder}/config.json"
        self._refuse_other_layouts(described, where)
        weights = self._weights(described, where)
        kind, strategy = weights.get("type", "int"), weights.get("strategy") or "tensor"
        if kind not in ("int", "float"):
            raise SansiError(f'{where}: "type" is {show(kind)}, and Sansi reads "int" or "float"; take the full model')
        if strategy not in STRATEGIES:
            known = ", ".join(STRATEGIES)
            raise SansiError(f'{where}: "strategy" is {show(strategy)}, and Sansi reads {known}; take the full model')
        self._float, self._strategy = kind == "float", strategy
        self._bits = whole_number(weights, ("num_bits",), (8,) if self._float else (4, 8), where)
        self._symmetric = weights.get("symmetric", True) is not False
        self._high, self._wide = self._block(weights, where)
        if (order := weights.get("actorder")) not in ORDERS:
            raise SansiError(f'{where}: "actorder" is {show(order)}, which Sansi does not know; take the full model')

    def _refuse_other_layouts(self, described: Mapping[str, Any], where: str) -> None:
        layout = described.get("format")
        if layout != PACKED and layout not in PLAIN:
            known = ", ".join((PACKED, *PLAIN))
            raise SansiError(f'{where}: "format" is {show(layout)}, and Sansi reads {known}; take the full model')
        self._packed = layout == PACKED
        sparse = described.get("sparsity_config") or {}
        if isinstance(sparse, dict) and sparse.get("format", "dense") != "dense":
            raise SansiError(f"{where}: the weights are sparse ({show(sparse['format'])}); take the full model")
        if described.get("transform_config"):
            raise SansiError(
                f'{where}: "transform_config" turns the weights, which Sansi does not; take the full model'
            )

    def _weights(self, described: Mapping[str, Any], where: str) -> Mapping[str, Any]:
        """What all groups say of their weights."""
        groups = described.get("config_groups")
        listed = list(groups.values()) if isinstance(groups, dict) else []
        said = [
            group["weights"] for group in listed if isinstance(group, dict) and isinstance(group.get("weights"), dict)
        ]
        if not said or len(said) < len(listed):
            raise SansiError(f'{where}: "config_groups" does not say how weights are quantised; download it again')
        keys = ("num_bits", "type", "strategy", "group_size", "block_structure", "symmetric", "actorder")
        if any(one.get(key) != said[0].get(key) for one in said for key in keys):
            raise SansiError(f'{where}: "config_groups" mixes quantisations, and Sansi reads one; take the full model')
        return dict(said[0])

    def _block(self, weights: Mapping[str, Any], where: str) -> tuple[int, int]:
        """Outputs and inputs that share a scale; 0: all of them."""
        if self._strategy == "block":
            block = weights.get("block_structure")
            if not (isinstance(block, list) and len(block) == 2 and all(type(n) is int and n > 0 for n in block)):
                told = f'"block_structure" is {show(block)}, and must be two positive numbers such as [128, 128]'
                raise SansiError(f"{where}: {told}; take the full model")
            return block[0], block[1]
        if self._strategy == "group":
            size = weights.get("group_size")
            if type(size) is not int or size < 1:
                raise SansiError(f'{where}: "group_size" is {show(size)}, and must be positive; take the full model')
            return 1, size
        return int(self._strategy == "channel"), 0

    # ---- the tensors -------------------------------------------------------------------------------------------------

    def stored(self, name: str) -> dict[str, tuple[int, ...]]:
        (rows, columns), stem = self.shapes[name], name.removesuffix("weight")
        grid = self._grid(name)
        scales = {self._scale(name): self._as_found(self._scale(name), grid)}
        if not self._packed:
            zeros = {} if self._symmetric else {f"{stem}weight_zero_point": grid}
            return {name: (rows, columns), **scales, **self._if_there(f"{stem}weight_zero_point", grid), **zeros}
        zeros = {} if self._symmetric else {f"{stem}weight_zero_point": (-(-rows * self._bits // 32), grid[1])}
        packed = {f"{stem}weight_packed": (rows, -(-columns * self._bits // 32)), f"{stem}weight_shape": (2,)}
        return packed | scales | zeros | self._if_there(f"{stem}{self.index}", (columns,))

    def _grid(self, name: str) -> tuple[int, int]:
        """[N, K] -> the shape of its scales."""
        rows, columns = self.shapes[name]
        return -(-rows // (self._high or rows)), -(-columns // self.group_size(columns))

    def _as_found(self, part: str, grid: tuple[int, ...]) -> tuple[int, ...]:
        """One scale for all may be [1] or [], and those of channels [N]."""
        found = self.files.shapes.get(part, grid)
        flat = tuple(n for n in grid if n != 1)
        return found if tuple(n for n in found if n != 1) == flat else grid

    def _if_there(self, part: str, shape: tuple[int, ...]) -> dict[str, tuple[int, ...]]:
        return {part: self._as_found(part, shape)} if part in self.files.shapes else {}

    def values(self, name: str, first: int, last: int) -> Tensor:
        q, scales, zeros = self._read(name, first, last)
        at = self._group_of(name)
        shifted = q.float() if zeros is None else q.float() - zeros.float()[:, at]
        return shifted * scales.float()[:, at]

    def parts(self, name: str, first: int, last: int) -> Parts:
        q, scales, zeros = self._read(name, first, last)
        half = scales.to(torch.float16)
        if zeros is None:
            return Parts(q.to(torch.int8), half)
        return Parts(q.to(torch.uint8), half, dmin=half, m=zeros.to(torch.uint8))

    def kind(self, name: str) -> str | None:
        if self._float:
            return "int8"
        columns = self.shapes[name][1]
        size = self.group_size(columns)
        if size % GROUP or columns % size or not self._in_order(name) or not self._has_half_scales(name):
            return None
        if self._symmetric:
            return "int4" if self._bits == 4 else "int8"
        return affine_kind(4, size, columns) if self._bits == 4 and self._packed else None

    def group_size(self, columns: int) -> int:
        return self._wide or columns

    def exact(self, kind: str) -> bool:
        return not self._float

    def _read(self, name: str, first: int, last: int) -> tuple[Tensor, Tensor, Tensor | None]:
        """Levels [N, K], scales [N, groups] and zero points alike (None: 0) of rows [first, last).

        Levels of symmetric integers are signed; with zero points those of packed files are not.
        """
        stem = name.removesuffix("weight")
        scales = self._of_rows(self._scale(name), name, first, last)
        if not self._packed:
            q = self.files.read(name, slice(first, last))
            wanted = torch.float8_e4m3fn if self._float else torch.int8
            if q.dtype != wanted:
                raise SansiError(f"{self.folder}: {name} is {q.dtype}, and config.json makes it {wanted}")
            zeros = None if self._symmetric else self._of_rows(f"{stem}weight_zero_point", name, first, last)
            return q, scales, zeros
        words = self.files.read(f"{stem}weight_packed", slice(first, last))
        q = unpacked(words, self._bits).flatten(1)[:, : self.shapes[name][1]]
        if self._symmetric:
            return q.to(torch.int16) - 2 ** (self._bits - 1), scales, None
        per_word = 32 // self._bits
        low = first // per_word
        held = self.files.read(f"{stem}weight_zero_point", slice(low, -(-last // per_word)))
        zeros = unpacked(held.T.contiguous(), self._bits).flatten(1).T
        return q, scales, zeros[first - low * per_word : last - low * per_word].contiguous()

    def _of_rows(self, part: str, name: str, first: int, last: int) -> Tensor:
        """[N, groups]: the values of a grid that belong to rows [first, last)."""
        grid = self.files.read(part, ...).reshape(self._grid(name))  # type: ignore[arg-type]
        return grid[torch.arange(first, last) // (self._high or self.shapes[name][0])]

    def _has_half_scales(self, name: str) -> bool:
        scales = self.files.read(self._scale(name), ...)  # type: ignore[arg-type]
        return torch.equal(scales.to(torch.float16).to(scales.dtype), scales)

    def _is_stored(self, name: str) -> bool:
        stem = name.removesuffix("weight")
        return self._scale(name) in self.files.shapes or f"{stem}weight_packed" in self.files.shapes
