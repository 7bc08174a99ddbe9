"""Text as comparable words in any script: what decontamination, deduplication and quality all read.

Two texts that a reader takes for the same give the same words: HTML entities, tags and Markdown's marks are undone;
compatibility forms (full-width letters, ligatures, half-width kana), case, invisible characters, apostrophes, the
accents of Latin, Greek and Cyrillic and the points of Arabic and Hebrew are folded; digits of every script are ASCII
digits, and a number falls into its groups of three, so that 1234567, 1,234,567 and 1 234 567 are the same. Vowel signs
of the Indic scripts and tone marks of the South-East Asian ones stay, since they are letters there. Simplified and
traditional Chinese are not folded into each other.

Where a script puts no spaces between words, a token is a character with its marks and counts as a part of a word. How
large a part is measured: words of the English text of the Universal Declaration by characters of the same text in that
script. No dictionary is used: its words would begin elsewhere when the same sentence stands in another one.
"""

from __future__ import annotations

import functools
import html
import itertools
import re
import unicodedata
from collections import Counter
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from sansi.base.errors import SansiError
from sansi.base.installing import install_command

try:
    import regex
except ImportError as error:
    raise SansiError(f"words of every script need regex; run: {install_command('train')}") from error

# Words that a token is, in hundredths. Tibetan is divided into syllables; the others are written without divisions.
UNSPACED: dict[str, int] = {
    "Han": 67, "Hiragana": 27, "Katakana": 27, "Bopomofo": 40, "Yi": 60,
    "Thai": 25, "Lao": 23, "Khmer": 28, "Myanmar": 29,
    "Tai_Le": 33, "New_Tai_Lue": 33, "Tai_Tham": 37, "Tai_Viet": 33, "Ahom": 33,
    "Javanese": 30, "Balinese": 30, "Buginese": 30, "Batak": 30, "Rejang": 30, "Phags_Pa": 50,
    "Tangut": 67, "Nushu": 50,
}  # fmt: skip
SYLLABLES = {"Tibetan": 57}
WORD, NUMBER = 100, 50  # a digit group says less than a word: a list of numbers is no quotation

_UNSPACED = "".join(rf"\p{{scx={script}}}" for script in UNSPACED)
_WORD = rf"[[\p{{L}}\p{{M}}\p{{N}}]--[0-9]--[[{_UNSPACED}]&&[\p{{L}}\p{{N}}]]]++"
_CLUSTER = rf"[[{_UNSPACED}]&&[\p{{L}}\p{{N}}]]\p{{M}}*+"
# Plus, equals, …; times and divided by after a number, a bracket or a variable; power; minus before a number.
_OPERATOR = (
    r"[+=<>%]|(?<=(?:\d|\)|(?<![\p{L}\d])\p{L})\s?)[*/](?=\s?[\p{L}\d(])|\^(?=[-+]?(?:\d|\p{L}\b|[({]))"
    r"|(?<![\p{L}\d])-(?=\s?\d)|(?<=\d\s?)-(?=\s?(?:\d|\p{L}\b))"
)
# Scripts by their names in ISO 15924.
_SCRIPTS_BY_NAME = regex.compile(
    "|".join(
        rf"(?P<{script}>\p{{sc={script}}})"
        for script in (  # noqa: SIM905
            "Latn Cyrl Arab Hani Deva Grek Hebr Hira Kana Hang Thai Beng Guru Gujr Orya Taml Telu Knda Mlym "
            "Sinh Laoo Khmr Mymr Tibt Geor Armn Ethi Thaa Syrc Cher Cans Mong Yiii Tfng Nkoo Vaii Java Bali "
            "Sund Bugi Batk Cham Tale Talu Lana Tavt Olck Mtei Adlm Cakm Limb Lepc Kali Saur Tglg Bopo Rjng "
            "Osge Hmnp Hmng Pauc Copt Goth Runr Bamu Mand"
        ).split()
    )
)

