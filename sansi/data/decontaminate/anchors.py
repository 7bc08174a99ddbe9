"""The fast part of the search: which texts hold letters that only an evaluation text has, and where.

From each run of words that is looked for one stretch of 40, 24, 16 or 8 letters is taken, its anchor; runs that overlap
share anchors (the least hash in a window: Schleimer et al. 2003, "Winnowing"). A text without an anchor holds no run.
All places of a batch of texts are tried at once: by a table over the hash of the first 8 letters, which few places
pass since anchors have small hashes, then by a table over 16 letters, then among the anchors themselves. 16 letters and
fewer are a common phrase, so that with those anchors all letters of the run are compared.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path

import numpy as np
import numpy.typing as npt

from sansi.data.decontaminate.letters import BETWEEN, Letters, letters_of
from sansi.data.decontaminate.units import Units

Numbers = npt.NDArray[np.uint64]

SIZES = (40, 24, 16, 8)  # letters of an anchor
_SLACK = (8, 4, 4, 0)  # letters that the shortest run has more, so that there is a choice
_FACTORS = np.asarray(
    [0x9E3779B97F4A7C15, 0xC2B2AE3D27D4EB4F, 0x165667B19E3779F9, 0xD6E8FEB86659FD93, 0xA0761D6478BD642F], np.uint64
)
_CLASS = np.uint64(48)  # what is left of a hash of 8 letters are 16 bits
_MOST_BITS = 22  # of a hash of 16 letters
_WITH_RUNS = 2  # from which size on the whole run is compared
PADDING = 48  # bytes after the letters, so that reading eight at a time needs no end


@dataclass(frozen=True)
class Hits:
    """Where anchors were found: the text's place in the batch, and the letters from `begins` to `ends` in it."""

    texts: npt.NDArray[np.int64]
    begins: npt.NDArray[np.int64]
    ends: npt.NDArray[np.int64]


