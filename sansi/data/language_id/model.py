"""The classifier: a text is the mean of the vectors of its features; labels and "not text" are linear in it.

    language   softmax of W m + b over the labels that are written in the text's group of scripts
    not text   sigmoid of u [m, s] + c, where s is the mean over the features of shape

Vectors are bytes and weights 16-bit integers, so the sums are whole numbers that float64 holds exactly: the same answer
alone or in a batch, by the kernel or by numpy.
"""

from __future__ import annotations

import ctypes
import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import numpy.typing as npt

from sansi.data.language_id.alphabet import MAX_SHAPE, MAX_WORD, RUN, SCRIPTS, Alphabet
from sansi.data.language_id.features import features_of
from sansi.data.language_id.kernel import Tables, load_kernel

Floats = npt.NDArray[np.float64]
IMPOSSIBLE = -1e30


@dataclass(frozen=True)
class Sums:
    """Sums over the features of N texts."""

    sums: npt.NDArray[np.int32]  # [N, D]
    counts: npt.NDArray[np.int32]  # [N]
    shape_sums: npt.NDArray[np.int32]  # [N, E]
    shape_counts: npt.NDArray[np.int32]  # [N]
    groups: npt.NDArray[np.int32]  # [N]
    histogram: npt.NDArray[np.int32]  # [N, S + 1] letters of each script


@dataclass(frozen=True)
class Predicted:
    """For N texts: the likeliest label and its probability, and that of being no text."""

    labels: npt.NDArray[np.int64]  # [N]
    probabilities: Floats  # [N]
    not_text: Floats  # [N]
    histogram: npt.NDArray[np.int32]  # [N, S + 1]


@dataclass(frozen=True)
class Model:
    """A trained classifier. Scales turn the integers into the trained numbers."""

    labels: tuple[str, ...]
    alphabet: Alphabet
    vectors: npt.NDArray[np.int8]  # [B, D]
    shape_vectors: npt.NDArray[np.int8]  # [C, E]
    weights: npt.NDArray[np.int16]  # [L, D]
    bias: Floats  # [L]
    text_weights: npt.NDArray[np.int16]  # [D + E]
    allowed: npt.NDArray[np.bool_]  # [G, L]
    settings: dict[str, float]  # scales, offset, temperatures

    @cached_property
    def _columns(self) -> Floats:
        return np.ascontiguousarray(self.weights.astype(np.float64).T)

    @cached_property
    def _text_weights(self) -> Floats:
        return self.text_weights.astype(np.float64)

    @cached_property
    def _tables(self) -> Tables:
        return tables_of(self.alphabet)

    def predict(self, texts: Sequence[str]) -> Predicted:
        """What `texts` are."""
        return self.judge(self.sums_of(texts))

    def sums_of(self, texts: Sequence[str]) -> Sums:
        """Sums over the features, by the kernel if there is one."""
        kernel = load_kernel()
        empty = self._empty(len(texts))
        if kernel is None:
            self._sum_by_numpy(texts, empty)
        elif texts:
            self._sum_by_kernel(kernel, texts, empty)
        return empty

    def judge(self, found: Sums) -> Predicted:
        """Labels and probabilities for sums."""
        probabilities = self.probabilities(found)
        labels = probabilities.argmax(1)
        return Predicted(labels, probabilities[np.arange(len(labels)), labels], self._not_text(found), found.histogram)

    def probabilities(self, found: Sums) -> Floats:
        """Of each label [N, L], given that it is text."""
        s = self.settings
        counts = np.maximum(found.counts, 1)[:, None].astype(np.float64)
        whole = found.sums.astype(np.float64) @ self._columns  # exact
        logits = whole * (s["vector_scale"] * s["weight_scale"]) / counts + self.bias
        logits /= s["temperature"] + s["temperature_short"] / np.sqrt(counts)
        logits = np.where(self.allowed[found.groups], logits, IMPOSSIBLE)
        odds = np.exp(logits - logits.max(1, keepdims=True))
        return odds / odds.sum(1, keepdims=True)

    def _not_text(self, found: Sums) -> Floats:
        s, width = self.settings, self.vectors.shape[1]
        weights = self._text_weights
        own = (found.sums.astype(np.float64) @ weights[:width]) * (s["vector_scale"] * s["text_scale"])
        shape = (found.shape_sums.astype(np.float64) @ weights[width:]) * (s["shape_scale"] * s["text_scale"])
        logits = own / np.maximum(found.counts, 1) + shape / np.maximum(found.shape_counts, 1) + s["text_bias"]
        return np.where(found.counts > 0, 1 / (1 + np.exp(-np.clip(logits, -60, 60))), 1.0)

    def _empty(self, count: int) -> Sums:
        def zeros(*shape: int) -> npt.NDArray[np.int32]:
            return np.zeros(shape, np.int32)

        width, shape_width = self.vectors.shape[1], self.shape_vectors.shape[1]
        return Sums(
            zeros(count, width), zeros(count), zeros(count, shape_width), zeros(count), zeros(count),
            zeros(count, len(SCRIPTS) + 1),
        )  # fmt: skip

    def _sum_by_numpy(self, texts: Sequence[str], out: Sums) -> None:
        for n, text in enumerate(texts):
            own = features_of(text, self.alphabet)
            out.sums[n] = self.vectors[own.hashes & (len(self.vectors) - 1)].sum(0, dtype=np.int32)
            out.shape_sums[n] = self.shape_vectors[own.shapes & (len(self.shape_vectors) - 1)].sum(0, dtype=np.int32)
            out.counts[n], out.shape_counts[n], out.groups[n] = len(own.hashes), len(own.shapes), own.group
            out.histogram[n] = own.histogram

    def _sum_by_kernel(self, kernel: ctypes.CDLL, texts: Sequence[str], out: Sums) -> None:
        chars = np.frombuffer("".join(texts).encode("utf-32-le", "surrogatepass"), np.uint32)
        offsets = np.zeros(len(texts) + 1, np.int64)
        np.cumsum(np.fromiter(map(len, texts), np.int64, len(texts)), out=offsets[1:])
        kernel.sansi_lid_sums(
            ctypes.byref(self._tables), pointer(chars), pointer(offsets), ctypes.c_int64(len(texts)),
            pointer(self.vectors), ctypes.c_uint32(len(self.vectors) - 1), self.vectors.shape[1],
            pointer(self.shape_vectors), ctypes.c_uint32(len(self.shape_vectors) - 1), self.shape_vectors.shape[1],
            pointer(out.sums), pointer(out.counts), pointer(out.shape_sums), pointer(out.shape_counts),
            pointer(out.groups), pointer(out.histogram),
        )  # fmt: skip


