"""Trains the packaged classifiers again and measures them on texts that they have not seen.

    python -m sansi.data.classify.train --cache data/cache --folder data/unpacked

Each figure is of five rounds: a fifth of the texts (not of their pieces) is held out, the rest is learned. The model
that is saved has learned all of them.
"""

from __future__ import annotations

import argparse
import json
import zlib
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from sansi.data.classify.labelled import Labelled, labelled_texts
from sansi.data.classify.linear import MODEL, Floats, Head, LinearModel, train_head

FOLDS = 5
LEAST = {"domain": 0.4, "field": 0.5, "value": 0.0}  # probabilities below which a head abstains


@dataclass(frozen=True)
class Measured:
    """How a head did on held-out texts; only the pieces of `judged` count."""

    pieces: int
    accuracy: float  # of all pieces
    answered: float  # share that is sure enough
    accuracy_answered: float
    calibration_error: float  # mean distance of probability and accuracy in ten bins
    by_label: dict[str, float]  # accuracy


def one_hot(labels: Sequence[str], names: Sequence[str]) -> Floats:
    return np.asarray([[label == name for name in names] for label in labels], np.float32)


def train_labels(rows: Sequence[Labelled], labels: Sequence[str], least: float) -> Head:
    names = sorted(set(labels))
    return train_head([row.text for row in rows], one_hot(labels, names), names, least=least)


def train_value(texts: Sequence[str], values: Sequence[float], languages: Sequence[str] = ("en",)) -> Head:
    """A head for a scale from 0 to 1."""
    targets = np.asarray([[1 - value, value] for value in values], np.float32)
    return train_head(texts, targets, ("low", "high"), languages)


def fold_of(row: Labelled) -> int:
    return zlib.crc32(row.group.encode()) % FOLDS


def measure(
    rows: Sequence[Labelled], label: Callable[[Labelled], str], least: float, judged: Callable[[Labelled], bool]
) -> Measured:
    """Five rounds of learning and answering."""
    hits: list[tuple[str, bool, float]] = []
    for fold in range(FOLDS):
        seen = [row for row in rows if fold_of(row) != fold]
        head = train_labels(seen, [label(row) for row in seen], 0.0)
        model = LinearModel({"x": head})
        for row in rows:
            if fold_of(row) == fold and judged(row):
                answer = model.answers(row.text, "en")["x"]
                hits.append((label(row), answer.label == label(row), answer.probability))
    right, sure = np.asarray([hit for _, hit, _ in hits]), np.asarray([chance for _, _, chance in hits])
    bins = np.minimum((sure * 10).astype(int), 9)
    inside = [bins == number for number in sorted(set(bins.tolist()))]
    error = sum(abs(right[one].mean() - sure[one].mean()) * one.mean() for one in inside)
    names = sorted({name for name, _, _ in hits})
    by_label = {name: round(float(np.mean([hit for own, hit, _ in hits if own == name])), 3) for name in names}
    answered = sure >= least
    first, second, third, fourth = (
        round(float(figure), 3) for figure in (right.mean(), answered.mean(), right[answered].mean(), error)
    )
    return Measured(len(hits), first, second, third, fourth, by_label)


def train(rows: Sequence[Labelled]) -> LinearModel:
    """The three heads, from all rows."""
    forms, fields = [row for row in rows if row.domain], [row for row in rows if row.field]
    return LinearModel({
        "domain": train_labels(forms, [row.domain or "" for row in forms], LEAST["domain"]),
        "field": train_labels(fields, [row.field or "" for row in fields], LEAST["field"]),
        "value": train_value([row.text for row in forms], [row.value or 0.0 for row in forms]),
    })  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description="Train the packaged classifiers of subject, form and value.")
    parser.add_argument("--cache", type=Path, default=Path("data/cache"), help="where fetched archives are kept")
    parser.add_argument("--folder", type=Path, required=True, help="where they are unpacked")
    parser.add_argument("--out", type=Path, default=MODEL)
    arguments = parser.parse_args()
    rows = list(labelled_texts(arguments.cache, arguments.folder))
    train(rows).save(arguments.out)
    forms, fields = [row for row in rows if row.domain], [row for row in rows if row.field]
    domain = measure(forms, lambda row: row.domain or "", LEAST["domain"], lambda row: True)
    # Subjects are judged on running text alone: an entry of a dictionary is easy.
    field = measure(fields, lambda row: row.field or "", LEAST["field"], lambda row: row.domain == "academic")
    print(json.dumps({"domain": asdict(domain), "field": asdict(field)}, indent=1))


if __name__ == "__main__":
    main()
