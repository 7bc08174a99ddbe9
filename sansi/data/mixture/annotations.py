"""Annotations as columns: what is known about each document along the axes that a weight may depend on.

An axis is named as users name it in a recipe:

    quality, value, difficulty, …     a field of `Document`: a number, or a word (kind, language, source, domain, …)
    length                            logarithm to base 2 of the bytes of the text
    primary_language                  the language without script and country: "en" of "en-US"
    signals.NAME, metadata.NAME       an entry of these maps; numbers where all entries are
    log2(AXIS)                        of 1 + the number, for counts
"""

from __future__ import annotations

import dataclasses
import math
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from sansi.base.errors import SansiError, did_you_mean
from sansi.data.documents import Document

Value = float | str | None
LENGTH, PRIMARY_LANGUAGE = "length", "primary_language"
_MAPS = ("signals", "metadata", "provenance")
_NO_AXES = ("id", "text", "sha256", "url", "title", "date", *_MAPS)
FIELDS = tuple(field.name for field in dataclasses.fields(Document) if field.name not in _NO_AXES)
_LOGARITHM = re.compile(r"log2\((.*)\)")


@dataclass(frozen=True)
class Annotations:
    """Documents by what is known about them: a column for each axis."""

    ids: tuple[str, ...]
    sizes: npt.NDArray[np.int64]
    """Bytes of each text."""
    columns: dict[str, list[Value]]

    @classmethod
    def of(cls, documents: Iterable[Document], axes: Sequence[str]) -> Annotations:
        """Raises SansiError for an axis that there is not, or that has words where it needs numbers."""
        readers = {axis: reader(axis) for axis in axes}
        ids: list[str] = []
        sizes: list[int] = []
        columns: dict[str, list[Value]] = {axis: [] for axis in axes}
        for document in documents:
            ids.append(document.id)
            sizes.append(document.size)
            for axis, read in readers.items():
                columns[axis].append(read(document))
        typed = {axis: _typed(axis, column) for axis, column in columns.items()}
        return cls(tuple(ids), np.array(sizes, np.int64), typed)

    def __len__(self) -> int:
        return len(self.ids)

    def column(self, axis: str) -> list[Value]:
        if axis not in self.columns:
            raise SansiError(f'the annotations have no "{axis}"{did_you_mean(axis, self.columns)}', param="axes")
        return self.columns[axis]

    def rows(self, chosen: Sequence[int] | npt.NDArray[np.integer]) -> Annotations:
        """Those documents alone."""
        columns = {axis: [column[i] for i in chosen] for axis, column in self.columns.items()}
        return Annotations(tuple(self.ids[i] for i in chosen), self.sizes[np.asarray(chosen, np.int64)], columns)


def reader(axis: str) -> Callable[[Document], Value]:
    """What reads an axis of a document; None of one that is not annotated. Raises SansiError for no such axis."""
    if match := _LOGARITHM.fullmatch(axis):
        inner = reader(match[1])
        return lambda document: _log2(axis, inner(document))
    if axis == LENGTH:
        return lambda document: math.log2(max(document.size, 1))
    if axis == PRIMARY_LANGUAGE:
        return lambda document: document.language.partition("-")[0]
    table, _, key = axis.partition(".")
    if key and table in _MAPS:
        return lambda document: getattr(document, table).get(key)
    if axis not in FIELDS:
        known = [LENGTH, PRIMARY_LANGUAGE, *FIELDS, "signals.NAME", "metadata.NAME"]
        raise SansiError(f'no axis "{axis}" of documents{did_you_mean(axis, known)}', param="axes")
    return lambda document: _plain(getattr(document, axis))


def numbers_of(column: Sequence[Value]) -> npt.NDArray[np.float64]:
    """A column of numbers, NaN where a document has none."""
    return np.array([np.nan if value is None else float(value) for value in column], np.float64)


def is_numeric(column: Sequence[Value]) -> bool:
    return all(value is None or isinstance(value, float) for value in column)


def _plain(value: object) -> Value:
    return float(value) if isinstance(value, bool | int | float) else value  # type: ignore[return-value]


def _log2(axis: str, value: Value) -> float | None:
    if value is None:
        return None
    number = _number(value)
    if number is None or number < 0:
        raise SansiError(f'"{axis}" needs numbers of 0 or more, and a document has {value!r}', param="axes")
    return math.log2(1 + number)


def _number(value: Value) -> float | None:
    try:
        number = float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        return None
    return number if math.isfinite(number) else None


def _typed(axis: str, column: list[Value]) -> list[Value]:
    """All numbers, or all words: a map may hold "3" where a number is meant."""
    known = [value for value in column if value is not None]
    numbers = [_number(value) for value in known]
    if any(isinstance(value, float) for value in known) and None in numbers:
        bad = known[numbers.index(None)]
        raise SansiError(
            f'axis "{axis}": {bad!r} among numbers; give finite numbers, or words throughout', param="axes"
        )
    if known and None not in numbers:
        return [None if value is None else _number(value) for value in column]
    return [None if value is None else str(value) for value in column]
