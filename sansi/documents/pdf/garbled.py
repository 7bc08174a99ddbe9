"""Whether a page's text is what stands on it, by its characters alone.

A PDF draws glyphs; which characters they are its fonts may tell wrongly, or not at all. What comes out then is text of
private or missing characters, of letters that are all moved by a number, or exchanged, or in mirrored order. None of
this needs to know the language: see `letters`.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache

from sansi.documents.pdf.letters import SCRIPTS, main_script, reversed_words, tables, words_of

UNREADABLE = re.compile("[\ufffd\ue000-\uf8ff\U000f0000-\U0010fffd\0-\x08\x0e-\x1f\x7f-\x9f]")
BULLETS = re.compile("(?<!\\S)[\uf000-\uf0ff](?!\\S)")  # of symbol fonts: a sign by itself is no text that is lost
MOST_UNREADABLE = 0.05  # of the characters
MOST_UNMAPPED = 0.3  # of a sample that the font does not tell: and then the text has to be usual all the same
SHORT = 80  # letters that say something
# Bits of a letter that the most unusual languages have, plus what chance adds to few letters: of 14,000 pieces of 412
# texts in Latin letters about one in a thousand has more, of such with exchanged letters about nine in ten.
MOST_BITS, MOST_BITS_LATIN, CHANCE = 4.75, 4.55, 5.0
UNMAPPED_BITS = 0.25  # fewer where the font does not tell its characters
MIRRORED = 0.15  # bits by which a text is more usual backwards, and what chance adds to few letters
MIRRORED_CHANCE = 2.0
MOST_FOREIGN = 0.6  # of a Latin text's letters that are not of ASCII: no language has so many
MOST_MIXED = 0.4  # of the words that have signs between their letters
LEADERS = re.compile(r"(?:[.·] ?){3,}")  # to the number of a page
SHIFTS = range(-64, 65)
SHIFT_GAIN = 0.7  # bits a character that moving all of them gains

_SIGNS = r"!\"#$%*+<=>?\\^`{|}~"  # that stand between letters of a word in no language
_MIXED = re.compile(rf"[A-Za-z][{_SIGNS}]+[A-Za-z0-9]|[{_SIGNS}]+[A-Za-z][{_SIGNS}]")
_WORD = re.compile(r"\S*[A-Za-z]\S*")


@dataclass(frozen=True)
class Garbled:
    """What is wrong with a text, in a few words that are the same for each of the kind, and how much of it."""

    reason: str
    value: float


def garbled(text: str, unmapped: float = 0.0, code: bool = False) -> Garbled | None:
    """What is wrong with the text of a page, or None.

    unmapped: share of its characters that the font does not tell. code: most of it is in a font of fixed pitch, so that
    its words need not be those of a language.
    """
    dense = "".join(BULLETS.sub("", text).split())
    if not dense:
        return None
    unreadable = len(UNREADABLE.findall(dense)) / len(dense)
    if unreadable > MOST_UNREADABLE:
        return Garbled("no characters", round(unreadable, 3))
    if (shift := _shifted(text)) is not None:
        return Garbled("shifted alphabet", shift)
    if (foreign := _foreign(dense)) > MOST_FOREIGN:
        return Garbled("wrong encoding", round(foreign, 3))
    if code:
        return None
    if (mixed := _mixed(text)) > MOST_MIXED:
        return Garbled("signs in words", round(mixed, 3))
    return _unusual(text, unmapped)


def _unusual(text: str, unmapped: float) -> Garbled | None:
    script = main_script(text)
    if script is None:
        return None
    words = words_of(text, script)
    letters = sum(map(len, words))
    if letters < SHORT:
        return None
    table, root = tables()[script], math.sqrt(letters)
    bits = table.score(words)
    if bits - table.score(reversed_words(words)) > MIRRORED + MIRRORED_CHANCE / root:
        return Garbled("mirrored order", round(bits, 2))
    most = (MOST_BITS_LATIN if script == "Latn" else MOST_BITS) + CHANCE / root
    most -= UNMAPPED_BITS if unmapped > MOST_UNMAPPED else 0.0
    return Garbled("unusual letters", round(bits, 2)) if bits > most else None


def _foreign(dense: str) -> float:
    """Of Latin letters, those beyond ASCII: many where bytes of another script were taken for Latin ones."""
    letters = re.findall(f"[{SCRIPTS['Latn']}]", dense)
    if len(letters) < SHORT / 2 or 2 * len(letters) < sum(map(str.isalpha, dense)):
        return 0.0
    return sum(letter > "\x7f" for letter in letters) / len(letters)


def _mixed(text: str) -> float:
    """Of the words with letters, those that have signs where no language puts them."""
    words = _WORD.findall(text)
    if len(words) < SHORT / 4:
        return 0.0
    return sum(_MIXED.search(word) is not None for word in words) / len(words)


def _shifted(text: str) -> int | None:
    """By how many places all characters of a text of ASCII are moved, as glyph numbers are where a font tells no
    characters; None where they are not."""
    text = LEADERS.sub(" ", text)
    visible = "".join(c for c in text if "!" <= c <= "~")
    counts = Counter(visible)
    if counts.total() < SHORT or len(visible) < 0.9 * len("".join(text.split())):
        return None
    bits = {shift: _bits(counts, shift) for shift in SHIFTS}
    best = min(bits, key=bits.__getitem__)
    if bits[0] - bits[best] < SHIFT_GAIN:
        return None
    return best if _latin_bits(text) - _latin_bits(text.translate(_moved(best))) > SHIFT_GAIN else None


def _latin_bits(text: str) -> float:
    """Of the letters; many where there are hardly any."""
    words = words_of(text, "Latn")
    return tables()["Latn"].score(words) if sum(map(len, words)) >= SHORT / 2 else 2 * MOST_BITS_LATIN


def _moved(shift: int) -> dict[int, int]:
    return {code: max(code + shift, 32) for code in range(33, 127)}


def _bits(counts: Mapping[str, int], shift: int) -> float:
    usual = _usual_characters()
    return sum(number * usual.get(ord(char) + shift, 14.0) for char, number in counts.items()) / sum(counts.values())


@cache
def _usual_characters() -> Mapping[int, float]:
    """Bits of each visible character of ASCII in Latin text, by what its classes and letters have of it."""
    found: dict[int, float] = {}
    for letters, bits in (("aeiou", 3.5), ("nrtslmdkgpbhcy", 4.9), ("fvwzjxq", 7.0)):
        for letter in letters:
            found[ord(letter)] = bits
            found[ord(letter.upper())] = bits + 4.0
    found |= {ord(digit): 8.0 for digit in "0123456789"}
    found |= {ord(sign): 7.0 for sign in ".,-"} | {ord(sign): 9.0 for sign in "'\"()/:;"}
    return {code: found.get(code, 11.0) for code in range(33, 127)}
