"""Where weights come from, whatever format they are in: one protocol, and what every reader of one needs."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from sansi.base.errors import SansiError
from sansi.model.config import ModelConfig
from sansi.model.formats.names import tensor_table
from sansi.model.kernels import PANEL, PackedWeight
from sansi.model.kernels.cpu.packing import pack_into, rows_at_once
from sansi.model.transformer import Transformer, uncompiled

Rows = Callable[[str, int, int], Tensor]
"""(name on the hub, first, last) -> those rows of the tensor."""
VALUES_AT_ONCE = 2**22
SHORT = {torch.bfloat16: "bf16", torch.float16: "fp16", torch.float32: "fp32"}
"""What dtypes are called."""


@dataclass(frozen=True)
class WeightFormat:
    """How weights are stored."""

    name: str
    """ "bf16", "int4", "fp8", "awq", "gguf Q4_K_M"."""
    bits: float
    """Mean per weight."""
    note: str = ""
    """One sentence: computed with as it is, or widened to what."""


class WeightSource(Protocol):
    """The weights of a model, piece by piece, by the names that they have on the hub (experts one by one)."""

    @property
    def config(self) -> ModelConfig: ...

    @property
    def shapes(self) -> Mapping[str, tuple[int, ...]]:
        """Of every tensor of the model; a tied head is absent."""

    @property
    def format(self) -> WeightFormat: ...

    @property
    def kinds(self) -> Mapping[str, str]:
        """Matrix -> the packed kind in which the CPU kernels take it as it is; absent: floats."""

    def rows(self, name: str, first: int, last: int) -> Tensor:
        """Rows [first, last) as floats; what is quantised is dequantised."""

    def fill(self, names: Sequence[str], packed: PackedWeight) -> None:
        """Put the rows of all `names`, one after the other, into `packed`: as they are where it is of their kind."""


class ModelWeights:
    """The weights of a model in memory."""

    def __init__(self, model: Transformer):
        self._table = tensor_table(uncompiled(model))
        self.config = model.config
        self.shapes = {name: tuple(tensor.shape) for name, tensor in self._table.items()}
        self.kinds: Mapping[str, str] = {}

    @property
    def format(self) -> WeightFormat:
        dtype = next(iter(self._table.values())).dtype
        return WeightFormat(SHORT.get(dtype, str(dtype).removeprefix("torch.")), 8 * dtype.itemsize)

    def rows(self, name: str, first: int, last: int) -> Tensor:
        return self._table[name][first:last].detach().cpu()

    def fill(self, names: Sequence[str], packed: PackedWeight) -> None:
        fill_from_rows(packed, names, self.shapes, self.rows)


def shapes_of(config: ModelConfig) -> dict[str, tuple[int, ...]]:
    """Of every tensor of such a model, experts one by one."""
    with torch.device("meta"):
        return {name: tuple(tensor.shape) for name, tensor in tensor_table(Transformer(config)).items()}


@torch.no_grad()
def fill_model(model: Transformer, source: WeightSource) -> None:
    """Give a model the weights of a source, in the dtype and on the device that it has."""
    for name, tensor in tensor_table(model).items():
        step = max(1, VALUES_AT_ONCE // max(tensor[:1].numel(), 1))
        for first in range(0, len(tensor), step):
            piece = tensor[first : first + step]
            piece.copy_(source.rows(name, first, first + len(piece)))


def fill_from_rows(
    packed: PackedWeight, names: Sequence[str], shapes: Mapping[str, tuple[int, ...]], rows: Rows
) -> None:
    """Put the rows of all `names`, one after the other, into `packed`, rounded to its kind.

    Raises SansiError that names the tensor where a value can not be rounded.
    """
    at = 0
    for name, piece in _pieces(packed, names, shapes, rows):
        try:
            pack_into(packed, at, piece)
        except SansiError as error:
            raise SansiError(f"{name}: {error}", param=error.param) from error
        at += len(piece)


def _pieces(
    packed: PackedWeight, names: Sequence[str], shapes: Mapping[str, tuple[int, ...]], rows: Rows
) -> Iterator[tuple[str, Tensor]]:
    """Name and rows, of whole panels but for the last."""
    if any(shapes[name][0] % PANEL for name in names[:-1]):
        yield " and ".join(names), torch.cat([rows(name, 0, shapes[name][0]) for name in names])
        return
    step = rows_at_once(packed.kind, packed.columns)
    for name in names:
        for first in range(0, shapes[name][0], step):
            yield name, rows(name, first, min(first + step, shapes[name][0]))