# What parts two statements: line ends and punctuation, but no apostrophe, hyphen, decimal mark or divider of words.
_BREAK = r"(?<=\d)[.,](?=\d)(*SKIP)(*FAIL)|[\n\p{P}--['\-_*/\u0f0b\u0f0c\u1361]]"
# Where spaces part no words they part statements.
_SPACE = rf"(?<=[{_UNSPACED}])[ \t]+(?=[{_UNSPACED}])"
_PIECES = regex.compile(rf"(?V1){_WORD}|{_CLUSTER}|[0-9]++|{_OPERATOR}|{_BREAK}|{_SPACE}")
# The same of ASCII alone, for the standard library, which is faster where it need not look behind.
_ASCII_PIECES = re.compile(
    r"[a-z]+|[0-9]+|[+=<>%]"
    r"|[*/](?:(?<=[\d)][*/])|(?<=[\d)]\s[*/])|(?<=(?<![a-z\d])[a-z][*/])|(?<=(?<![a-z\d])[a-z]\s[*/]))(?=\s?[a-z\d(])"
    r"|\^(?=[-+]?(?:\d|[a-z]\b|[({]))"
    r"|-(?:(?<![a-z\d]-)(?=\s?\d)|(?:(?<=\d-)|(?<=\d\s-))(?=\s?(?:\d|[a-z]\b)))"
    r"|[.,](?!(?<=\d[.,])\d)|[\n!\"#%&():;?@\[\\\]{}]"
)
_SCRIPTS = [(regex.compile(rf"\p{{scx={name}}}"), weight) for name, weight in {**UNSPACED, **SYLLABLES}.items()]
_TAG = regex.compile(r"<!--.*?-->|</?([a-zA-Z][\w:-]*)(?:\s[^<>]*)?/?>", regex.DOTALL)
_INLINE = frozenset(
    "a abbr b bdi bdo big cite code dfn em font i kbd mark q s samp small span strong tt u var wbr".split()  # noqa: SIM905
)
_SUPERSCRIPT = regex.compile("[⁺⁻]?[⁰¹²³⁴⁵⁶⁷⁸⁹]+")
_INVISIBLE = regex.compile(r"(?V1)[\p{DI}\p{Cf}\p{Cc}\u0640--[\t\n\r\f\v\u0085]]")
# Accents of Latin, Greek and Cyrillic; points and signs of Hebrew and Arabic.
_POINTS = regex.compile(
    r"[\u0300-\u036f\u0483-\u0487\u0591-\u05c7\u0610-\u061a\u064b-\u065f\u0670\u06d6-\u06ed\u08ca-\u08ff]"
)
LETTERS = str.maketrans({
    "ı": "i", "ł": "l", "ø": "o", "đ": "d", "ð": "d", "ħ": "h", "ŧ": "t", "æ": "ae", "œ": "oe", "þ": "th",
    "ك": "ک", "ي": "ی", "ى": "ی", "ة": "ه",
    "−": "-", "–": "-", "‐": "-", "‑": "-", "×": "*", "⋅": "*", "·": "*", "÷": "/", "⁄": "/", "∕": "/",
    "’": "'", "‘": "'", "ʼ": "'", "ʻ": "'", "ʹ": "'", "`": "'", "´": "'", "′": "'", "＇": "'",
})  # fmt: skip
_LINK = regex.compile(r"!?\[([^\[\]\n]*)\]\((?:[^()\n]|\([^()\n]*\))*\)")
_ESCAPED = regex.compile(r"\\([\\`*_{}\[\]()#+\-.!|$%&<>~])")
_POWER = regex.compile(r"(?<=\d)\*\*(?=\d)")
# Emphasis and code marks; an asterisk or a low line between two words is left to the tokens.
_MARKS = regex.compile(r"\*\*+|__+|~~+|`+|(?<=\p{L}{2})\*(?=\p{L})|(?<![\w)])[*_](?=\w)|(?<=[\p{L}.!?,;:])[*_](?!\w)")
# What opens a line and is no text: quotation and list marks, rules, underlines of headings.
_LINE = regex.compile(r"^[ \t]*(?:>[ \t]?)+|^[ \t]*[*+-][ \t]+|^[ \t]*(?:={3,}|-{3,}|\*{3,})[ \t]*$", regex.MULTILINE)
_HYPHENATED = regex.compile(r"(?<=\p{L})-[ \t]*\r?\n\s*(?=\p{Ll})")
_APOSTROPHE = regex.compile(r"(?<=\p{L})'(?=\p{L})")
_INDIAN = regex.compile(r"(?<![\d,])\d{1,2}(?:,\d\d)+,\d{3}(?![\d,])")
# What the searches above can not do without, found by a quicker search.
_ASCII_INVISIBLE = re.compile(r"[\x00-\x08\x0e-\x1f\x7f]")
_LINE_MARK = re.compile(r"^[ \t]*[-=*+>]", re.MULTILINE)
_ANY_MARK = re.compile(r"[*_`]|~~")
_BROKEN = re.compile(r"-[ \t]*\r?\n")
_INDIAN_MARK = re.compile(r"\d,\d\d,")
_NON_ASCII_DIGIT = regex.compile(r"(?V1)[\p{Nd}--[0-9]]")


