"""Quality signals of a text: plain counts that tell running text from what merely looks like it, in any script.

They are the measures that the published filters of web text use (Rae et al. 2021, "Scaling Language Models", table A1;
Raffel et al. 2020, C4; Penedo et al. 2024, FineWeb), counted once and kept with the document instead of a yes or no.
What a usual value is depends on the language: see `sansi.data.signal_ranges`.

    words                   words; where no spaces part them, characters times the part of a word that one is
    mean_word_length        letters, marks and digits of a word; only where spaces part words
    stop_words              share of words that are among the most frequent of the language, where a list is known
    alphabetic_words        share of words with a letter; only where spaces part words
    letters, digits, symbols, capitals, braces   shares of all characters but spaces (capitals: of the letters)
    hashes, ellipses        "#" and "…" per word
    line_words              words of a line, the mean
    short_lines             share of lines of fewer than 5 words, about
    marked_lines            share of lines that end as a sentence or a lead-in does; only in scripts with such marks
    list_lines, ellipsis_lines   share of lines that begin with a bullet or a number; that end in an ellipsis
    duplicate_lines         share of lines that stood before; duplicate_line_letters: of characters in them
    duplicate_paragraph_letters  the same of paragraphs
    top_2_gram … top_4_gram share of characters in the most frequent run of so many words
    duplicate_5_grams … duplicate_10_grams   share of characters in runs of words that stood before
    boilerplate_lines       share of lines about cookies, privacy, scripts, subscriptions, in the larger languages
    placeholder             1 where "lorem ipsum" or a like filling stands

All shares lie between 0 and 1. A signal that a text has no use for is left out.
"""

from __future__ import annotations

import functools
import re
import unicodedata
from collections.abc import Collection, Sequence

import numpy as np
import numpy.typing as npt

from sansi.data.words import SYLLABLES, UNSPACED

Numbers = npt.NDArray[np.int64]

SHORT_LINE = 5  # words; 30 characters of English
TOP_GRAMS, DUPLICATE_GRAMS = (2, 3, 4), (5, 6, 7, 8, 9, 10)
_SPACE, _LETTER, _DIGIT, _PUNCTUATION, _SYMBOL, _OTHER, _CAPITAL = range(7)
_CLASS_OF = {"L": _LETTER, "M": _LETTER, "N": _DIGIT, "P": _PUNCTUATION, "S": _SYMBOL, "Z": _SPACE}
_CAPITALS = ("Lu", "Lt")
_MULTIPLIER = np.uint64(0x9E3779B97F4A7C15)
# Hundredths of a word that a character is, of what is written in these scripts alone or in a mixture.
_PART_OF_WORD: dict[str, int] = {
    "Hani": UNSPACED["Han"], "Hans": UNSPACED["Han"], "Hant": UNSPACED["Han"], "Jpan": 40, "Thai": UNSPACED["Thai"],
    "Laoo": UNSPACED["Lao"], "Khmr": UNSPACED["Khmer"], "Mymr": UNSPACED["Myanmar"], "Yiii": UNSPACED["Yi"],
    "Java": UNSPACED["Javanese"], "Bali": UNSPACED["Balinese"], "Lana": UNSPACED["Tai_Tham"],
    "Tale": UNSPACED["Tai_Le"], "Talu": UNSPACED["New_Tai_Lue"], "Tavt": UNSPACED["Tai_Viet"],
    "Bugi": UNSPACED["Buginese"], "Batk": UNSPACED["Batak"], "Tibt": SYLLABLES["Tibetan"] // 4,
}  # fmt: skip
UNSPACED_SCRIPTS = frozenset(_PART_OF_WORD)
SENTENCE_MARKS = frozenset(
    ".!?…:;\u0589\u055c\u055e\u061b\u061f\u06d4\u0700\u0701\u0702\u07f9\u0964\u0965\u0df4\u0e5a\u0e5b\u0f0d\u0f0e\u0f0f"
    "\u0f10\u0f11\u0f12\u104a\u104b\u1362\u1363\u1364\u1365\u1366\u1367\u1368\u166e\u17d4\u17d5\u17d6\u1803\u1809\u1c7e"
    "\u1c7f\u203c\u203d\u2047\u2048\u2049\u3002\uff01\uff0e\uff1a\uff1b\uff1f\uff61\ua4ff\ua60e\ua60f\uaa5d\uaa5e\uaa5f"
    "\uaaf0\uabeb"
)
CLOSING = "'\"\u201d\u2019\u00bb\u300d\u300f)\uff09] \t*_`"
_LIST = re.compile(r"[-*•·–▪●◦‣○]\s|[([]?\d{1,3}[.)\]]\s|[a-zA-Z][.)]\s")
_PLACEHOLDER = ("lorem ipsum", "dolor sit amet")
# Of pages, what every page has: in English, German, French, Spanish, Italian, Portuguese, Dutch, Polish, Russian,
# Ukrainian, Turkish, Indonesian, Vietnamese, Chinese, Japanese, Korean, Arabic, Hindi.
_BOILERPLATE = (
    "cookie", "privacy policy", "terms of service", "terms of use", "all rights reserved", "enable javascript",
    "use javascript", "subscribe", "newsletter", "datenschutz", "nutzungsbedingungen", "alle rechte vorbehalten",
    "politique de confidentialité", "mentions légales", "tous droits réservés", "política de privacidad",
    "todos los derechos reservados", "informativa sulla privacy", "tutti i diritti riservati",
    "todos os direitos reservados", "privacybeleid", "alle rechten voorbehouden", "polityka prywatności",
    "wszelkie prawa zastrzeżone", "политика конфиденциальности", "политике конфиденциальности", "все права защищены",
    "політика конфіденційності", "gizlilik politikası", "tüm hakları saklıdır", "kebijakan privasi",
    "chính sách bảo mật", "隐私政策", "隱私權", "版权所有", "版權所有", "プライバシーポリシー", "無断転載",
    "개인정보처리방침", "سياسة الخصوصية", "جميع الحقوق محفوظة", "गोपनीयता नीति",
)  # fmt: skip


