"""What a text is found by: its words without case and accents, and pairs of characters where scripts do not part words.

Chinese, Japanese, Thai, Lao, Khmer, Burmese and Tibetan have no blanks between words, and Korean few where a search
wants them: there every two neighbours are a term, so that any word of two characters or more is found inside any
sentence. Terms are spelled in ASCII (a character beyond it as "u" and its number), since SQLite's tokenizer would part
them at marks that Indic words are full of; English endings are its stemmer's.
"""

from __future__ import annotations

import functools
import re
import sqlite3
import sys
import unicodedata

_UNSPACED = (
    "\u0e00-\u0eff\u0f00-\u0fff\u1000-\u109f\u1780-\u17ff\u3005\u3040-\u30ff\u31f0-\u31ff\u3400-\u4dbf\u4e00-\u9fff"
    "\uac00-\ud7af\uf900-\ufaff\U00020000-\U0003ffff"
)
_RUNS = re.compile(f"[{_UNSPACED}]+|[^{_UNSPACED}]+")
_HUMPS = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+")
_LATIN_MARKS = re.compile("[\u0300-\u036f]+")
_VOWEL_SIGNS = re.compile("[\u0591-\u05bd\u05bf\u05c1\u05c2\u05c4\u05c5\u05c7\u0640\u064b-\u065f\u0670\u06d6-\u06ed]+")
"""Of Hebrew and Arabic, which are mostly not written, and the stroke that lengthens an Arabic word."""
_UNSEEN = re.compile("[\u00ad\u034f\u061c\u180e\u200b-\u200f\u202a-\u202e\u2060-\u2064\u2066-\u2069\ufeff]+")
_ELISIONS = re.compile(r"([^\W\d_]+)['’ʼ]([^\W\d_]+)")
_ALIKE = str.maketrans(
    {"ł": "l", "ø": "o", "đ": "d", "ð": "d", "þ": "th", "æ": "ae", "œ": "oe", "ħ": "h", "ŧ": "t", "ı": "i"}
    | {"ک": "ك", "ی": "ي", "ى": "ي"}
)
"""Letters that no decomposition takes apart, as those write them who do not have them."""
_WRITTEN_OUT = str.maketrans({"ä": "ae", "ö": "oe", "ü": "ue", "ø": "oe", "å": "aa"})
TERMS = 2  # counted up when a text has other terms than before
MAX_WORD = 64  # characters; what is longer is no word


@functools.cache
def _word() -> re.Pattern[str]:
    """Letters, digits and the marks that belong to letters."""
    marks = "".join(
        re.escape(chr(code)) for code in range(0x300, sys.maxunicode >> 4) if unicodedata.category(chr(code))[0] == "M"
    )
    return re.compile(rf"[^\W_](?:[^\W_]|[{marks}])*")


def terms(text: str) -> list[str]:
    """The terms of a text in their order, with repetitions."""
    text = _UNSEEN.sub("", unicodedata.normalize("NFKC", text))
    found = [_folded(before + after) for before, after in _ELISIONS.findall(text)]  # don't as dont, beside don and t
    for word in _word().findall(text):
        for run in _RUNS.findall(word):
            found += _pairs(run) if re.match(f"[{_UNSPACED}]", run) else _spellings(run)
    return found


def terms_are_others(base: sqlite3.Connection) -> bool:
    """Whether what a database keeps was made of other terms than today's, so that it must be made anew; told once."""
    if base.execute("PRAGMA user_version").fetchone()[0] == TERMS:
        return False
    base.execute(f"PRAGMA user_version = {TERMS}")
    return True


def query_of(text: str, most: int = 64) -> str:
    """An FTS5 query for what has any of the terms of a text. "" where it has none."""
    asked = list(dict.fromkeys(terms(text)))[:most]
    # One character of a script without blanks stands at the beginning of a pair, or alone at the end of a run.
    return " OR ".join(f'"{term}"' + ("*" if re.fullmatch(r"u\d+", term) else "") for term in asked)


def _spellings(word: str) -> list[str]:
    """A word without case and accents; of getUserName its parts, too."""
    parts = _HUMPS.findall(word) if word.isascii() and not word.islower() and not word.isupper() else []
    forms = [_folded(part) for part in ([word, *parts] if len(parts) > 1 else [word]) if len(part) <= MAX_WORD]
    written_out = word if word.isascii() else word.casefold().translate(_WRITTEN_OUT)  # Müller as Mueller, too
    return forms if written_out == word or len(word) > MAX_WORD else list(dict.fromkeys([*forms, _folded(written_out)]))


def _folded(word: str) -> str:
    if word.isascii():
        return word.lower()
    plain = unicodedata.normalize("NFKD", word.casefold().translate(_ALIKE))
    if plain[0] < "\u0530":  # accents of Latin, Greek and Cyrillic; in other scripts marks are vowels
        plain = _LATIN_MARKS.sub("", plain)
    return _ascii(_VOWEL_SIGNS.sub("", plain))


def _pairs(run: str) -> list[str]:
    return [_ascii(run[i : i + 2]) for i in range(len(run))]  # the last one is a character alone


def _ascii(text: str) -> str:
    return "".join(c if c.isascii() else f"u{ord(c)}" for c in text)
