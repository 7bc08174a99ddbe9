"""The index of evaluation texts: built once, saved to a folder, mapped into memory by whoever looks for them."""

from __future__ import annotations

import functools
import hashlib
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from sansi.base.errors import SansiError
from sansi.base.files import atomic_folder, read_json, write_json
from sansi.data.decontaminate.anchors import Anchors, AnchorsBuilder
from sansi.data.decontaminate.units import KINDS, MIN_WORDS, RUN_WORDS, units_of

VERSION = 2
Numbers = npt.NDArray[Any]


@dataclass(frozen=True)
class EvaluationText:
    """A text that must not be trained on, and what it is called in reports: "human-eval/HumanEval/3"."""

    id: str
    text: str


@dataclass(frozen=True)
class Index:
    """The runs of all evaluation texts. `keys` [R] are sorted; run r stands in the texts
    `owners[starts[r]:starts[r + 1]]`, and text t has `runs[t]` different runs."""

    n: int
    min_words: int
    digest: str
    keys: Numbers
    kinds: Numbers  # [R] number of the kind
    starts: Numbers  # [R + 1]
    owners: Numbers
    runs: Numbers  # [T]
    anywhere: Numbers  # sizes of texts, in tokens
    alone: Numbers
    names: bytes  # of the texts, UTF-8, one after the other
    name_ends: Numbers  # [T]
    anchors: Anchors

    @property
    def texts(self) -> int:
        """How many evaluation texts differ."""
        return len(self.runs)

    @functools.cached_property
    def has_whole(self) -> bool:
        """Whether a document that is nothing but an evaluation text can be found."""
        return bool((self.kinds == KINDS.index("whole")).any())

    def name(self, text: int) -> str:
        begin = int(self.name_ends[text - 1]) if text else 0
        return self.names[begin : int(self.name_ends[text])].decode()

    def texts_with(self, runs: Numbers) -> Numbers:
        """How many evaluation texts hold each run."""
        return np.asarray(self.starts[runs + 1] - self.starts[runs])

    def owners_of(self, run: int) -> list[int]:
        owners: list[int] = self.owners[self.starts[run] : self.starts[run + 1]].tolist()
        return owners

    def find(self, keys: Numbers) -> Numbers:
        """The number of each run; -1: it is in no evaluation text."""
        if not len(self.keys):
            return np.full(len(keys), -1)
        places = np.minimum(np.searchsorted(self.keys, keys), len(self.keys) - 1)
        return np.where(self.keys[places] == keys, places, -1)

    @classmethod
    def of(cls, texts: Iterable[EvaluationText], n: int = RUN_WORDS, min_words: int = MIN_WORDS) -> Index:
        """The index of some texts; those with the same words count once, under the first's name."""
        if not 0 < min_words <= n:
            raise SansiError(f'"min_words" is {min_words}, "n" {n}; give 0 < min_words <= n', param="min_words")
        builder = _Builder(n, min_words)
        for text in texts:
            builder.add(text)
        return builder.index()

    def save(self, folder: Path) -> None:
        """Write it to `folder`, whole or not at all."""
        with atomic_folder(folder) as draft:
            for name in _ARRAYS:
                np.save(draft / f"{name}.npy", getattr(self, name))
            (draft / "names.txt").write_bytes(self.names)
            self.anchors.save(draft)
            write_json(draft / "index.json", {name: getattr(self, name) for name in _FACTS} | {"version": VERSION})

    @classmethod
    def load(cls, folder: Path) -> Index:
        """Map it into memory. Raises SansiError for what is no index, or that of another version."""
        folder = Path(folder)
        if not (folder / "index.json").is_file():
            raise SansiError(f"{folder}: holds no index of evaluation texts; build the index first")
        facts = read_json(folder / "index.json", "build the index of evaluation texts again")
        if not isinstance(facts, dict) or facts.pop("version", None) != VERSION:
            raise SansiError(f"{folder}: an index of evaluation texts of another version; build it again")
        try:
            arrays = {name: np.load(folder / f"{name}.npy", mmap_mode="r") for name in _ARRAYS}
            names = (folder / "names.txt").read_bytes()
            return cls(**facts, **arrays, names=names, anchors=Anchors.load(folder))
        except (OSError, ValueError, TypeError) as error:
            raise SansiError(f"{folder}: not a whole index of evaluation texts ({error}); build it again") from error


_ARRAYS = ("keys", "kinds", "starts", "owners", "runs", "anywhere", "alone", "name_ends")
_FACTS = ("n", "min_words", "digest")


class _Builder:
    def __init__(self, n: int, min_words: int):
        self.n, self.min_words = n, min_words
        self._seen: set[bytes] = set()
        self._runs: list[Numbers] = []
        self._kinds: list[int] = []
        self._sizes: dict[str, set[int]] = {"anywhere": set(), "alone": set()}
        self._anchors = AnchorsBuilder()
        self._names: list[bytes] = []
        self._digest = hashlib.sha256(json.dumps([VERSION, n, min_words]).encode())

    def add(self, text: EvaluationText) -> None:
        units = units_of(text.text, self.n, self.min_words)
        if units is None:
            return
        same = hashlib.blake2b("\0".join(units.words.tokens).encode("utf-8", "surrogatepass"), digest_size=16).digest()
        if same not in self._seen:
            self._seen.add(same)
            self._runs.append(np.unique(units.hashes))
            self._kinds.append(KINDS.index(units.kind))
            if units.kind in self._sizes:
                self._sizes[units.kind].add(units.size)
            self._anchors.add(units)
            self._names.append(text.id.encode("utf-8", "replace"))
            self._digest.update(same)

    def index(self) -> Index:
        counts = np.asarray([len(own) for own in self._runs], np.uint32)
        keys = np.concatenate([np.zeros(0, np.uint64), *self._runs])
        owners = np.repeat(np.arange(len(counts), dtype=np.uint32), counts)
        kinds = np.repeat(np.asarray(self._kinds, np.uint8), counts)
        order = np.argsort(keys, kind="stable")
        keys, owners, kinds = keys[order], owners[order], kinds[order]
        fresh = np.ones(len(keys), bool)
        fresh[1:] = keys[1:] != keys[:-1]
        return Index(
            self.n,
            self.min_words,
            self._digest.hexdigest(),
            keys[fresh],
            kinds[fresh],
            np.append(np.flatnonzero(fresh), len(keys)),
            owners,
            counts,
            np.asarray(sorted(self._sizes["anywhere"]), np.int64),
            np.asarray(sorted(self._sizes["alone"]), np.int64),
            b"".join(self._names),
            np.cumsum([len(name) for name in self._names], dtype=np.int64),
            self._anchors.anchors(),
        )


def as_texts(evaluation_texts: Iterable[str]) -> list[str]:
    """The evaluation texts as a list. Raises SansiError for one text that is given alone, and names what is no text."""
    if isinstance(evaluation_texts, str):
        raise SansiError('"evaluation_texts" is one text; give a list of texts', param="evaluation_texts")
    texts = list(evaluation_texts)
    for number, text in enumerate(texts):
        if not isinstance(text, str):
            raise SansiError(f"evaluation text {number} is {type(text).__name__}; give texts", param="evaluation_texts")
    return texts


def named(texts: Sequence[str], name: str = "evaluation text") -> list[EvaluationText]:
    """Texts under their numbers."""
    return [EvaluationText(f"{name} {number}", text) for number, text in enumerate(texts)]