def read_signals(text: str, script: str | None, stop_words: Collection[str] = ()) -> dict[str, float]:
    """The signals of a text, by their names in the head of this file, rounded to four places.

    script: ISO 15924, of most of its letters. stop_words: of its language, in lower case.
    """
    part = _PART_OF_WORD.get(script or "")
    codes = np.frombuffer(text.encode("utf-32-le", "surrogatepass"), np.uint32)
    classes = np.bincount(_classes()[codes], minlength=7)
    filled = int(classes.sum() - classes[_SPACE])
    if not filled:
        return {}
    letters = int(classes[_LETTER] + classes[_CAPITAL])
    lower = text.lower()
    found = {
        "letters": letters / filled,
        "digits": classes[_DIGIT] / filled,
        "symbols": classes[_SYMBOL] / filled,
        "braces": (text.count("{") + text.count("}")) / filled,
        "capitals": classes[_CAPITAL] / max(letters, 1),
        "placeholder": float(any(phrase in lower for phrase in _PLACEHOLDER)),
    }
    units = _characters(codes) if part else _spaced(lower)
    words = len(units.ids) * part / 100 if part else float(len(units.ids))
    found |= {"words": words, **units.shares(letters + int(classes[_DIGIT]), stop_words)}
    found |= {"hashes": text.count("#") / max(words, 1), "ellipses": _ellipses(text) / max(words, 1)}
    found |= _line_signals(text, lower, words, part)
    found |= _gram_signals(units.ids, units.lengths, part)
    return {name: round(float(value), 4) for name, value in found.items()}


def letter_share(text: str, dividers: str = "") -> float:
    """Share of letters, marks and `dividers` among all characters but spaces; 0 of nothing."""
    codes = np.frombuffer(text.encode("utf-32-le", "surrogatepass"), np.uint32)
    classes = np.bincount(_classes()[codes], minlength=7)
    filled = int(classes.sum() - classes[_SPACE])
    return (int(classes[_LETTER] + classes[_CAPITAL]) + sum(map(text.count, dividers))) / filled if filled else 0.0


@functools.cache
def _classes() -> npt.NDArray[np.uint8]:
    """The class of every code point [0x110000]."""
    table = np.empty(0x110000, np.uint8)
    for code in range(0x110000):
        category = unicodedata.category(chr(code))
        table[code] = _CAPITAL if category in _CAPITALS else _CLASS_OF.get(category[0], _OTHER)
    table[[ord(char) for char in "\t\n\v\f\r\x1c\x1d\x1e\x1f\x85"]] = _SPACE
    return table


class _Units:
    """What is counted as words: numbers that are equal where the words are, and their lengths in characters."""

    def __init__(self, ids: Numbers, lengths: Numbers, words: Sequence[str] = ()):
        self.ids, self.lengths, self.words = ids, lengths, words

    def shares(self, signs: int, stop_words: Collection[str]) -> dict[str, float]:
        count = len(self.words)
        if not count:
            return {}
        found = {"mean_word_length": signs / count, "alphabetic_words": sum(map(_has_letter, self.words)) / count}
        if stop_words:
            found["stop_words"] = sum(map(stop_words.__contains__, self.words)) / count
        return found


def _spaced(lower: str) -> _Units:
    words = lower.split()
    # Numbers differ from one process to the next, what is counted with them does not.
    ids = np.fromiter(map(hash, words), np.int64, len(words))
    return _Units(ids, np.fromiter(map(len, words), np.int64, len(words)), words)


def _characters(codes: npt.NDArray[np.uint32]) -> _Units:
    kinds = _classes()[codes]
    ids = codes[(kinds == _LETTER) | (kinds == _DIGIT) | (kinds == _CAPITAL)].astype(np.int64)
    return _Units(ids, np.ones(len(ids), np.int64))


@functools.lru_cache(1 << 17)
def _has_letter(word: str) -> bool:
    return word.isalpha() or any(map(str.isalpha, word))


