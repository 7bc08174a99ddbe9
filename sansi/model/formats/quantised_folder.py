"""Model folders whose matrices another program has quantised: what their readers share.

A matrix `X.weight` of the model lies in the files either in full, or as the parts that the format stores in its place.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from sansi.base.errors import SansiError
from sansi.base.shown import show
from sansi.model.formats.folders import described_in, model_folder, read_config
from sansi.model.formats.parts import Parts, put_rows
from sansi.model.formats.tensors import EMBEDDING, LM_HEAD, TensorFiles, misfits, weight_files
from sansi.model.formats.weights import WeightFormat, fill_from_rows, shapes_of
from sansi.model.kernels import GROUP, KINDS, PackedWeight


class QuantisedFolder(ABC):
    """The weights in such a folder as a WeightSource. Raises SansiError as `load` does.

    A format says what a matrix of its own is made of (`stored`), how its rows are read, and which packed kind holds
    them as they are.
    """

    method: str
    """quant_method of config.json."""
    optional: tuple[str, ...] = ()
    """Endings of tensors that may be there and are not read."""
    own_name: bool = False
    """Whether a part keeps the name of the matrix itself."""
    scales: tuple[str, ...] = ()
    """What the scales of `X.weight` may be called: "weight_scale"; the first is the usual one."""
    index: str = "g_idx"
    """What the tensor is called that names the group of each input, where they are not neighbours."""

    def __init__(self, folder: str | Path):
        self.folder = model_folder(folder)
        self.config = read_config(self.folder)
        self.shapes = shapes_of(self.config)
        """Of every tensor of the model, experts one by one."""
        self.settings(described_in(self.folder))
        self.files = TensorFiles(weight_files(self.folder))
        matrices = [name for name, shape in self.shapes.items() if len(shape) == 2]
        candidates = [name for name in matrices if self.own_name or name not in self.files.shapes]
        self.quantised = frozenset(name for name in candidates if self._is_stored(name))
        """Matrices that are stored by their parts."""
        self._check()
        self.kinds: dict[str, str] = {name: kind for name in sorted(self.quantised) if (kind := self._kind(name))}
        """Of the matrices that the CPU kernels take as they are."""

    # ---- what a format says ------------------------------------------------------------------------------------------

    @abstractmethod
    def settings(self, described: Mapping[str, Any]) -> None:
        """Take what config.json says of the format. Raises SansiError for what is not read."""

    @abstractmethod
    def stored(self, name: str) -> dict[str, tuple[int, ...]]:
        """The tensors that stand for the matrix `name` [N, K], and their shapes."""

    @abstractmethod
    def values(self, name: str, first: int, last: int) -> Tensor:
        """Rows [first, last) of a quantised matrix, float32 and exact."""

    def parts(self, name: str, first: int, last: int) -> Parts:
        """The same rows as levels and scales, for a format with a packed kind; `first` is a multiple of 16."""
        raise NotImplementedError

    def kind(self, name: str) -> str | None:
        """The packed kind that holds `name`; None: floats do."""
        return None

    def group_size(self, columns: int) -> int:
        """Inputs of a matrix with so many that share a scale, for a format whose groups may be of any inputs."""
        raise NotImplementedError

    def exact(self, kind: str) -> bool:
        """Whether the packed kind holds the values as they are; else they are rounded to it."""
        return True

    # ---- the source --------------------------------------------------------------------------------------------------

    @property
    def format(self) -> WeightFormat:
        values = sum(math.prod(shape) for shape in self.shapes.values())
        stored = sum(file.stat().st_size for file in weight_files(self.folder))
        return WeightFormat(self.method, 8 * stored / values, self.note())

    def note(self) -> str:
        """What is done with the weights on the CPU."""
        if not self.kinds:
            return "widened to float32"
        rounded = sorted({kind for kind in self.kinds.values() if not self.exact(kind)})
        told = f"rounded to {rounded[0]} in groups of {GROUP}" if rounded else "computed with as it is, on the CPU"
        wide = len(self.quantised) - len(self.kinds)
        return f"{told}, but {wide} of {len(self.quantised)} matrices are widened" if wide else told

    def rows(self, name: str, first: int, last: int) -> Tensor:
        """Rows [first, last) as floats: of the file's dtype where it is full, else dequantised."""
        if name in self.quantised:
            return self.values(name, first, last)
        tensor = self.files.read(name, slice(first, last))
        if not tensor.dtype.is_floating_point or tensor.element_size() < 2:
            raise SansiError(f"{self.folder}: {name} is {tensor.dtype} without a scale; download it again")
        return tensor

    def fill(self, names: Sequence[str], packed: PackedWeight) -> None:
        """Put the rows of all `names`, one after the other, into `packed`: as they are where it is of their kind."""
        if {self.kinds.get(name) for name in names} != {packed.kind} or not self.exact(packed.kind):
            fill_from_rows(packed, names, self.shapes, self.rows)
            return
        put_rows(packed, names, self.shapes, self.parts)

    def _kind(self, name: str) -> str | None:
        kind = self.kind(name)
        return kind if kind in KINDS and self.shapes[name][1] % GROUP == 0 else None

    def _is_stored(self, name: str) -> bool:
        """Whether there is a part that stands for the matrix `name` alone."""
        return any(part in self.files.shapes for part in self.stored(name) if part != name)

    def _scale(self, name: str) -> str:
        names = [f"{name.removesuffix('weight')}{ending}" for ending in self.scales]
        return next((found for found in names if found in self.files.shapes), names[0])

    def _group_of(self, name: str) -> Tensor:
        """[K] int64: the group of each input."""
        columns, index = self.shapes[name][1], f"{name.removesuffix('weight')}{self.index}"
        if index not in self.files.shapes:
            return self._neighbours(columns)
        group = self.files.read(index, slice(None)).long()
        if not bool(((group >= 0) & (group < -(-columns // self.group_size(columns)))).all()):
            raise SansiError(f"{self.folder}: {index} names groups that there are not; download it again")
        return group

    def _in_order(self, name: str) -> bool:
        return torch.equal(self._group_of(name), self._neighbours(self.shapes[name][1]))

    def _neighbours(self, columns: int) -> Tensor:
        return torch.arange(columns) // self.group_size(columns)

    def _check(self) -> None:
        """Raise SansiError unless the files hold exactly the tensors of the model, whole or by their parts."""
        expected: dict[str, tuple[int, ...]] = {}
        for name, shape in self.shapes.items():
            expected |= self.stored(name) if name in self.quantised else {name: shape}
        found = self.files.shapes
        if self.config.tie_word_embeddings and LM_HEAD in found:
            expected[LM_HEAD] = expected.get(EMBEDDING, found[LM_HEAD])  # the official FP8 files carry it
        read = {name: shape for name, shape in found.items() if name in expected or not name.endswith(self.optional)}
        if problems := misfits(expected, read, names=5, shapes=3):
            raise SansiError(f"{self.folder}: the {self.method} weights do not fit config.json: {'; '.join(problems)}")


def whole_number(described: Mapping[str, Any], keys: Sequence[str], allowed: Sequence[int], where: str) -> int:
    """The value under the first of `keys` that is there. Raises SansiError for any other than those allowed."""
    key = next((key for key in keys if key in described), keys[0])
    value = described.get(key)
    if not isinstance(value, int) or value not in allowed or isinstance(value, bool):
        known = " or ".join(map(str, allowed))
        raise SansiError(f'{where}: "{key}" is {show(value)}, and Sansi reads {known}; take the full model')
    return value


def unpacked(words: Tensor, bits: int) -> Tensor:
    """[..., W] int32 -> [..., W, 32 / bits] uint8: the lowest bits first."""
    shifts = torch.arange(0, 32, bits, dtype=torch.int32)
    return ((words.unsqueeze(-1) >> shifts) & (2**bits - 1)).to(torch.uint8)
