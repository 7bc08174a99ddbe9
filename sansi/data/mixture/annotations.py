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
        """Raises SansiError for an axis that there is not, or a logarithm of what is no number."""
        readers = {axis: reader(axis) for axis in axes}
        ids: list[str] = []
        sizes: list[int] = []
        columns: dict[str, list[Value]] = {axis: [] for axis in axes}
        for document in documents:
            ids.append(document.id)
            sizes.append(document.size)
            for axis, read in readers.items():
                columns[axis].append(read(document))
        return cls(tuple(ids), np.array(sizes, np.int64), columns)

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
        return lambda document: _plain(getattr(document, table).get(key))
    if axis not in FIELDS:
        known = [LENGTH, PRIMARY_LANGUAGE, *FIELDS, "signals.NAME", "metadata.NAME"]
        raise SansiError(f'no axis "{axis}" of documents{did_you_mean(axis, known)}', param="axes")
    return lambda document: _plain(getattr(document, axis))


def number_of(value: Value) -> float | None:
    """The number that it is or spells; None for a word, and for what is not finite."""
    try:
        number = float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        return None
    return number if math.isfinite(number) else None


def numbers_of(column: Sequence[Value]) -> npt.NDArray[np.float64]:
    """A column as numbers, NaN where a document has none."""
    found = (number_of(value) for value in column)
    return np.array([np.nan if number is None else number for number in found], np.float64)


def is_numeric(column: Sequence[Value]) -> bool:
    """Whether all that is known in it are numbers: a map may hold "3" where a number is meant."""
    return all(value is None or number_of(value) is not None for value in column)


def _plain(value: object) -> Value:
    if isinstance(value, bool | int | float):
        return float(value) if math.isfinite(value) else None
    return value  # type: ignore[return-value]


def _log2(axis: str, value: Value) -> float | None:
    if value is None:
        return None
    number = number_of(value)
    if number is None or number < 0:
        raise SansiError(f'"{axis}" needs numbers of 0 or more, and a document has {value!r}', param="axes")
    return math.log2(1 + number)