def _ellipses(text: str) -> int:
    return text.count("...") + text.count("…")


def _line_signals(text: str, lower: str, words: float, part: int | None) -> dict[str, float]:
    lines = [line for line in map(str.strip, text.split("\n")) if line]
    count, total = len(lines), sum(map(len, lines))
    short = SHORT_LINE * 100 / part if part else SHORT_LINE * 6
    ends = [line.rstrip(CLOSING)[-1:] for line in lines]
    repeats, letters = _repeated(lines)
    paragraphs = [part for part in map(str.strip, text.split("\n\n")) if part]
    return {
        "line_words": words / count,
        "short_lines": sum(len(line) <= short for line in lines) / count,
        "marked_lines": sum(end in SENTENCE_MARKS for end in ends) / count,
        "list_lines": sum(map(bool, map(_LIST.match, lines))) / count,
        "ellipsis_lines": sum(line.endswith(("…", "...")) for line in lines) / count,
        "duplicate_lines": repeats / count,
        "duplicate_line_letters": letters / total,
        "duplicate_paragraph_letters": _repeated(paragraphs)[1] / total if len(paragraphs) > 1 else 0.0,
        "boilerplate_lines": _boilerplate(lower) / count,
    }


def _boilerplate(lower: str) -> int:
    phrases = [phrase for phrase in _BOILERPLATE if phrase in lower]
    return sum(any(phrase in line for phrase in phrases) for line in lower.split("\n")) if phrases else 0


def _repeated(parts: Sequence[str]) -> tuple[int, int]:
    """Parts that stood before, and the characters in them."""
    distinct = set(parts)
    if len(distinct) == len(parts):
        return 0, 0
    return len(parts) - len(distinct), sum(map(len, parts)) - sum(map(len, distinct))


def _gram_signals(ids: Numbers, lengths: Numbers, part: int | None) -> dict[str, float]:
    """Shares of the characters in repeated runs of words. ids, lengths [N]."""
    total = max(int(lengths.sum()), 1)
    ends = np.concatenate([[0], np.cumsum(lengths)])
    found: dict[str, float] = {}
    sizes = {n: max(2, round(n * 100 / part)) if part else n for n in (*TOP_GRAMS, *DUPLICATE_GRAMS)}
    hashes = _Hashes(ids)
    for n in TOP_GRAMS:
        found[f"top_{n}_gram"] = _top(hashes.of(sizes[n]), sizes[n], ends) / total
    candidates: Numbers | None = None  # only where a shorter run is repeated a longer one can be
    for n in DUPLICATE_GRAMS:
        grams = hashes.of(sizes[n])
        repeats, candidates = _repeats(grams, candidates)
        found[f"duplicate_{n}_grams"] = _covered(repeats, sizes[n], ends) / total
    return found


class _Hashes:
    """Numbers of all runs of n tokens; each made of that of n - 1."""

    def __init__(self, ids: Numbers):
        self._ids = ids.astype(np.uint64) * _MULTIPLIER
        self._ids ^= self._ids >> np.uint64(29)
        self._last, self._size = self._ids, 1

    def of(self, size: int) -> npt.NDArray[np.uint64]:
        while self._size < size and len(self._last):
            self._last = self._last[:-1] * _MULTIPLIER + self._ids[self._size :]
            self._size += 1
        return self._last


def _top(grams: npt.NDArray[np.uint64], size: int, ends: Numbers) -> int:
    """Characters in all occurrences of the most frequent run; 0 where none occurs twice."""
    if len(grams) < 2:
        return 0
    order = np.argsort(grams, kind="stable")
    same = grams[order]
    starts = np.flatnonzero(np.concatenate([[True], same[1:] != same[:-1]]))
    counts = np.diff(np.concatenate([starts, [len(same)]]))
    if counts.max() < 2:
        return 0
    best = order[starts[counts == counts.max()]]
    length = int((ends[best + size] - ends[best]).max())
    return min(length * int(counts.max()), int(ends[-1]))


def _repeats(grams: npt.NDArray[np.uint64], among: Numbers | None) -> tuple[Numbers, Numbers]:
    """Positions of runs that stood before, and of all runs that occur more than once; of `among` where it is given."""
    positions = np.arange(len(grams)) if among is None else among[among < len(grams)]
    if len(positions) < 2:
        return positions[:0], positions[:0]
    order = positions[np.argsort(grams[positions], kind="stable")]
    equal = grams[order][1:] == grams[order][:-1]
    later = order[1:][equal]
    return later, np.union1d(order[:-1][equal], later)


def _covered(starts: Numbers, size: int, ends: Numbers) -> int:
    """Characters in the runs of `size` tokens that begin at `starts`, each counted once."""
    if not len(starts):
        return 0
    edges = np.zeros(len(ends), np.int64)
    np.add.at(edges, starts, 1)
    np.add.at(edges, starts + size, -1)
    return int(np.diff(ends)[np.cumsum(edges)[:-1] > 0].sum())
