"""What the writers of all formats share: which tensors of a model are quantised, and the pieces that are written."""

from __future__ import annotations

import math
import re
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor

from sansi.base.config import Config, not_among, too_small
from sansi.base.device import resolve_dtype
from sansi.base.errors import SansiError
from sansi.model.bundle import ModelBundle
from sansi.model.formats.names import same_inputs
from sansi.model.formats.weights import SHORT, VALUES_AT_ONCE, WeightSource
from sansi.model.formats.writing.shards import Stored

SHARD_BYTES = 4 * 2**30
_PROJECTION = re.compile(r"(?P<module>.*\.)(?P<kind>[qkvo]_proj|gate_proj|up_proj|down_proj)\.weight")
ROUTER = ".mlp.gate.weight"
_DTYPES = ("auto", "bfloat16", "float16", "float32")


@dataclass(frozen=True)
class WriterOptions(Config):
    """What every format can be told; some have options of their own beside these."""

    dtype: str = "auto"
    """Of what is not quantised; "auto": that of the source, bfloat16 where it is quantised."""
    shard_bytes: int = SHARD_BYTES
    """The largest size of a file."""

    def problems(self) -> list[str]:
        return not_among(self, "dtype", _DTYPES) + too_small(self, 1, "shard_bytes")


@dataclass(frozen=True)
class Piece:
    """Some of the values of a tensor, as the files have them."""

    parts: Mapping[str, tuple[int, Tensor]]
    """Tensor of the files -> its first element here, and the values from there on."""
    missed: float
    """Squared error against the source, summed."""
    total: float
    """Squares of the source, summed."""


