"""Adapters merged into their base: a source of weights like any other, for every reader, writer and engine."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path

import torch
from torch import Tensor

from sansi.base.errors import SansiError
from sansi.model.adapters.adapter import Adapter, LowRank
from sansi.model.adapters.read import read_adapter
from sansi.model.config import ModelConfig
from sansi.model.formats.tensors import EMBEDDING, LM_HEAD
from sansi.model.formats.weights import VALUES_AT_ONCE, WeightFormat, WeightSource, fill_from_rows
from sansi.model.kernels import PackedWeight

Given = Adapter | str | Path
SAME_BASE = 0.02
"""Relative difference up to which a copy of the base's own embedding is that of this base: bfloat16 rounds less."""
ROWS_COMPARED = 256


def merged(source: WeightSource, adapters: Given | Sequence[Given], dtype: torch.dtype | None = None) -> Merged:
    """The weights of `source` with one adapter, or several one after the other, in them.

    adapters: PEFT folders, or what `read_adapter` made of them. The sums are made in float32. dtype: what the tensors
    that changed are rounded to at the end; None: they stay float32. Raises SansiError as `read_adapter` does, and for
    an adapter whose folder holds another embedding of its base than `source` has.
    """
    given = [adapters] if isinstance(adapters, Adapter | str | Path) else list(adapters)
    if not given:
        raise SansiError("merging needs at least one adapter", param="adapters")
    for one in given:
        adapter = one if isinstance(one, Adapter) else read_adapter(one, source.config)
        source = _WithAdapter(source, adapter)
    assert isinstance(source, _WithAdapter)
    return Merged(source, dtype)


class Merged:
    """What `merged` gives: a WeightSource that also says what it changed."""

    def __init__(self, source: _WithAdapter, dtype: torch.dtype | None):
        self._source, self._dtype = source, dtype
        self.config: ModelConfig = source.config
        """With the embedding apart from the head, where an adapter changed one of the two alone."""
        self.shapes: Mapping[str, tuple[int, ...]] = source.shapes
        self.changed: tuple[str, ...] = tuple(sorted(source.changed))
        """The tensors that the adapters change, by the names that they have on the hub (experts one by one)."""
        self.kinds: Mapping[str, str] = {n: kind for n, kind in source.kinds.items() if n not in source.changed}

    @property
    def format(self) -> WeightFormat:
        """That of the base; bits: those of its weights as they are now, where changed ones are 32, or `dtype`'s."""
        base, counts = self._source.format, {name: math.prod(shape) for name, shape in self.shapes.items()}
        new, total = sum(counts[name] for name in self.changed), sum(counts.values())
        bits = 8 * (self._dtype or torch.float32).itemsize
        note = f"{len(self.changed)} tensors have an adapter merged in, in float32"
        return WeightFormat(base.name, (base.bits * (total - new) + bits * new) / total, note)

    def rows(self, name: str, first: int, last: int) -> Tensor:
        """Rows [first, last): as the base's, or merged."""
        rows = self._source.rows(name, first, last)
        return rows.to(self._dtype) if self._dtype is not None and name in self._source.changed else rows

    def fill(self, names: Sequence[str], packed: PackedWeight) -> None:
        """Put the rows of all `names`, one after the other, into `packed`."""
        if any(name in self._source.changed for name in names):
            fill_from_rows(packed, names, self.shapes, self.rows)
        else:
            self._source.fill(names, packed)


class _WithAdapter:
    """A source with one adapter in it."""

    def __init__(self, source: WeightSource, adapter: Adapter):
        self._source, self._adapter = source, adapter
        unties = adapter.unties(source.config)
        self.config = source.config.replace(tie_word_embeddings=False) if unties else source.config
        self.shapes = {**source.shapes, LM_HEAD: source.shapes[EMBEDDING]} if unties else dict(source.shapes)
        self._tied = source.config.tie_word_embeddings
        before = source.changed if isinstance(source, _WithAdapter) else frozenset()
        if unties and EMBEDDING in before:
            before |= {LM_HEAD}
        self.changed: frozenset[str] = before | frozenset(adapter.names)
        self.kinds: Mapping[str, str] = source.kinds
        check_base(adapter, source)

    @property
    def format(self) -> WeightFormat:
        return self._source.format

    def rows(self, name: str, first: int, last: int) -> Tensor:
        rows = self._base(name, first, last)
        replaced, new = self._adapter.replaced.get(name), self._adapter.new_rows.get(name)
        if replaced is not None:
            rows = replaced[first:last].float()
        if new is not None:
            rows = _with_rows(rows.float(), new, first, last)
        change = self._adapter.low_rank.get(name)
        if change is None or not change.changes:
            return rows
        return self._with_change(name, rows.float(), change, first, last)

    def fill(self, names: Sequence[str], packed: PackedWeight) -> None:
        self._source.fill([self._in_base(name) for name in names], packed)

    def _with_change(self, name: str, rows: Tensor, change: LowRank, first: int, last: int) -> Tensor:
        whole = rows + change.delta(first, last)
        if change.magnitude is None:
            return whole
        if change.by_column:
            return whole * self._column_scale[name]
        lengths = torch.linalg.vector_norm(whole, dim=1)
        return whole * (change.magnitude[first:last].float() / lengths).unsqueeze(1)

    @cached_property
    def _column_scale(self) -> dict[str, Tensor]:
        """By table, what each of its columns is multiplied with."""
        found = {}
        for name, change in self._adapter.low_rank.items():
            if change.magnitude is not None and change.by_column:
                squares = torch.zeros(self.shapes[name][1], dtype=torch.float64)
                step = max(1, VALUES_AT_ONCE // self.shapes[name][1])
                for first in range(0, self.shapes[name][0], step):
                    last = min(first + step, self.shapes[name][0])
                    whole = self._base(name, first, last).float() + change.delta(first, last)
                    squares += whole.double().square().sum(0)
                found[name] = change.magnitude.float() / squares.sqrt().float()
        return found

    def _base(self, name: str, first: int, last: int) -> Tensor:
        return self._source.rows(self._in_base(name), first, last)

    def _in_base(self, name: str) -> str:
        """Where a head that the adapter takes apart from the embedding lies in the base."""
        return EMBEDDING if name == LM_HEAD and self._tied else name


def check_base(adapter: Adapter, source: WeightSource) -> None:
    """Raise SansiError where the copy of its base's embedding or head in its folder is not that of `source`."""
    for name, copy in adapter.copies.items():
        own_name = name if name in source.shapes else EMBEDDING
        if own_name in source.kinds:
            continue  # rounded, so that they differ anyway
        own, other = source.rows(own_name, 0, min(ROWS_COMPARED, len(copy))).float(), copy[:ROWS_COMPARED].float()
        if torch.linalg.vector_norm(own - other) > SAME_BASE * torch.linalg.vector_norm(other):
            base = f', "{adapter.base}"' if adapter.base else ""
            raise SansiError(
                f"{adapter.folder}: the adapter is for another base{base}: its copy of that base's {name} is not the "
                "model's; give the model that it was trained on"
            )


def _with_rows(rows: Tensor, new: tuple[Tensor, Tensor], first: int, last: int) -> Tensor:
    ids, values = new
    inside = (ids >= first) & (ids < last)
    return rows.index_copy(0, ids[inside] - first, values[inside].float())
