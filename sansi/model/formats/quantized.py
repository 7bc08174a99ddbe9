"""Folders of weights that Sansi quantised (`sansi.model.quantize`): what is in them, and their reader."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType

import torch
from torch import Tensor

from sansi.base.errors import SansiError
from sansi.model.formats.files import QUANT_METHOD, QUANTIZED_FILE, is_ours
from sansi.model.formats.folders import model_folder, read_config, read_config_values
from sansi.model.formats.tensors import EMBEDDING, LM_HEAD, TensorFiles
from sansi.model.formats.weights import WeightFormat, fill_from_rows, shapes_of
from sansi.model.kernels import (
    GROUP,
    LEVELS,
    PANEL,
    Arena,
    PackedWeight,
    pack_levels,
    panel_bytes,
    unpack,
    unpack_levels,
)

FORM = MappingProxyType({"quant_method": QUANT_METHOD, "layout": "panels-16", "group_size": GROUP})
"""How the bytes of a tensor lie is in `kernels/cpu/gemm.h`; another layout will have another name."""
DEFAULT_OUTER = "int8"  # of embedding and LM head, which are felt more than other matrices and read one row at a time


def kinds_of(shapes: Mapping[str, tuple[int, ...]], kind: str, outer: str) -> dict[str, str]:
    """`kind_of` of each tensor that is quantised, by name."""
    found = {name: kind_of(name, shape, kind, outer) for name, shape in shapes.items()}
    return {name: chosen for name, chosen in found.items() if chosen}


def kind_of(name: str, shape: tuple[int, ...], kind: str, outer: str) -> str | None:
    """How the tensor `name` is quantised in a model of `kind` and `outer`; None: not at all."""
    if len(shape) != 2 or shape[1] % GROUP or name.endswith(".mlp.gate.weight"):
        return None
    return outer if name in (EMBEDDING, LM_HEAD) else kind


class QuantizedReader:
    """The weights in a folder of `QuantizedWeights.save`, piece by piece. Raises as `load_quantized` does."""

    BYTES_AT_ONCE = 16 * 2**20

    def __init__(self, folder: str | Path):
        kinds = stored_kinds(folder)
        folder = model_folder(folder)
        if kinds is None:
            file = folder / "config.json"
            raise SansiError(f"{file} describes no weights quantised by Sansi; load it in full and quantise it")
        self.folder = folder
        self.kind, self.outer = kinds
        self.config = read_config(folder)
        self.shapes = shapes_of(self.config)
        """Of every tensor of the model, experts one by one."""
        self.kinds = kinds_of(self.shapes, self.kind, self.outer)
        """Of those that are quantised."""
        self._file = file = folder / QUANTIZED_FILE
        if not file.is_file():
            raise SansiError(f"{folder} has no {QUANTIZED_FILE}; copy or download it again")
        self._files = TensorFiles([file])
        _check_tensors(file, self._files.shapes, _stored_shapes(self.shapes, self.kinds))

    @property
    def format(self) -> WeightFormat:
        values = sum(math.prod(shape) for shape in self.shapes.values())
        return WeightFormat(self.kind, 8 * self._file.stat().st_size / values, "computed with as it is, on the CPU")

    def rows(self, name: str, first: int, last: int) -> Tensor:
        """Rows [first, last): in the dtype of the file, or float32 of a matrix that is quantised."""
        if name not in self.kinds:
            return self._files.read(name, slice(first, last)).clone()
        columns, start, stop = self.shapes[name][1], first // PANEL, -(-last // PANEL)
        size = panel_bytes(self.kinds[name], columns)
        levels = self._read(f"{name}.levels", slice(start * size, stop * size), torch.uint8)
        scales = self._read(f"{name}.scales", slice(start, stop), torch.float16)
        panels = PackedWeight(self.kinds[name], (stop - start) * PANEL, columns, levels, scales)
        return unpack(panels)[first - start * PANEL : last - start * PANEL]

    def fill(self, names: Sequence[str], packed: PackedWeight) -> None:
        """Put the rows of all `names`, one after the other, into `packed`, which is of their kind."""
        if names[0] not in self.kinds:
            fill_from_rows(packed, names, self.shapes, self.rows)
            return
        if any(self.shapes[name][0] % PANEL for name in names[:-1]):  # panels that hold rows of two
            levels, all_scales = zip(*(unpack_levels(self.packed(name)) for name in names), strict=True)
            whole = pack_levels(torch.cat(levels), torch.cat(all_scales), packed.kind)
            packed.data.copy_(whole.data)
            packed.scales.copy_(whole.scales)
            return
        at = panel = 0
        data = packed.data.numpy()  # numpy copies on this thread alone, as fast as memory is; torch would wake others
        for name in names:
            for piece in self._pieces(f"{name}.levels"):
                data[at : at + len(piece)] = piece.numpy()
                at += len(piece)
            scales = self._read(f"{name}.scales", slice(None), torch.float16)
            packed.scales[panel : panel + len(scales)] = scales
            panel += len(scales)

    def packed(self, name: str, arena: Arena | None = None) -> PackedWeight:
        """One quantised matrix."""
        rows, columns = self.shapes[name]
        packed = PackedWeight.zeros(self.kinds[name], rows, columns, arena)
        self.fill([name], packed)
        return packed

    def _pieces(self, name: str) -> Iterator[Tensor]:
        for first in range(0, self._files.shapes[name][0], self.BYTES_AT_ONCE):
            yield self._read(name, slice(first, first + self.BYTES_AT_ONCE), torch.uint8)

    def _read(self, name: str, piece: slice, dtype: torch.dtype) -> Tensor:
        tensor = self._files.read(name, piece)
        if tensor.dtype != dtype:
            raise SansiError(f"{self._file}: {name} is {tensor.dtype}, not {dtype}; copy or download it again")
        return tensor


def stored_kinds(folder: str | Path) -> tuple[str, str] | None:
    """`kind` and `outer` of a folder of `QuantizedWeights.save`; None for a folder of full weights.

    Raises SansiError if it is no model folder, or of a form that is unknown.
    """
    described = read_config_values(folder).get("quantization_config")
    if described is None or not is_ours(described):
        return None
    kind, outer = str(described.get("kind")), str(described.get("outer"))
    if {**FORM, "kind": kind, "outer": outer} != described or not {kind, outer} <= set(LEVELS):
        file = Path(folder) / "config.json"
        raise SansiError(f"{file}: this form of quantised weights is unknown: {described}; quantise the model again")
    return kind, outer


def check_stored(folder: str | Path, quantize: str | None, outer: str | None) -> None:
    """Raise SansiError where another kind is asked for than the quantised folder has."""
    kinds = stored_kinds(folder)
    assert kinds is not None
    for param, asked, kind in (("quantize", quantize, kinds[0]), ("outer", outer, kinds[1])):
        if asked is not None and asked != kind:
            where = "weights" if param == "quantize" else "embedding and LM head"
            raise SansiError(
                f'{folder} holds {kind} {where}, and {param}="{asked}" can not be made of them; leave it out, or '
                "quantise the full model",
                param=param,
            )


def _stored_shapes(shapes: Mapping[str, tuple[int, ...]], kinds: Mapping[str, str]) -> dict[str, tuple[int, ...]]:
    """Of the tensors in the file."""
    stored = {name: shape for name, shape in shapes.items() if name not in kinds}
    for name, kind in kinds.items():
        rows, columns = shapes[name]
        panels = -(-rows // PANEL)
        stored[f"{name}.levels"] = (panels * panel_bytes(kind, columns),)
        stored[f"{name}.scales"] = (panels, columns // GROUP, PANEL)
    return stored


def _check_tensors(file: Path, found: Mapping[str, tuple[int, ...]], expected: Mapping[str, tuple[int, ...]]) -> None:
    for name, shape in found.items():
        if expected.get(name) != shape:
            raise SansiError(f"{file}: {name} {list(shape)} does not fit config.json")
    if missing := expected.keys() - found.keys():
        raise SansiError(f"{file}: missing: {', '.join(sorted(missing)[:10])}; copy or download it again")