@dataclass(frozen=True)
class Words:
    """The tokens of a text. `weights` [N] are hundredths of a word; a token opens (closes) a statement where `opens`
    (`closes`) [N] holds: there a line, a sentence or what stands between punctuation marks begins (ends)."""

    tokens: list[str]
    weights: npt.NDArray[np.int64]
    opens: npt.NDArray[np.bool_]
    closes: npt.NDArray[np.bool_]

    @property
    def count(self) -> float:
        """Words, those of scripts without spaces as measured parts."""
        return float(self.weights.sum()) / 100

    def windows(self, words: float) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
        """Begins and ends of the shortest runs of at least `words` words, one from each token that has one."""
        total = np.concatenate([[0], np.cumsum(self.weights)])
        ends = np.searchsorted(total, total[:-1] + round(words * 100))
        begins = np.flatnonzero(ends < len(total))
        return begins, ends[begins]


def read_words(text: str) -> Words:
    """The words of a text, normalised as the head of this file says."""
    pieces = split_pieces(normalize(text))
    weights = np.fromiter(map(_known.__getitem__, pieces), np.int64, len(pieces))
    if (weights == _LONG_NUMBER).any():
        return _with_long_numbers(pieces, weights)
    found = weights != 0
    # The first token opens a statement, and each after what parts statements.
    opens = np.concatenate([[True], ~found[:-1]])[found] if len(pieces) else found
    return _words(list(itertools.compress(pieces, found.tolist())), weights[found], opens)


def _with_long_numbers(pieces: list[str], weights: npt.NDArray[np.int64]) -> Words:
    """Numbers fall into groups of three, of which the first alone opens a statement."""
    tokens: list[str] = []
    kept: list[int] = []
    opens: list[bool] = []
    fresh = True  # the next token opens a statement
    for piece, weight in zip(pieces, weights.tolist(), strict=True):
        if weight:
            parts = number_groups(piece) if weight == _LONG_NUMBER else [piece]
            tokens += parts
            kept += [NUMBER if weight == _LONG_NUMBER else weight] * len(parts)
            opens += [fresh, *[False] * (len(parts) - 1)]
        fresh = not weight
    return _words(tokens, np.asarray(kept, np.int64), np.asarray(opens, bool))


def _words(tokens: list[str], weights: npt.NDArray[np.int64], opens: npt.NDArray[np.bool_]) -> Words:
    return Words(tokens, weights, opens, np.concatenate([opens[1:], [True]]) if tokens else opens)


def number_groups(piece: str) -> list[str]:
    """The groups of three of a number, from its end; of any other piece itself."""
    if not piece.isdigit() or len(piece) <= 3:
        return [piece]
    head = len(piece) % 3 or 3
    return [piece[:head], *(piece[i : i + 3] for i in range(head, len(piece), 3))]


class _KnownWeights(dict[str, int]):
    """Weights of pieces seen before: looking one up costs less than finding it out."""

    def __missing__(self, piece: str) -> int:
        if len(self) >= _MOST_KNOWN:
            self.clear()
        long = piece.isdigit() and len(piece) > 3
        weight = self[piece] = _LONG_NUMBER if long else piece_weight(piece)
        return weight


_MOST_KNOWN = 1 << 18
_LONG_NUMBER = -1  # in the place of a weight: what falls into groups of three
_known = _KnownWeights()


def split_pieces(normalized: str) -> list[str]:
    """Words, numbers, operators, and what parts statements, of a text that `normalize` made."""
    found: list[str] = (_ASCII_PIECES if normalized.isascii() else _PIECES).findall(normalized)
    return found