@dataclass(frozen=True)
class Anchors:
    """All anchors. `first` [65,536] says which sizes have one with this hash of 8 letters, a bit each, `second`
    [up to 4,194,304] whether one has this hash of 16."""

    first: npt.NDArray[np.uint8]
    second: npt.NDArray[np.uint8]
    sorted: tuple[Numbers, ...]  # by size, ascending; one may be there several times
    runs: tuple[Numbers, ...]  # of the anchors of 16 and 8 letters [A, 3]: letters before, letters of the run, its hash
    short: tuple[Numbers, ...]  # texts of 1 to 7 letters, by their number; they are looked for where they stand alone

    @classmethod
    def of(cls, units: Iterable[Units]) -> Anchors:
        builder = AnchorsBuilder()
        for unit in units:
            builder.add(unit)
        return builder.anchors()

    def find(self, letters: Letters) -> Hits:
        """All anchors in the letters of a batch of texts, as `letters_of` gives them."""
        eights = _eights(letters)
        flags = self.first.take(_classes(eights[: len(letters)]))
        places = np.flatnonzero(flags)
        flags = flags[places]
        if len(places):
            is_long = self.second.take(_slots(_hash(eights, places, 16), self.second)) != 0
            left = is_long | (flags & 8 != 0)
            places, flags, is_long = places[left], flags[left], is_long[left]
        begins, ends = [np.zeros(0, np.int64)], [np.zeros(0, np.int64)]
        for kind, size in enumerate(SIZES if len(places) else ()):
            chosen = places[(flags & (1 << kind) != 0) & (is_long if size >= 16 else True)]
            hashes = _hash(eights, chosen, size)
            is_anchor = _among(hashes, self.sorted[kind])
            chosen, hashes = chosen[is_anchor], hashes[is_anchor]
            if kind >= _WITH_RUNS:
                spans = self._runs_at(letters, kind, chosen, hashes)
                begins.append(spans[:, 0])
                ends.append(spans[:, 1])
            else:
                begins.append(chosen)
                ends.append(chosen + size)
        return _hits(letters, np.concatenate(begins), np.concatenate(ends))

    def _runs_at(
        self, letters: Letters, kind: int, places: npt.NDArray[np.int64], hashes: Numbers
    ) -> npt.NDArray[np.int64]:
        """Begin and end of the runs of which an anchor and all other letters are there."""
        known, runs = self.sorted[kind], self.runs[kind - _WITH_RUNS]
        firsts, lasts = np.searchsorted(known, hashes), np.searchsorted(known, hashes, "right")
        found = [
            (place - before, place - before + length)
            for place, first, last in zip(places.tolist(), firsts.tolist(), lasts.tolist(), strict=True)
            for before, length, whole in runs[first:last].tolist()
            if place >= before and letters_hash(letters[place - before : place - before + length]) == whole
        ]
        return np.asarray(found, np.int64).reshape(-1, 2)

    @property
    def has_short(self) -> bool:
        return any(len(values) for values in self.short)

    def find_short(self, letters: Letters, opens: npt.NDArray[np.bool_]) -> Hits:
        """Texts of fewer than 8 letters that stand alone. opens: at which letters something begins that may."""
        eights = _eights(letters)
        starts = np.flatnonzero(opens)
        begins, ends = [np.zeros(0, np.int64)], [np.zeros(0, np.int64)]
        for size, values in enumerate(self.short):
            if len(values):
                fitting = starts[starts + size < len(letters)]
                fitting = fitting[opens[fitting + size]]
                own = eights[fitting] & np.uint64((1 << 8 * size) - 1)
                chosen = fitting[_among(own, values)]
                begins.append(chosen)
                ends.append(chosen + size)
        return _hits(letters, np.concatenate(begins), np.concatenate(ends))

    def save(self, folder: Path) -> None:
        np.save(folder / "first.npy", self.first)
        np.save(folder / "second.npy", self.second)
        for name, parts in (("anchors", self.sorted), ("runs", self.runs), ("short", self.short)):
            for number, part in enumerate(parts):
                np.save(folder / f"{name}-{number}.npy", part)

    @classmethod
    def load(cls, folder: Path) -> Anchors:
        """The tables are read, since every text goes through them; the rest is mapped."""
        parts = [
            tuple(np.load(folder / f"{name}-{number}.npy", mmap_mode="r") for number in range(count))
            for name, count in (("anchors", len(SIZES)), ("runs", len(SIZES) - _WITH_RUNS), ("short", SIZES[-1]))
        ]
        return cls(np.load(folder / "first.npy"), np.load(folder / "second.npy"), *parts)


class AnchorsBuilder:
    """Takes the anchors of one evaluation text after the other."""

    def __init__(self) -> None:
        self._found: list[list[Numbers]] = [[np.zeros(0, np.uint64)] for _ in SIZES]
        self._runs: list[list[tuple[int, int, int]]] = [[] for _ in SIZES[_WITH_RUNS:]]
        self._sixteens = [np.zeros(0, np.uint64)]
        self._short: list[set[int]] = [set() for _ in range(SIZES[-1])]
        self._first = np.zeros(1 << 16, np.uint8)

    def add(self, units: Units) -> None:
        if units.kind == "whole":
            return  # a document that is nothing but this text needs no looking for
        letters, offsets = _letters_of_tokens(units.words.tokens)
        begins, ends = offsets[units.begins], offsets[units.ends]
        is_short = ends - begins < SIZES[-1]
        for begin, end in zip(begins[is_short].tolist(), ends[is_short].tolist(), strict=True):
            if begin < end:
                self._short[end - begin].add(int.from_bytes(letters[begin:end].tobytes(), "little"))
        eights, free = _eights(letters), ~is_short
        for kind, size in enumerate(SIZES):
            own = free & (ends - begins >= size + _SLACK[kind])
            free &= ~own
            if not own.any():
                continue
            window = int((ends - begins)[own].min()) - size + 1
            if kind < _WITH_RUNS:
                places = np.unique(_winnowed(letters, begins[own], window))
            else:
                places = _winnowed(letters, begins[own], window)
                spans = zip(places.tolist(), begins[own].tolist(), ends[own].tolist(), strict=True)
                self._runs[kind - _WITH_RUNS] += [(p - b, e - b, letters_hash(letters[b:e])) for p, b, e in spans]
            self._take(eights, places, kind)

    def _take(self, eights: Numbers, places: npt.NDArray[np.int64], kind: int) -> None:
        self._found[kind].append(_hash(eights, places, SIZES[kind]))
        self._first[_classes(eights[places])] |= np.uint8(1 << kind)
        if SIZES[kind] >= 16:
            self._sixteens.append(_hash(eights, places, 16))

    def anchors(self) -> Anchors:
        long = np.unique(np.concatenate(self._sixteens))
        second = np.zeros(1 << min(max(len(long), 1).bit_length() + 4, _MOST_BITS), np.uint8)
        second[_slots(long, second)] = 1
        runs = [
            _sorted_together(np.concatenate(found), own)
            for found, own in zip(self._found[_WITH_RUNS:], self._runs, strict=True)
        ]
        return Anchors(
            self._first,
            second,
            (
                *(np.unique(np.concatenate(parts)) for parts in self._found[:_WITH_RUNS]),
                *(anchors for anchors, _ in runs),
            ),
            tuple(own for _, own in runs),
            tuple(np.asarray(sorted(values), np.uint64) for values in self._short),
        )


