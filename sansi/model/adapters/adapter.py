"""What an adapter adds to a model, tensor by tensor, by the names that they have on the hub.

Letters of shapes: N outputs   K inputs   r rank
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import torch
from torch import Tensor

from sansi.model.config import ModelConfig
from sansi.model.formats.tensors import EMBEDDING, LM_HEAD


@dataclass(frozen=True)
class LowRank:
    """A change of a matrix W [N, K]: W + scale * B A, or (DoRA, arXiv:2402.09353) that with its rows made as long as
    `magnitude` says."""

    A: Tensor
    """[r, K]."""
    B: Tensor
    """[N, r]."""
    scale: float
    magnitude: Tensor | None = None
    """[N]; of an embedding table [K], of its columns."""

    @cached_property
    def changes(self) -> bool:
        """Whether it is more than its initialisation."""
        return self.magnitude is not None or bool((self.B != 0).any())

    @property
    def by_column(self) -> bool:
        """Whether the magnitude is that of columns."""
        return self.magnitude is not None and len(self.magnitude) != len(self.B)

    @property
    def nbytes(self) -> int:
        return self.A.nbytes + self.B.nbytes + (0 if self.magnitude is None else self.magnitude.nbytes)

    def delta(self, first: int, last: int) -> Tensor:
        """Rows [first, last) of scale * B A, float32."""
        return self.scale * (self.B[first:last].float() @ self.A.float())


@dataclass(frozen=True)
class Adapter:
    """The changes of one PEFT folder, for a model of one configuration."""

    folder: Path
    base: str
    """The model that it was trained on, as its trainer called it; may be empty."""
    low_rank: Mapping[str, LowRank]
    replaced: Mapping[str, Tensor] = field(default_factory=dict)
    """Tensors that were trained whole."""
    new_rows: Mapping[str, tuple[Tensor, Tensor]] = field(default_factory=dict)
    """Tensor -> ids [n] of rows, and those rows [n, K]."""
    copies: Mapping[str, Tensor] = field(default_factory=dict)
    """What the adapter's folder holds of its base as it was: it tells whether another base is the same."""
    tied: bool = False
    """Whether a tied head follows the embedding; else such a head stays the base's."""

    @cached_property
    def names(self) -> tuple[str, ...]:
        """The tensors that it changes."""
        low_rank = {name for name, change in self.low_rank.items() if change.changes}
        return tuple(sorted(low_rank | self.replaced.keys() | self.new_rows.keys()))

    @property
    def nbytes(self) -> int:
        replaced = (*self.replaced.values(), *(rows for _, rows in self.new_rows.values()))
        return sum(change.nbytes for change in self.low_rank.values()) + sum(tensor.nbytes for tensor in replaced)

    def unties(self, config: ModelConfig) -> bool:
        """Whether embedding and head, tied in such a base, are two different tensors with it."""
        changed = {EMBEDDING, LM_HEAD} & set(self.names)
        return config.tie_word_embeddings and bool(changed) and not self.tied


def same_change(one: LowRank | None, other: LowRank | None) -> bool:
    """Whether both do the same to the same matrix."""
    if one is None or other is None:
        return one is other
    if one.scale != other.scale or one.A.shape != other.A.shape or one.B.shape != other.B.shape:
        return False
    magnitudes = one.magnitude, other.magnitude
    if magnitudes != (None, None):
        return False  # of an embedding they are its columns', of a head its rows'
    return torch.equal(one.A, other.A) and torch.equal(one.B, other.B)
