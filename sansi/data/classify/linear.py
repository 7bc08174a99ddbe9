"""Linear classifiers over hashed words: numpy at run time, some hundred kilobytes in a file."""

from __future__ import annotations

import functools
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from sansi.base.errors import SansiError
from sansi.data.classify.features import SIZE, features

MODEL = Path(__file__).with_name("model.npz")
Floats = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Answer:
    """A label and how likely it is."""

    label: str
    probability: float


@dataclass(frozen=True)
class Head:
    """One question: its labels [C], weights [SIZE, C] and biases [C]."""

    labels: tuple[str, ...]
    weights: npt.NDArray[np.int8]
    scale: Floats  # [C]
    bias: Floats  # [C]
    languages: tuple[str, ...]  # on which it was trained, BCP-47; of others it knows nothing
    least: float  # probability below which it abstains


@dataclass(frozen=True)
class LinearModel:
    """Heads by name: "field", "domain", "value"."""

    heads: dict[str, Head]

    def answers(self, text: str, language: str) -> dict[str, Answer]:
        """What each head says; heads that do not know the language or are not sure are left out."""
        known = {name: head for name, head in self.heads.items() if language.split("-")[0] in head.languages}
        if not known:
            return {}
        places, values = features(text)
        found = {name: _answer(head, places, values) for name, head in known.items()}
        return {name: answer for name, answer in found.items() if answer.probability >= known[name].least}

    def save(self, path: Path) -> None:
        arrays: dict[str, npt.NDArray[np.generic]] = {}
        facts = {}
        for name, head in self.heads.items():
            arrays |= {f"{name}.weights": head.weights, f"{name}.scale": head.scale, f"{name}.bias": head.bias}
            facts[name] = {"labels": head.labels, "languages": head.languages, "least": head.least}
        np.savez_compressed(path, heads=np.asarray(json.dumps(facts)), **arrays)  # type: ignore[arg-type]

    @classmethod
    def load(cls, path: Path = MODEL) -> LinearModel:
        """Raises SansiError for a file that is none of these."""
        try:
            with np.load(path) as file:
                facts = json.loads(str(file["heads"]))
                return cls({
                    name: Head(
                        tuple(fact["labels"]), file[f"{name}.weights"], file[f"{name}.scale"], file[f"{name}.bias"],
                        tuple(fact["languages"]), fact["least"],
                    )
                    for name, fact in facts.items()
                })  # fmt: skip
        except (OSError, KeyError, ValueError) as error:
            raise SansiError(f"{path} holds no classifier ({error}); make it by sansi.data.classify.train") from error


@functools.cache
def packaged_model() -> LinearModel:
    """The classifiers that come with the package."""
    return LinearModel.load()


def _answer(head: Head, places: npt.NDArray[np.int64], values: Floats) -> Answer:
    chances = _softmax((values @ head.weights[places].astype(np.float32)) * head.scale + head.bias)
    if head.labels == ("low", "high"):  # a scale: the answer is how far up
        return Answer("high", float(chances[1]))
    best = int(chances.argmax())
    return Answer(head.labels[best], float(chances[best]))


def train_head(
    texts: Sequence[str],
    targets: Floats,
    labels: Sequence[str],
    languages: Sequence[str] = ("en",),
    *,
    least: float = 0.0,
    penalty: float = 2e-5,
    rounds: int = 30,
) -> Head:
    """Multinomial logistic regression on `targets` [N, C], shares that add up to 1; classes count alike.

    The same weights for the same texts: whole batches, no chance in it.
    """
    if len(texts) != len(targets):
        raise SansiError(f"{len(texts)} texts have {len(targets)} labels; each text needs one")
    matrix = _Sparse([features(text) for text in texts])
    worth = targets @ (1 / np.maximum(targets.sum(0), 1e-6))
    worth = np.asarray(worth / worth.sum(), np.float32)
    weights, bias = _descend(matrix, targets.astype(np.float32), worth, penalty, rounds)
    scale = np.maximum(np.abs(weights).max(0), 1e-9) / 127
    quantized = np.round(weights / scale).astype(np.int8)
    return Head(tuple(labels), quantized, scale.astype(np.float32), bias, tuple(languages), least)


class _Sparse:
    """Rows of few values, and their products with dense matrices."""

    def __init__(self, rows: Sequence[tuple[npt.NDArray[np.int64], Floats]]):
        self.places = np.concatenate([places for places, _ in rows])
        self.values = np.concatenate([values for _, values in rows])
        self.starts = np.cumsum([0, *(len(places) for places, _ in rows[:-1])])
        self.row = np.repeat(np.arange(len(rows)), [len(places) for places, _ in rows])

    def times(self, weights: Floats) -> Floats:
        """[N, SIZE] times [SIZE, C]."""
        return np.asarray(np.add.reduceat(weights[self.places] * self.values[:, None], self.starts, axis=0), np.float32)

    def transposed_times(self, errors: Floats) -> Floats:
        """[SIZE, N] times [N, C]."""
        columns = [np.bincount(self.places, self.values * column[self.row], SIZE) for column in errors.T]
        return np.stack(columns, axis=1).astype(np.float32)


def _descend(x: _Sparse, y: Floats, worth: Floats, penalty: float, rounds: int) -> tuple[Floats, Floats]:
    """Adam on the whole batch. x [N, SIZE], y [N, C], worth [N]."""
    weights, bias = np.zeros((SIZE, y.shape[1]), np.float32), np.zeros(y.shape[1], np.float32)
    first, second = np.zeros_like(weights), np.zeros_like(weights)
    for step in range(1, rounds + 1):
        error = (_softmax(x.times(weights) + bias) - y) * worth[:, None]
        slope = np.asarray(x.transposed_times(error) + penalty * weights, np.float32)
        first, second = 0.9 * first + 0.1 * slope, 0.99 * second + 0.01 * slope**2
        rate = 0.5 * (1 - step / (rounds + 1))
        weights -= rate * (first / (1 - 0.9**step)) / (np.sqrt(second / (1 - 0.99**step)) + 1e-6)
        bias -= rate * error.sum(0)
    return weights, bias


def _softmax(scores: Floats) -> Floats:
    shifted = np.exp(scores - scores.max(-1, keepdims=True))
    return np.asarray(shifted / shifted.sum(-1, keepdims=True), np.float32)
