"""GPTQ, four or eight bits, in files of the first version (see `formats/gptq.py`)."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, ClassVar

import torch
from torch import Tensor

from sansi import __version__
from sansi.base.config import not_among
from sansi.model.formats.names import same_inputs
from sansi.model.formats.weights import WeightSource
from sansi.model.formats.writing.calibrated import CalibratedFormat, CalibratedOptions, shared_inputs
from sansi.model.formats.writing.folder_format import Piece, WriterOptions, is_projection, piece_of
from sansi.model.formats.writing.grouped import SIZES
from sansi.model.formats.writing.layer_walk import SecondMoments
from sansi.model.formats.writing.levels import (
    DAMP,
    Levels,
    best_rows,
    by_importance,
    compensated,
    nearest,
    plain_grid,
    symmetric_grid,
)
from sansi.model.formats.writing.shards import Stored
from sansi.model.formats.writing.words import words

BITS = (4, 8)
FLOOR = 1e-4
"""The least that an input counts in the search of scales, beside the mean."""
_JOINED = MappingProxyType({"q_proj": "qkv_proj", "gate_proj": "gate_up_proj"})
"""What other programs call matrices together that get the same inputs, by the first of them."""


@dataclass(frozen=True)
class GptqOptions(CalibratedOptions):
    """Options of GPTQ."""

    bits: int = 4
    desc_act: bool = False
    """Groups of inputs that matter alike: a smaller error, and slower in most programs."""
    damp_percent: float = DAMP
    """Share of the mean second moment that is added to each."""

    def problems(self) -> list[str]:
        wrong = not_among(self, "bits", BITS)
        if not 0 < self.damp_percent < 1:
            wrong.append(f'"damp_percent" must lie between 0 and 1, not {self.damp_percent}')
        if self.desc_act and self.group_size == -1:
            wrong.append('"desc_act" orders groups, and "group_size" -1 makes one of all inputs; leave one of them out')
        return super().problems() + wrong

    def sizes(self) -> Sequence[int]:
        return (*SIZES, -1)


class LevelsFormat(CalibratedFormat):
    """Symmetric levels in groups of inputs, each matrix rounded with regard to the second moments of its inputs."""

    bits: int
    descending: bool = False
    damp: float = DAMP

    def layer(self, tensors: Mapping[str, Tensor], moments: SecondMoments) -> Iterator[tuple[str, Piece]]:
        for names in shared_inputs(name for name in tensors if name in self.quantised):
            together = torch.cat([tensors[name] for name in names])
            levels = self.levels(together, moments.of(names[0]))
            first = 0
            for name in names:
                mine = levels.rows(first, first + len(tensors[name]))
                meant = mine.floats()
                yield name, piece_of(tensors[name].cpu(), self.parts(name, 0, mine), meant.cpu())
                tensors[name].copy_(meant)
                first += len(mine.q)
        for name, tensor in tensors.items():
            if name not in self.quantised:
                yield name, self.whole(name, tensor, tensor.cpu())

    def rounded(self, name: str, first: int, rows: Tensor) -> tuple[dict[str, tuple[int, Tensor]], Tensor]:
        levels = self.levels(rows, None)
        return self.parts(name, first, levels), levels.floats()

    def levels(self, weight: Tensor, moments: Tensor | None) -> Levels:
        """moments: second ones of the inputs [K, K]; None: nothing is known of them."""
        columns = weight.shape[1]
        group_of = by_importance(moments, columns, self.group_size(columns), self.descending)
        dtypes = (torch.float16, self.dtype)
        plain = nearest(weight, symmetric_grid(weight, self.bits, group_of, dtypes))
        if moments is None:
            return plain
        diagonal = moments.diagonal()
        importance = diagonal.clamp(min=FLOOR * diagonal.mean().item() or 1.0)
        grid = symmetric_grid(weight, self.bits, group_of, dtypes, importance)
        widest = plain_grid(weight, self.bits, group_of, dtypes)
        candidates = [nearest(weight, widest), plain, nearest(weight, grid)]
        better = compensated(weight, grid, moments, self.damp)
        return best_rows(weight, [*candidates, *([better] if better else [])], moments).levels

    def parts(self, name: str, first: int, levels: Levels) -> dict[str, tuple[int, Tensor]]:
        """What the files hold of rows from `first` on, as `Piece.parts`."""
        raise NotImplementedError


class GptqWriter(LevelsFormat):
    """Projections and experts in symmetric levels; embedding, norms, routers and head in full."""

    name: ClassVar[str] = "gptq"
    options_type: ClassVar[type[WriterOptions]] = GptqOptions
    options: GptqOptions

    def __init__(self, weights: WeightSource, options: GptqOptions, calibration: Iterable[Tensor] | None = None):
        self.bits, self.descending, self.damp = options.bits, options.desc_act, options.damp_percent
        super().__init__(weights, options, calibration)

    def fits(self, name: str, shape: tuple[int, ...]) -> bool:
        whole = is_projection(name) and not any(size % (32 // self.bits) for size in shape)
        return whole and shape[1] % self.group_size(shape[1]) == 0

    def kind(self, name: str) -> str:
        return f"int{self.bits}"

    def described(self) -> Mapping[str, Any]:
        meta = {"quantizer": [f"sansi:{__version__}"], "damp_percent": self.damp, "static_groups": not self.descending}
        said: dict[str, Any] = {
            "quant_method": "gptq",
            "bits": self.bits,
            "group_size": self.group,
            "desc_act": self.descending,
            "sym": True,
            "lm_head": False,
            "checkpoint_format": "gptq",
            "pack_dtype": "int32",
            "meta": {**meta, "true_sequential": False},
        }
        full = sorted({f"-:{pattern}" for name in self.full_modules() for pattern in _patterns(name)})
        return {"quantization_config": said | ({"dynamic": {pattern: {} for pattern in full}} if full else {})}

    def stored(self, name: str) -> list[Stored]:
        (rows, columns), stem = self.weights.shapes[name], name.removesuffix("weight")
        groups, per_word = columns // self.group_size(columns), 32 // self.bits
        return [
            Stored(f"{stem}qweight", torch.int32, (columns // per_word, rows)),
            Stored(f"{stem}qzeros", torch.int32, (groups, rows // per_word)),
            Stored(f"{stem}scales", torch.float16, (groups, rows)),
            Stored(f"{stem}g_idx", torch.int32, (columns,)),
        ]

    def parts(self, name: str, first: int, levels: Levels) -> dict[str, tuple[int, Tensor]]:
        stem, grid = name.removesuffix("weight"), levels.grid
        less_one = (grid.zeros - 1).to(torch.uint8).T.contiguous()  # files of the first version
        tensors = {
            "qweight": words(levels.q, self.bits).T,
            "qzeros": words(less_one, self.bits),
            "scales": grid.scales.T.to(torch.float16),
            "g_idx": grid.group_of.to(torch.int32),
        }
        return {f"{stem}{part}": (0, tensor.cpu()) for part, tensor in tensors.items()}


def _patterns(module: str) -> list[str]:
    """What matches a module, and what other programs make of it together with its neighbours."""
    if module.endswith(".mlp.gate"):
        return [r".*\.mlp\.gate$"]
    stem, _, kind = module.rpartition(".")
    first = same_inputs(kind)[0]
    names = [kind, *([_JOINED[first]] if first in _JOINED else [])]
    return [f".*{re.escape(f'{stem}.{name}')}$" for name in names]
