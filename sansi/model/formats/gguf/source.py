"""The weights in a GGUF file as a WeightSource."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from types import MappingProxyType

import torch
from torch import Tensor

from sansi.base.errors import SansiError
from sansi.model.formats.folders import model_folder, read_config, read_config_values
from sansi.model.formats.gguf import blocks
from sansi.model.formats.gguf.file import GgufFile, StoredTensor
from sansi.model.formats.gguf.names import ROPE_FACTORS, paired_row, place_of
from sansi.model.formats.gguf.values import PLAIN, floats, parts, tensor_of
from sansi.model.formats.parts import Parts, put_rows
from sansi.model.formats.tensors import misfits
from sansi.model.formats.weights import WeightFormat, fill_from_rows, shapes_of
from sansi.model.kernels import GROUP, PackedWeight

AS_THEY_ARE = MappingProxyType(
    {
        **{blocks.Q8_0: "int8", blocks.Q5_0: "int8", blocks.Q4_0: "int4"},
        **{blocks.Q4_1: "int4a/1", blocks.Q5_1: "int5a/1"},
        **{blocks.Q4_K: "int4a", blocks.Q5_K: "int5a", blocks.Q6_K: "int6"},
    }
)
"""The packed kind that holds the values of a type exactly."""


class GgufSource:
    """The weights of a GGUF file, by the folder that `folder_of` made for it. Raises SansiError as `load` does."""

    def __init__(self, folder: str | Path):
        folder = model_folder(folder)
        path = Path(read_config_values(folder)["quantization_config"]["file"])
        if not path.is_file():
            raise SansiError(f"{path} is no longer there; give the GGUF file where it lies now")
        self.config = read_config(folder)
        self.file = GgufFile(path)
        self.shapes = shapes_of(self.config)
        """Of every tensor of the model, experts one by one."""
        self._check()
        matrices = [n for n, shape in self.shapes.items() if len(shape) == 2 and not n.endswith(".mlp.gate.weight")]
        self.kinds = {name: kind for name in matrices if (kind := AS_THEY_ARE.get(self.stored(name).kind))}
        """Of the matrices that the CPU kernels take as they are."""

    @property
    def format(self) -> WeightFormat:
        return WeightFormat(f"gguf {self.file.kind}", self.file.bits, self._note())

    def stored(self, name: str) -> StoredTensor:
        """Where a tensor lies; an expert's is that of all experts."""
        return self.file.tensors[place_of(name, self.config).name]

    def rows(self, name: str, first: int, last: int) -> Tensor:
        """Rows [first, last): float32, or the dtype of a type that is not quantised."""
        if len(self.shapes[name]) == 1:
            vector = self.stored(name)
            return floats(self.file.read(vector, 0, 1), vector.kind, 1, vector.shape[0])[0, first:last]
        stored, data, order = self._read(name, first, last)
        found = floats(data, stored.kind, len(data) // stored.row_bytes, stored.shape[-1])
        return found if order is None else found[order]

    def fill(self, names: Sequence[str], packed: PackedWeight) -> None:
        """Put the rows of all `names`, one after the other, into `packed`, as they are where it is of their kind."""
        if {self.kinds.get(name) for name in names} != {packed.kind}:
            fill_from_rows(packed, names, self.shapes, self.rows)
            return
        put_rows(packed, names, self.shapes, self._parts)

    def _parts(self, name: str, first: int, last: int) -> Parts:
        stored, data, order = self._read(name, first, last)
        raw = tensor_of(data, stored.kind, len(data) // stored.row_bytes, stored.shape[-1])
        return parts(raw if order is None else raw[order], stored.kind)

    def _read(self, name: str, first: int, last: int) -> tuple[StoredTensor, bytearray, Tensor | None]:
        """The bytes of rows of a matrix; where the file has another order, also which of them were asked for."""
        stored, place = self.stored(name), place_of(name, self.config)
        start = (place.expert or 0) * self.shapes[name][0]
        if not place.paired:
            return stored, self.file.read(stored, start + first, start + last), None
        width = self.config.head_dim
        low, high = first // width * width, -(-last // width) * width
        order = torch.tensor([paired_row(row, width) - low for row in range(first, last)])
        return stored, self.file.read(stored, low, high), order

    def _check(self) -> None:
        """Raise SansiError unless the file holds exactly the tensors of the model, in its shapes."""
        expected: dict[str, tuple[int, ...]] = {}
        for name, shape in self.shapes.items():
            place = place_of(name, self.config)
            expected[place.name] = shape if place.expert is None else (self.config.num_experts, *shape)
        found = {name: tensor.shape for name, tensor in self.file.tensors.items() if name != ROPE_FACTORS}
        if problems := misfits(expected, found, by="the metadata", names=5, shapes=3):
            raise SansiError(f"{self.file.path} does not hold the model that it describes: " + "; ".join(problems))

    def _note(self) -> str:
        matrices = [name for name, shape in self.shapes.items() if len(shape) == 2]
        wide = sorted(
            {self.stored(n).kind.name for n in matrices if n not in self.kinds and self.stored(n).kind not in PLAIN}
        )
        if wide:
            return f"{', '.join(wide)} are widened to float32; the rest is computed with as it is"
        return "computed with as it is, on the CPU"


assert GROUP == 32  # of Q4_0 and Q8_0 as of int4 and int8
