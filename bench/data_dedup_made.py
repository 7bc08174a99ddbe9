"""Documents with planted repeats: what is a repeat of what, and how alike they are, is known by construction."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass

from sansi.data.documents import Document, text_sha256

LETTERS = {
    "Latin": "abcdefghijklmnopqrstuvwxyz",
    "Cyrillic": "абвгдежзиклмнопрстуфхцчшщыьэюя",
    "Devanagari": "कखगघचछजझटठडढणतथदधनपफबभमयरलवशषसह",
    "Han": "的一是在不了有和人这中大为上个国我以要他时来用们生到作"
    "地于出就分对成会可主发年动同工也能下过子说产种面而方后多",
}
GRID = (0.5, 0.6, 0.7, 0.75, 0.8, 0.85, 0.9, 0.95)


@dataclass(frozen=True)
class Pair:
    """Two documents by number, and what the second is of the first."""

    kind: str
    first: int
    second: int
    is_repeat: bool  # whether one of them has to go


@dataclass(frozen=True)
class Made:
    documents: list[Document]
    pairs: list[Pair]


def made_documents(count: int, seed: int = 1) -> Made:
    """`count` documents of 40 to 110 words in four scripts; of four in ten something is planted."""
    rng = random.Random(seed)
    texts: list[str] = []
    pairs: list[Pair] = []
    kinds = ["copy", "other writing", "contained", "boilerplate", *(f"edited {j}" for j in GRID)]
    notice = [_sentence(_words(rng, "Latin", 40), "Latin") for _ in range(3)]
    while len(texts) < count:
        script = rng.choice(list(LETTERS))
        words = _words(rng, script, rng.randrange(40, 110))
        first = len(texts)
        texts.append(_sentence(words, script))
        if rng.random() < 0.25:
            kind = kinds[len(pairs) % len(kinds)]
            if kind == "boilerplate":
                texts[first] = "\n\n".join([texts[first], *notice])
            texts.append(_planted(kind, words, script, rng, notice))
            similarity = float(kind.split()[1]) if kind.startswith("edited") else 1.0
            pairs.append(Pair(kind, first, first + 1, kind != "boilerplate" and similarity >= 0.8))
    return Made([_document(text, number) for number, text in enumerate(texts)], pairs)


def _planted(kind: str, words: list[str], script: str, rng: random.Random, notice: list[str]) -> str:
    if kind == "copy":
        return _sentence(words, script)
    if kind == "other writing":
        text = _sentence(words, script).upper()
        return text.replace(" ", "\n") if rng.random() < 0.5 else f"**{text}**"
    if kind == "contained":
        return _sentence(words[: len(words) * 7 // 10], script)
    if kind == "boilerplate":
        return "\n\n".join([_sentence(_words(rng, script, len(words)), script), *notice])
    return _sentence(edited(words, script, float(kind.split()[1]), rng), script)


def edited(words: list[str], script: str, similarity: float, rng: random.Random) -> list[str]:
    """The words with some in a row replaced, so that the Jaccard index of the runs of 3 words is about `similarity`.

    Of s runs, r are lost and as many are new: (s - r) / (s + r) = similarity; m words in a row touch m + 2 runs.
    """
    runs = len(words) - 2
    lost = runs * (1 - similarity) / (1 + similarity)
    count = max(1, int(lost - 2 + rng.random()))
    begin = rng.randrange(2, len(words) - count - 2)
    return [*words[:begin], *_words(rng, script, count), *words[begin + count :]]


def _words(rng: random.Random, script: str, count: int) -> list[str]:
    length = 1 if script == "Han" else 6
    return ["".join(rng.choices(LETTERS[script], k=length)) for _ in range(count * (2 if script == "Han" else 1))]


def _sentence(words: list[str], script: str) -> str:
    return ("" if script == "Han" else " ").join(words)


def _document(text: str, number: int) -> Document:
    return Document(f"made/{number}", "made", "CC0-1.0", "prose", "und", None, 1.0, text_sha256(text), text)


def in_files(documents: list[Document], per_file: int = 10_000) -> Iterator[list[Document]]:
    for begin in range(0, len(documents), per_file):
        yield documents[begin : begin + per_file]
