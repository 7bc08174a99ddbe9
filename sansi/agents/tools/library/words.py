"""What a text is found by: its words, folded, and pairs of characters in scripts that do not part words.

Chinese, Japanese, Thai, Lao, Khmer, Burmese and Tibetan have no blanks between words, and Korean few where a search
wants them: there every two neighbours are a term, so that any word of two characters or more is found inside any
sentence. Terms are spelled in ASCII (a character beyond it as "u" and its number), since SQLite's tokenizer would part
them at marks that Indic words are full of; English endings are its stemmer's.
"""

from __future__ import annotations

import functools
import re
import sys
import unicodedata

_UNSPACED = (
    "\u0e00-\u0eff\u0f00-\u0fff\u1000-\u109f\u1780-\u17ff\u3005\u3040-\u30ff\u31f0-\u31ff\u3400-\u4dbf\u4e00-\u9fff"
    "\uac00-\ud7af\uf900-\ufaff\U00020000-\U0003ffff"
)
_RUNS = re.compile(f"[{_UNSPACED}]+|[^{_UNSPACED}]+")
_HUMPS = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+")
_LATIN_MARKS = re.compile("[\u0300-\u036f]+")
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
    found: list[str] = []
    for word in _word().findall(unicodedata.normalize("NFKC", text)):
        for run in _RUNS.findall(word):
            found += _pairs(run) if re.match(f"[{_UNSPACED}]", run) else _spellings(run)
    return found


def query_of(text: str, most: int = 64) -> str:
    """An FTS5 query for what has any of the terms of a text. "" where it has none."""
    asked = list(dict.fromkeys(terms(text)))[:most]
    # One character of a script without blanks stands at the beginning of a pair, or alone at the end of a run.
    return " OR ".join(f'"{term}"' + ("*" if re.fullmatch(r"u\d+", term) else "") for term in asked)


def _spellings(word: str) -> list[str]:
    """A word without case and accents; of getUserName its parts, too."""
    parts = _HUMPS.findall(word) if word.isascii() and not word.islower() and not word.isupper() else []
    return [_folded(part) for part in ([word, *parts] if len(parts) > 1 else [word]) if len(part) <= MAX_WORD]


def _folded(word: str) -> str:
    if word.isascii():
        return word.lower()
    plain = unicodedata.normalize("NFKD", word.casefold())
    if plain[0] < "\u0530":  # accents of Latin, Greek and Cyrillic; in other scripts marks are vowels
        plain = _LATIN_MARKS.sub("", plain)
    return _ascii(plain)


def _pairs(run: str) -> list[str]:
    return [_ascii(run[i : i + 2]) for i in range(len(run))]  # the last one is a character alone


def _ascii(text: str) -> str:
    return "".join(c if c.isascii() else f"u{ord(c)}" for c in text)
