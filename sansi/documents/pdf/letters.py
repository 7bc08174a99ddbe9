"""How usual the neighbours of letters are, for each of six scripts: text whose fonts lie has unusual ones.

The table, `letters.json`, counts pairs of neighbouring letters in the Universal Declaration, all languages of a script
alike, so that it knows no single language: `bench/data_pdf_letters.py` makes it.
"""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

DIGITS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"  # of the table, quarters of a bit
EDGE = "_"  # of a word
SCRIPTS = {
    "Latn": "A-Za-z\u00c0-\u00d6\u00d8-\u00f6\u00f8-\u024f\u0250-\u02af\u1e00-\u1eff",
    "Cyrl": "\u0400-\u0481\u048a-\u052f",
    "Grek": "\u0370-\u0373\u0376-\u037d\u0386-\u03ff\u1f00-\u1fff",
    "Hebr": "\u05d0-\u05ea",
    "Arab": "\u0620-\u063f\u0641-\u064a\u0671-\u06d3",
    "Deva": "\u0900-\u0963\u0971-\u097f",
}
"""Letters of a script, as a character class."""
_RUN = {script: re.compile(f"[{letters}]+") for script, letters in SCRIPTS.items()}
_LATIN = {
    "æ": "ae", "œ": "oe", "ø": "o", "ß": "ss", "đ": "d", "ð": "d", "þ": "t", "ł": "l", "ı": "i", "ŋ": "n", "ħ": "h",
    "ə": "e", "ɛ": "e", "ɔ": "o", "ɓ": "b", "ɗ": "d", "ƙ": "k", "ƴ": "y", "ŧ": "t",
}  # fmt: skip
_FOLDED = ("Latn", "Grek")  # scripts whose accents are taken away


@dataclass(frozen=True)
class Table:
    """Bits of a letter after another one, in a script."""

    letters: str
    bits: tuple[tuple[float, ...], ...]

    def score(self, words: Iterable[str]) -> float:
        """Mean bits of a letter: about 4 for text of a language, 5 and more for letters by chance. 0.0 for no words."""
        place = self.places
        total, count = 0.0, 0
        for word in words:
            before = 0
            for letter in word:
                at = place.get(letter, len(self.bits) - 1)
                total += self.bits[before][at]
                before = at
            total += self.bits[before][0]
            count += len(word) + 1
        return total / count if count else 0.0

    @property
    def places(self) -> Mapping[str, int]:
        return _places(self.letters)


@cache
def _places(letters: str) -> dict[str, int]:
    return {letter: place for place, letter in enumerate(letters)}


@cache
def tables() -> Mapping[str, Table]:
    """By script. The last place of each is that of letters which the script's languages seldom have."""
    told = json.loads(Path(__file__).with_name("letters.json").read_text(encoding="utf-8"))
    return {
        script: Table(each["letters"], tuple(tuple(DIGITS.index(d) / 4 for d in row) for row in each["rows"]))
        for script, each in told.items()
    }


def words_of(text: str, script: str) -> list[str]:
    """The runs of letters of a script, in small letters, without the accents that many languages have alone."""
    text = unicodedata.normalize("NFC", text).lower()
    if script in _FOLDED:
        text = "".join(c for c in unicodedata.normalize("NFD", text) if unicodedata.category(c) != "Mn")
    if script == "Latn":
        text = "".join(_LATIN.get(c, c) for c in text) if not text.isascii() else text
    if script == "Arab":
        text = re.sub("[\u064b-\u065f\u0670\u0640]", "", text)  # vowel signs, and the stroke that makes words longer
    return _RUN[script].findall(text)


def main_script(text: str) -> str | None:
    """The script of the table that has four of five letters: beside Chinese, Latin ones are names of commands alone."""
    counts = {script: sum(map(len, run.findall(text))) for script, run in _RUN.items()}
    best = max(counts, key=counts.__getitem__)
    letters = sum(map(str.isalpha, text))
    return best if counts[best] and 5 * counts[best] >= 4 * letters else None


def reversed_words(words: Sequence[str]) -> list[str]:
    return [word[::-1] for word in words]