class FolderFormat(ABC):
    """A format, for one model: what stands in its files and in its config.json."""

    name: ClassVar[str]
    options_type: ClassVar[type[WriterOptions]] = WriterOptions
    metadata: ClassVar[Mapping[str, str]] = {"format": "pt"}
    """Of each file."""
    calibrated: ClassVar[str] = "never"
    """Whether it reads a text: "never", "optional" or "needed"."""
    rows_together: ClassVar[int] = 1
    """Rows of a matrix that are rounded together."""

    def __init__(self, weights: WeightSource, options: WriterOptions):
        self.weights, self.options = weights, options
        self.dtype = _kept_dtype(weights, options.dtype)
        """Of what is not quantised."""
        fitting = {name for name, shape in weights.shapes.items() if self.fits(name, shape)}
        self.quantised = frozenset(name for name in fitting if fitting.issuperset(together_with(name)))
        """Matrices whose inputs and outputs the format has room for."""
        self.coverage: Mapping[str, int] = {}
        """As in WrittenFolder, once all is written."""

    # ---- what a format says ------------------------------------------------------------------------------------------

    @abstractmethod
    def fits(self, name: str, shape: tuple[int, ...]) -> bool:
        """Whether it quantises such a tensor."""

    @abstractmethod
    def described(self) -> Mapping[str, Any]:
        """What config.json says of it: keys at its top."""

    def stored(self, name: str) -> list[Stored]:
        """The tensors that stand for a quantised matrix."""
        raise NotImplementedError

    def kind(self, name: str) -> str:
        """What a quantised matrix is stored as."""
        raise NotImplementedError

    def rounded(self, name: str, first: int, rows: Tensor) -> tuple[dict[str, tuple[int, Tensor]], Tensor]:
        """Rows [n, K] float32 of a quantised matrix from its row `first` on: as `Piece.parts`, and what these mean."""
        raise NotImplementedError

    def files(self, bundle: ModelBundle) -> Mapping[str, bytes]:
        """Files of the bundle that this format has otherwise."""
        return {}

    def index_metadata(self) -> Mapping[str, int]:
        """What the index says beside the total size."""
        return {}

    # ---- what follows ------------------------------------------------------------------------------------------------

    def full_modules(self) -> list[str]:
        """What is not quantised among what is: routers, and matrices that the format has no room for."""
        matrices = [n for n in self.weights.shapes if is_projection(n) or n.endswith(ROUTER)]
        return [name.removesuffix(".weight") for name in matrices if name not in self.quantised]

    def planned(self) -> list[Stored]:
        """All tensors of the files, in the order of the model."""
        found: dict[str, Stored] = {}
        for name, shape in self.weights.shapes.items():
            tensors = self.stored(name) if name in self.quantised else self.stored_in_full(name, shape)
            found |= {tensor.name: tensor for tensor in tensors}
        return list(found.values())

    def stored_in_full(self, name: str, shape: tuple[int, ...]) -> list[Stored]:
        """The tensor that stands for one that is not quantised."""
        return [Stored(name, self.dtype, shape)]

    def kind_of(self, name: str) -> str:
        return self.kind(name) if name in self.quantised else SHORT[self.dtype]

    def pieces(self) -> Iterator[tuple[str, Piece]]:
        """Everything, by the name of the tensor that it is of."""
        for name in self.weights.shapes:
            yield from ((name, piece) for piece in self.pieces_of(name))

    def pieces_of(self, name: str) -> Iterator[Piece]:
        shape = self.weights.shapes[name]
        unit = self.rows_together if name in self.quantised else 1
        step = max(1, VALUES_AT_ONCE // math.prod(shape[1:]) // unit) * unit
        for first in range(0, shape[0], step):
            rows = self.weights.rows(name, first, min(first + step, shape[0]))
            check_finite(name, rows)
            if name in self.quantised:
                yield piece_of(rows.float(), *self.rounded(name, first, rows.float()))
            else:
                yield self.in_full(name, first, rows)

    def in_full(self, name: str, first: int, rows: Tensor) -> Piece:
        """Rows of a tensor that is not quantised."""
        values = narrowed(name, rows, self.dtype)
        (stored,) = self.stored_in_full(name, self.weights.shapes[name])
        start = self.start_in(name) + first * math.prod(rows.shape[1:])
        return piece_of(rows, {stored.name: (start, values)}, values)

    def start_in(self, name: str) -> int:
        """The first element of a tensor in the one that is stored for it."""
        return 0


def piece_of(rows: Tensor, parts: Mapping[str, tuple[int, Tensor]], meant: Tensor) -> Piece:
    """A piece with its error: `meant` is what stands for `rows`."""
    wide = rows.float()
    missed = 0.0 if meant.dtype == rows.dtype and torch.equal(meant, rows) else _squares(wide - meant)
    return Piece(parts, missed, _squares(wide))


def check_finite(name: str, values: Tensor) -> None:
    """Raise SansiError for a weight that is no number, or infinite."""
    if not math.isfinite(values.sum(dtype=torch.float32).item()) and not values.isfinite().all():  # mostly one pass
        raise SansiError(f"{name}: a weight is not finite; the model is damaged, take another checkpoint of it")


def narrowed(name: str, rows: Tensor, dtype: torch.dtype) -> Tensor:
    """The rows in a dtype. Raises SansiError for a value that is too large for it."""
    values = rows.to(dtype)
    if not values.isfinite().all():
        raise too_large(name, dtype)
    return values


def too_large(name: str, dtype: torch.dtype) -> SansiError:
    return SansiError(f"{name}: a weight is too large for {SHORT[dtype]}; write bfloat16", param="dtype")


def is_projection(name: str) -> bool:
    """Whether a tensor is the matrix of a projection, in attention, MLP or expert."""
    return _PROJECTION.fullmatch(name) is not None


def together_with(name: str) -> set[str]:
    """The matrices that other programs join with this one, and that have to be of one kind for that."""
    match = _PROJECTION.fullmatch(name)
    if match is None:
        return set()
    if ".experts." in match["module"]:
        return {f"{match['module']}{kind}.weight" for kind in ("gate_proj", "up_proj", "down_proj")}
    return {f"{match['module']}{kind}.weight" for kind in same_inputs(match["kind"])}


def _squares(values: Tensor) -> float:
    return torch.linalg.vector_norm(values).item() ** 2  # sums in blocks, and takes no copy


def _kept_dtype(weights: WeightSource, asked: str) -> torch.dtype:
    if asked != "auto":
        return resolve_dtype(asked, torch.device("cpu"))
    by_name = {short: dtype for dtype, short in SHORT.items()}
    return by_name.get(weights.format.name, torch.bfloat16)