def _hits(letters: Letters, begins: npt.NDArray[np.int64], ends: npt.NDArray[np.int64]) -> Hits:
    if not len(begins):
        return Hits(begins, begins, ends)
    starts = np.flatnonzero(letters == BETWEEN)
    texts = np.searchsorted(starts, begins, "right") - 1
    return Hits(texts, begins - starts[texts] - 1, ends - starts[texts] - 1)


def _letters_of_tokens(tokens: list[str]) -> tuple[Letters, npt.NDArray[np.int64]]:
    """The letters of a text, and where those of each token begin (one more: where the last ends)."""
    marked = letters_of(tokens)
    between = np.flatnonzero(marked == BETWEEN)
    return marked[marked != BETWEEN], between - np.arange(len(between))


def _eights(letters: Letters) -> Numbers:
    """From each letter on eight of them as one number; those after the last count as 0."""
    padded = np.concatenate([letters, np.zeros(PADDING, np.uint8)])
    return np.ndarray((len(padded) - 7,), np.uint64, padded, 0, (1,))


def _classes(eights: Numbers) -> npt.NDArray[np.uint16]:
    return ((eights * _FACTORS[0]) >> _CLASS).astype(np.uint16)


def _hash(eights: Numbers, places: npt.NDArray[np.int64], size: int) -> Numbers:
    """A hash of the `size` letters from each place."""
    total = np.zeros(len(places), np.uint64)
    for part in range(size // 8):
        total += eights[places + 8 * part] * _FACTORS[part]
        total ^= total >> np.uint64(29)
    return total * _FACTORS[1]


def _slots(hashes: Numbers, table: npt.NDArray[np.uint8]) -> Numbers:
    """Where in a table of 2**k flags each hash has its own."""
    found: Numbers = hashes >> np.uint64(65 - len(table).bit_length())
    return found


def _winnowed(letters: Letters, begins: npt.NDArray[np.int64], window: int) -> npt.NDArray[np.int64]:
    """For each run the place of the least hash among the first `window` places of it."""
    classes = _classes(_eights(letters)[: len(letters)])
    windows = begins[:, None] + np.arange(window)[None, :]
    return np.asarray(windows[np.arange(len(begins)), classes[windows].argmin(axis=1)])


def _sorted_together(anchors: Numbers, runs: list[tuple[int, int, int]]) -> tuple[Numbers, Numbers]:
    """Anchors with their runs in order, each once."""
    columns = np.asarray(runs, np.uint64).reshape(-1, 3)
    rows = np.unique(np.column_stack([anchors, columns]), axis=0)
    return rows[:, 0].copy(), rows[:, 1:].copy()


def letters_hash(letters: Letters) -> int:
    """A hash of all letters of a run."""
    return int.from_bytes(blake2b(letters.tobytes(), digest_size=8).digest(), "little")


def _among(values: Numbers, known: Numbers) -> npt.NDArray[np.bool_]:
    if not len(known) or not len(values):
        return np.zeros(len(values), bool)
    places = np.minimum(np.searchsorted(known, values), len(known) - 1)
    return np.asarray(known[places] == values)
