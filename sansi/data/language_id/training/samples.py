"""Examples as the classifier sees them in its training: pieces of text of any length, dressed as on real pages."""

from __future__ import annotations

import ctypes
import random
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from sansi.base.errors import SansiError
from sansi.data.language_id.alphabet import SCRIPTS, Alphabet
from sansi.data.language_id.features import Features
from sansi.data.language_id.kernel import Tables, load_kernel
from sansi.data.language_id.model import pointer, tables_of
from sansi.data.language_id.training.noise import make_noise
from sansi.data.language_id.training.texts import OTHER, Learned

BALANCE = 0.15  # a label is drawn in proportion to (its characters, 400,000 at most) to this power
MOST = 400_000
SOURCE_BALANCE = 0.6  # and a package likewise
NAMES_WEIGHT = 0.3
OTHER_SHARE = 0.02
NOISE_SHARE = 0.12
LONGEST_TEXT = 600
DRESS = '- • [2] " * | & → 1. https://example.org/a “ ” … / 12:30 $5 # !'.split()  # noqa: SIM905


class Sampler:
    """Draws examples; the same ones for the same seed."""

    def __init__(self, learned: Learned, seed: int) -> None:
        self.random = random.Random(seed)
        self.texts, self.code = learned.texts, learned.code
        self.labels = [*sorted(learned.texts.keys() - {OTHER}), OTHER]
        sizes = {label: sum(len(t) for lines in learned.texts[label].values() for t in lines) for label in self.labels}
        self.weights = [min(sizes[label], MOST) ** BALANCE for label in self.labels]
        self.weights[-1] = OTHER_SHARE * sum(self.weights[:-1])
        self.sources: dict[str, tuple[list[list[str]], list[float]]] = {}
        for label, packages in learned.texts.items():
            weights = [
                sum(map(len, lines)) ** SOURCE_BALANCE * (NAMES_WEIGHT if name in learned.names_only else 1)
                for name, lines in packages.items()
            ]
            self.sources[label] = (list(packages.values()), weights)
        self.any = [
            t for packages in learned.texts.values() for lines in packages.values() for t in lines[:200] if len(t) > 20
        ]

    def draw(self) -> tuple[int, str]:
        """A number of `labels` and a text; -1 and what is no text."""
        if self.random.random() < NOISE_SHARE:
            return -1, make_noise(self.any, self.code, self.random)[:LONGEST_TEXT]
        number = self.random.choices(range(len(self.labels)), self.weights)[0]
        return number, self._dressed(self._piece(*self.sources[self.labels[number]]))[:LONGEST_TEXT]

    def _piece(self, sources: list[list[str]], weights: list[float]) -> str:
        lines = self.random.choices(sources, weights)[0]
        length = int(min(400, max(12, self.random.lognormvariate(4.1, 0.8))))
        place = self.random.randrange(len(lines))
        text = lines[place]
        while len(text) < length and self.random.random() < 0.85:
            place = (place + 1) % len(lines) if self.random.random() < 0.7 else self.random.randrange(len(lines))
            text += self.random.choice([" ", ". ", " ", "\n"]) + lines[place]
        return self._cut(text, length) if len(text) > length else text

    def _cut(self, text: str, length: int) -> str:
        start = self.random.randrange(len(text) - length + 1)
        space = text.find(" ", start) if start else -1
        start = space + 1 if 0 <= space < start + 25 else start
        text = text[start : start + length]
        return text[: text.rindex(" ")] if " " in text[-15:] else text

    def _dressed(self, text: str) -> str:
        kind = self.random.random()
        if kind < 0.6:
            return text
        if kind < 0.64:
            return text.upper()
        if kind < 0.68:
            return text.title()
        words = text.split(" ")
        for _ in range(self.random.randint(1, 1 + len(words) // 6)):
            sign = self.random.choice([*DRESS, str(self.random.randint(0, 2030)), f"{self.random.uniform(0, 99):.1f}%"])
            words.insert(self.random.randrange(len(words) + 1), sign)
        return " ".join(words)


def hashed(text: str, tables: Tables) -> Features:
    """`features_of`, by the kernel; `tables` of the alphabet.

    Raises SansiError where the kernel can not be built: training would take days.
    """
    kernel = load_kernel()
    if kernel is None:
        raise SansiError("training needs a C++ compiler; install g++ or clang")
    chars = np.frombuffer(text.encode("utf-32-le", "surrogatepass"), np.uint32)
    size = len(chars)
    hashes, shapes = np.empty(6 * size + 8, np.uint32), np.empty(4 * size + 4, np.uint32)
    counts = np.zeros(2, np.int64)
    group, histogram = np.zeros(1, np.int32), np.zeros(len(SCRIPTS) + 1, np.int32)
    kernel.sansi_lid_hashes(
        ctypes.byref(tables), pointer(chars), ctypes.c_int64(size), pointer(hashes), pointer(counts[:1]),
        pointer(shapes), pointer(counts[1:]), pointer(group), pointer(histogram),
    )  # fmt: skip
    return Features(hashes[: counts[0]], shapes[: counts[1]], int(group[0]), histogram)


@dataclass(frozen=True)
class Pool:
    """N examples: their features one after the other, where each begins, what they are."""

    hashes: npt.NDArray[np.int32]
    starts: npt.NDArray[np.int64]  # [N + 1]
    shapes: npt.NDArray[np.int16]
    shape_starts: npt.NDArray[np.int64]  # [N + 1]
    labels: npt.NDArray[np.int64]  # [N], -1: no text
    groups: npt.NDArray[np.int64]  # [N]


def make_pool(sampler: Sampler, count: int, alphabet: Alphabet, buckets: int, shape_buckets: int) -> Pool:
    """Draw `count` examples."""
    hashes, shapes, tables = [], [], tables_of(alphabet)
    labels, groups = np.empty(count, np.int64), np.empty(count, np.int64)
    for n in range(count):
        labels[n], text = sampler.draw()
        own = hashed(text, tables)
        hashes.append((own.hashes & (buckets - 1)).astype(np.int32))
        shapes.append((own.shapes & (shape_buckets - 1)).astype(np.int16))
        groups[n] = own.group
    starts = np.cumsum([0, *map(len, hashes)])
    shape_starts = np.cumsum([0, *map(len, shapes)])
    return Pool(np.concatenate(hashes), starts, np.concatenate(shapes), shape_starts, labels, groups)


def rows_of(
    values: npt.NDArray[np.generic], starts: npt.NDArray[np.int64], rows: npt.NDArray[np.int64]
) -> tuple[npt.NDArray[np.generic], npt.NDArray[np.int64]]:
    """Some rows of a ragged array: their values one after the other, and where each begins."""
    sizes = starts[rows + 1] - starts[rows]
    ends = np.cumsum(sizes)
    places = np.arange(ends[-1]) + np.repeat(starts[rows] - (ends - sizes), sizes)
    return values[places], np.concatenate([[0], ends])
