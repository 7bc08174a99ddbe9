"""Features: columns of annotations as numbers of mean 0 and deviation 1, over the bytes of the corpus they are fit to.

A number is cut at its 1st and 99th percentile, so that a document unlike all others gets no weight unlike all others;
where it is missing, the mean stands. A word becomes a feature for each of its common values. `a*b` is the product.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from sansi.base.errors import SansiError
from sansi.data.mixture.annotations import Annotations, Value, is_numeric, number_of, numbers_of

Floats = npt.NDArray[np.float64]
MIN_SHARE = 0.01  # of the bytes, for a word to be a feature
MAX_LEVELS = 24  # words of an axis that become features
TAILS = (0.01, 0.99)


@dataclass(frozen=True)
class Number:
    """How a number is scaled: cut to [low, high], less the mean, by the deviation."""

    low: float
    high: float
    mean: float
    scale: float

    @classmethod
    def fit(cls, values: Floats, sizes: Floats) -> Number:
        known = ~np.isnan(values)
        low, high = (_quantile(values[known], sizes[known], share) for share in TAILS)
        cut = np.clip(values[known], low, high)
        mean, scale = _moments(cut, sizes[known])
        return cls(low, high, mean, scale)

    def scaled_one(self, value: Value) -> float:
        known = number_of(value)
        return 0.0 if known is None else (min(max(known, self.low), self.high) - self.mean) / self.scale

    def scaled(self, values: Floats) -> Floats:
        whole = np.where(np.isnan(values), self.mean, np.clip(values, self.low, self.high))
        return (whole - self.mean) / self.scale


@dataclass(frozen=True)
class Atom:
    """An axis, or with a level whether the axis has that word."""

    axis: str
    level: str | None = None

    @property
    def name(self) -> str:
        return self.axis if self.level is None else f"{self.axis}={self.level}"


@dataclass(frozen=True)
class Term:
    """A feature: the product of its atoms, less its mean, by its deviation."""

    atoms: tuple[Atom, ...]
    mean: float = 0.0
    scale: float = 1.0

    @property
    def name(self) -> str:
        return "*".join(atom.name for atom in self.atoms)


@dataclass(frozen=True)
class FeatureSpace:
    """The features of documents, as they were fitted to a corpus."""

    numbers: Mapping[str, Number]
    terms: tuple[Term, ...]

    @classmethod
    def fit(cls, annotations: Annotations, axes: Sequence[str], min_share: float = MIN_SHARE) -> FeatureSpace:
        """Features for `axes`, each an axis or a product of some. Raises SansiError for one that tells nothing."""
        if not len(annotations) or not annotations.sizes.sum():
            raise SansiError("there are no documents to weigh; build the corpus first")
        sizes = annotations.sizes.astype(np.float64)
        numbers, terms = {}, []
        for product in axes:
            parts = [part.strip() for part in product.split("*")]
            for axis in parts:
                column = annotations.column(axis)
                if is_numeric(column) and axis not in numbers:
                    numbers[axis] = _fitted_number(axis, column, sizes)
            for atoms in _products([_atoms(axis, annotations, min_share) for axis in parts]):
                values = _values(atoms, annotations, numbers)
                mean, scale = _moments(values, sizes)
                if scale > 1e-9:
                    terms.append(Term(atoms, mean, scale))
        if not terms:
            raise SansiError(f"no difference between the documents in {', '.join(axes) or 'no axes'}", param="axes")
        names = Counter(term.name for term in terms)
        if twice := [name for name, count in names.items() if count > 1]:
            raise SansiError(f'"{twice[0]}" is among the axes twice; name it once', param="axes")
        return cls(numbers, tuple(terms))

    def row(self, values: Mapping[str, Value]) -> list[float]:
        """The features of one document, by its values along `axes`: the row of the matrix, without its arrays."""
        found = []
        for term in self.terms:
            product = 1.0
            for atom in term.atoms:
                value = values[atom.axis]
                number = self.numbers.get(atom.axis)
                product *= (
                    number.scaled_one(value) if atom.level is None and number else is_level(value, atom.level or "")
                )
            found.append((product - term.mean) / term.scale)
        return found

    @property
    def names(self) -> list[str]:
        return [term.name for term in self.terms]

    @property
    def axes(self) -> list[str]:
        """What has to be read of documents."""
        return sorted({atom.axis for term in self.terms for atom in term.atoms})

    def matrix(self, annotations: Annotations) -> Floats:
        """float64 [documents, features]."""
        columns = [(_values(term.atoms, annotations, self.numbers) - term.mean) / term.scale for term in self.terms]
        return np.stack(columns, 1) if columns else np.zeros((len(annotations), 0))


def is_level(value: Value, level: str) -> bool:
    return value is not None and str(value) == level


def varying_axes(annotations: Annotations, axes: Iterable[str]) -> list[str]:
    """Those of `axes` in which the documents differ."""
    return [axis for axis in axes if len({v for v in annotations.column(axis) if v is not None}) > 1]


def _fitted_number(axis: str, column: Sequence[Value], sizes: Floats) -> Number:
    values = numbers_of(column)
    if np.isnan(values).all():
        raise SansiError(f'no document has "{axis}"; annotate it, or leave it out of "axes"', param="axes")
    number = Number.fit(values, sizes)
    if number.scale < 1e-9:
        raise SansiError(f'"{axis}" is {number.mean:g} in all documents; leave it out of "axes"', param="axes")
    return number


def _atoms(axis: str, annotations: Annotations, min_share: float) -> list[Atom]:
    """The number itself, or the words that are common, the most common first."""
    column = annotations.column(axis)
    if is_numeric(column):
        return [Atom(axis)]
    total: Counter[str] = Counter()
    for value, size in zip(column, annotations.sizes.tolist(), strict=True):
        if value is not None:
            total[str(value)] += size
    least = min_share * int(annotations.sizes.sum())
    common = [level for level, size in sorted(total.items(), key=lambda item: (-item[1], item[0])) if size >= least]
    return [Atom(axis, level) for level in common[:MAX_LEVELS]]


def _products(parts: Sequence[Sequence[Atom]]) -> list[tuple[Atom, ...]]:
    found: list[tuple[Atom, ...]] = [()]
    for atoms in parts:
        found = [(*before, atom) for before in found for atom in atoms]
    return found


def _values(atoms: tuple[Atom, ...], annotations: Annotations, numbers: Mapping[str, Number]) -> Floats:
    product = np.ones(len(annotations))
    for atom in atoms:
        column = annotations.column(atom.axis)
        if atom.level is None:
            product = product * numbers[atom.axis].scaled(numbers_of(column))
        else:
            product = product * np.array([is_level(value, atom.level) for value in column], np.float64)
    return product


def _moments(values: Floats, sizes: Floats) -> tuple[float, float]:
    """Mean and deviation, each document counting by its bytes."""
    shares = sizes / sizes.sum()
    mean = float(shares @ values)
    return mean, float(np.sqrt(shares @ (values - mean) ** 2))


def _quantile(values: Floats, sizes: Floats, share: float) -> float:
    order = np.argsort(values, kind="stable")
    reached = np.cumsum(sizes[order]) / sizes.sum()
    return float(values[order][min(int(np.searchsorted(reached, share)), len(values) - 1)])
