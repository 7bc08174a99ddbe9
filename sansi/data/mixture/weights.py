"""The weight of a document: log-linear in its features, within bounds; `weights.json` keeps it."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from sansi.base.config import load_config
from sansi.base.errors import SansiError
from sansi.base.files import read_json, write_json
from sansi.data.documents import Document
from sansi.data.mixture.annotations import Annotations, Value, reader
from sansi.data.mixture.features import Atom, FeatureSpace, Floats, Number, Term
from sansi.data.mixture.shares import Bounds

WEIGHTS_FILE = "weights.json"
FORMAT = "sansi-document-weights-1"


@dataclass(frozen=True)
class Coefficient:
    """Of a feature."""

    value: float
    """By how much the logarithm of the weight grows with a deviation of the feature."""
    effect: float = 0.0
    """Bits per byte where its mean over what is read is one deviation higher; below 0 helps."""
    low: float = 0.0
    """With `high`, the interval that holds 95% of the effects of fits to resampled proxies."""
    high: float = 0.0


@dataclass(frozen=True)
class DocumentWeights:
    """`weights(document)` is how often a training run reads the document on average; between the bounds.

    The whole corpus that it was fitted on is then read `epochs` times. A document that lacks an annotation counts as
    the mean one in it, a word that was rare as none of the common ones.
    """

    space: FeatureSpace
    coefficients: tuple[Coefficient, ...]
    """One for each feature."""
    log_level: float
    """Logarithm of the weight of a document that is the mean in all features."""
    bounds: Bounds
    epochs: float
    fitted_on: Mapping[str, Any] = field(default_factory=dict)
    """Digests of corpus and proxies, and counts."""

    def __call__(self, document: Document) -> float:
        features = self.space.row({axis: read(document) for axis, read in self._readers})
        pairs = zip(features, self.coefficients, strict=True)
        logarithm = self.log_level + math.fsum(feature * coefficient.value for feature, coefficient in pairs)
        return min(max(math.exp(min(max(logarithm, -700.0), 700.0)), self.bounds.low), self.bounds.high)

    @cached_property
    def _readers(self) -> list[tuple[str, Callable[[Document], Value]]]:
        return [(axis, reader(axis)) for axis in self.space.axes]

    def of(self, documents: Iterable[Document]) -> Floats:
        """The weights of several documents, faster than one by one."""
        return self.of_annotations(Annotations.of(documents, self.space.axes))

    def of_annotations(self, annotations: Annotations) -> Floats:
        scores = self.space.matrix(annotations) @ np.array([c.value for c in self.coefficients])
        return np.clip(np.exp(np.clip(self.log_level + scores, -700.0, 700.0)), self.bounds.low, self.bounds.high)

    def save(self, folder: Path) -> Path:
        """Write `weights.json` into the folder."""
        features = [
            {"name": term.name, "atoms": [asdict(atom) for atom in term.atoms], "mean": term.mean, "scale": term.scale}
            | {"coefficient": c.value, "effect": c.effect, "interval": [c.low, c.high]}
            for term, c in zip(self.space.terms, self.coefficients, strict=True)
        ]
        values = {
            "format": FORMAT,
            "features": features,
            "numbers": {name: asdict(number) for name, number in sorted(self.space.numbers.items())},
            "log_level": self.log_level,
            "bounds": asdict(self.bounds),
            "epochs": self.epochs,
            "fitted_on": dict(self.fitted_on),
        }
        write_json(Path(folder) / WEIGHTS_FILE, values)
        return Path(folder) / WEIGHTS_FILE


@dataclass(frozen=True)
class _Feature:
    """A feature as the file has it."""

    name: str
    atoms: tuple[Atom, ...]
    mean: float
    scale: float
    coefficient: float
    effect: float
    interval: tuple[float, float]


@dataclass(frozen=True)
class _File:
    format: str
    features: tuple[_Feature, ...]
    numbers: dict[str, Number]
    log_level: float
    bounds: Bounds
    epochs: float
    fitted_on: dict[str, Any]


def load_weights(folder: Path | str) -> DocumentWeights:
    """The weights of a folder that the kind `document_weights` left, or of a `weights.json` itself.

    Raises SansiError where there is none, or it is damaged or of another version.
    """
    file = Path(folder)
    file = file / WEIGHTS_FILE if file.is_dir() else file
    if not file.is_file():
        raise SansiError(f"{file}: no such file; the stage document_weights makes it")
    values = read_json(file)
    if not isinstance(values, dict) or values.get("format") != FORMAT:
        raise SansiError(f"{file}: not the weights of documents, or another version's; fit them again")
    read = load_config(_File, values, str(file))
    _check(read, file)
    terms = tuple(Term(feature.atoms, feature.mean, feature.scale) for feature in read.features)
    coefficients = tuple(Coefficient(f.coefficient, f.effect, *f.interval) for f in read.features)
    return DocumentWeights(
        FeatureSpace(read.numbers, terms), coefficients, read.log_level, read.bounds, read.epochs, read.fitted_on
    )


def times_included(weight: float, document_id: str, seed: int) -> int:
    """How often a document of that weight is read: floor(weight + u), u in [0, 1) a hash of its id and the seed.

    The same whoever asks and in whatever order; on average the weight, never more than the weight rounded up.
    """
    if not (math.isfinite(weight) and weight >= 0):
        raise SansiError(f'the weight of "{document_id}" is {weight}; weights are finite numbers of 0 or more')
    return math.floor(weight + unit_hash(f"{seed} {document_id}"))


def unit_hash(text: str) -> float:
    """A number in [0, 1) that the text decides."""
    # 53 bits: a float holds them exactly, so that 1 is never reached by rounding
    digest = hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).digest()
    return (int.from_bytes(digest, "little") >> 11) / float(1 << 53)


def _check(read: _File, file: Path) -> None:
    """Raise SansiError for values that no fit leaves."""
    numbers = [read.log_level, *(c for f in read.features for c in (f.coefficient, f.mean, f.scale))]
    known = all(
        atom.level is not None or atom.axis in read.numbers for feature in read.features for atom in feature.atoms
    )
    scaled = all(f.scale > 0 and f.atoms for f in read.features) and all(n.scale > 0 for n in read.numbers.values())
    if not (all(map(math.isfinite, numbers)) and known and scaled and 0 <= read.bounds.low <= read.bounds.high):
        raise SansiError(f"{file} is damaged: its features do not fit together; fit the weights again")