def pointer(array: npt.NDArray[np.generic]) -> ctypes.c_void_p:
    return ctypes.c_void_p(array.ctypes.data)


def tables_of(alphabet: Alphabet) -> Tables:
    """The alphabet as the kernel reads it; it points into the alphabet's arrays."""
    arrays = alphabet.arrays()
    return Tables(
        *(arrays[name].ctypes.data for name in ("classes", "folded", "shapes", "groups", "weights", "longest")),
        len(SCRIPTS) + 1, len(alphabet.longest), alphabet.han, MAX_WORD, MAX_SHAPE, RUN,
    )  # fmt: skip


def save_model(model: Model, path: Path) -> None:
    """Write the model as one .npz file."""
    head = json.dumps({"labels": model.labels, "scripts": SCRIPTS, "settings": model.settings})
    names = ("vectors", "shape_vectors", "weights", "bias", "text_weights", "allowed")
    arrays = {name: getattr(model, name) for name in names}
    arrays |= {f"alphabet_{name}": array for name, array in model.alphabet.arrays().items()}
    with Path(path).open("wb") as file:
        np.savez_compressed(file, head=np.frombuffer(head.encode(), np.uint8), **arrays)  # type: ignore[arg-type]


def load_model(path: Path) -> Model:
    """The model in a file that `save_model` wrote."""
    with np.load(path, allow_pickle=False) as file:
        arrays = {name: np.ascontiguousarray(file[name]) for name in file.files}
    head = json.loads(arrays.pop("head").tobytes())
    tables = {name: arrays.pop(name) for name in list(arrays) if name.startswith("alphabet_")}
    alphabet = Alphabet(**{name.removeprefix("alphabet_"): table for name, table in tables.items()})
    return Model(tuple(head["labels"]), alphabet, settings=head["settings"], **arrays)