def piece_weight(piece: str) -> int:
    """Hundredths of a word that a piece counts; 0 for what parts statements."""
    return _weight(piece[0])


def split_words(text: str) -> list[str]:
    """The normalised tokens of a text: words, and characters with their marks where no spaces part the words."""
    return read_words(text).tokens


def count_words(text: str) -> float:
    """`read_words(text).count`, without the words."""
    pieces = split_pieces(normalize(text))
    weights = list(map(_known.__getitem__, pieces))
    long = [piece for piece, weight in zip(pieces, weights, strict=True) if weight == _LONG_NUMBER]
    groups = sum(len(number_groups(piece)) for piece in long)
    return (sum(weights) - _LONG_NUMBER * len(long) + NUMBER * groups) / 100


def main_script(text: str) -> str | None:
    """The script (ISO 15924) of most letters, by the first 4,000 characters; None without letters.

    Chinese characters with kana are Jpan, with Hangul Kore, alone Hani.
    """
    letters: Counter[str] = Counter()
    for char, count in Counter(text[:4000]).items():
        if script_of := _script_of(char):
            letters[script_of] += count
    if not letters:
        return None
    script, kana = letters.most_common(1)[0][0], letters["Hira"] + letters["Kana"]
    if script in ("Hani", "Hira", "Kana") and kana > 0.05 * letters.total():
        return "Jpan"
    return "Kore" if script == "Hang" or (script == "Hani" and letters["Hang"] > 0.05 * letters.total()) else script


@functools.lru_cache(1 << 16)
def _script_of(char: str) -> str | None:
    found = _SCRIPTS_BY_NAME.match(char)
    return found.lastgroup if found else None


def normalize(text: str) -> str:
    """The text as it is compared: see the head of this file."""
    text = without_tags(text)
    if text.isascii():
        text = text.lower()
        text = _ASCII_INVISIBLE.sub("", text)
    else:
        text = _folded(text)
    # Most texts have few of these marks: where a mark is missing nothing is searched.
    if _LINE_MARK.search(text):
        text = _LINE.sub("", text)
    if "**" in text:
        text = _POWER.sub("^", text)
    if "\\" in text:
        text = _ESCAPED.sub(r"\1", text)
    text = without_links(text)
    if _ANY_MARK.search(text):
        text = _MARKS.sub("", text)
    if not text.isascii():
        text = text.translate(LETTERS)
    elif "`" in text:
        text = text.replace("`", "'")
    if _BROKEN.search(text):
        text = _HYPHENATED.sub("", text)
    if "'" in text:
        text = _APOSTROPHE.sub("", text)
    return _INDIAN.sub(lambda found: found[0].replace(",", ""), text) if _INDIAN_MARK.search(text) else text


def _folded(text: str) -> str:
    """Compatibility forms, accents, points, digits of all scripts, case and invisible characters."""
    text = _SUPERSCRIPT.sub(lambda found: "^" + unicodedata.normalize("NFKC", found[0]), text)
    if not text.isascii():
        text = unicodedata.normalize("NFKD", unicodedata.normalize("NFKC", text).casefold())
        text = unicodedata.normalize("NFC", _POINTS.sub("", text))
        text = _NON_ASCII_DIGIT.sub(lambda found: str(unicodedata.digit(found[0], found[0])), text)
    return _INVISIBLE.sub("", text.casefold())


def without_tags(text: str) -> str:
    """The text with entities and tags undone, as `normalize` begins."""
    return _TAG.sub(_untag, html.unescape(text)) if "&" in text or "<" in text else text


def without_links(text: str) -> str:
    """The text with the words of Markdown's links alone."""
    return _LINK.sub(r"\1", text) if "](" in text else text


def _untag(match: regex.Match[str]) -> str:
    name = (match[1] or "").lower()
    if name == "sup":
        return "" if match[0].startswith("</") else "^"
    return "" if name in _INLINE or name == "sub" else "\n"


@functools.lru_cache(1 << 16)
def _weight(char: str) -> int:
    """Hundredths of a word that a piece with this first character counts; 0 for what parts statements."""
    if char in "+=<>%*/^-" or char.isdigit():
        return NUMBER
    if not regex.match(r"[\p{L}\p{M}\p{N}]", char):
        return 0
    return next((weight for script, weight in _SCRIPTS if script.match(char)), WORD)
