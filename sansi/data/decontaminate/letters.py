"""The letters and digits of a text, one byte each: what is left of it however it is wrapped, spaced and marked up.

Two writings that `sansi.data.words` takes for the same have the same letters, but for tags, entities and links between
them. So a run of letters that two texts do not share tells that they share no passage there, at a hundredth of the
cost of splitting both into words. A letter outside ASCII is a hash of 7 bits: enough to tell passages apart.
"""

from __future__ import annotations

import functools
import re
import sys
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from sansi.data.words import LETTERS

Letters = npt.NDArray[np.uint8]

BETWEEN = 1  # the byte between two texts
_SEVERAL = 2  # a character that stands for several letters
_SEPARATOR = "\x01"
_PLAIN = ((0x3400, 0x4DC0), (0x4E00, 0xA000), (0xAC00, 0xD7A4))  # fold to themselves


def letters_of(texts: Sequence[str]) -> Letters:
    """The letters of all texts, one after the other, with BETWEEN before, between and after them."""
    joined = _SEPARATOR.join(["", *texts, ""])
    if joined.count(_SEPARATOR) > len(texts) + 1:
        joined = _SEPARATOR.join(["", *(text.replace(_SEPARATOR, " ") for text in texts), ""])
    units = _units(joined)
    if not joined.isascii():
        folded = fold_table().take(units)
        if (folded == _SEVERAL).any():
            units = _units(_spelt_out(joined, set(units[folded == _SEVERAL].tolist())))
    return np.frombuffer(fold_table().take(units).tobytes().translate(None, b"\0"), np.uint8)


@dataclass(frozen=True)
class OpeningLetters:
    """The letters of some texts, and before which of them a line, a sentence or what stands between marks begins."""

    letters: Letters
    opens: npt.NDArray[np.bool_]


def opening_letters(texts: Sequence[str]) -> OpeningLetters:
    """As `letters_of`, with where something begins: more often than in `sansi.data.words`, never less."""
    units = _units(_SEPARATOR.join(["", *(text.replace(_SEPARATOR, " ") for text in texts), ""]))
    folded = fold_table().take(units)
    if (folded == _SEVERAL).any():
        spelt = _spelt_out(
            units.tobytes().decode("utf-16-le", "surrogatepass"), set(units[folded == _SEVERAL].tolist())
        )
        units = _units(spelt)
        folded = fold_table().take(units)
    places = np.flatnonzero(folded)
    letters = folded[places]
    parted = np.cumsum(_parting_table().take(units), dtype=np.uint32)[places]
    spaced = np.diff(places, prepend=-1) > 1
    unspaced = np.append(np.uint8(0), letters[:-1]) >= 128  # where words are not spaced, a space parts statements
    opens = (np.diff(parted, prepend=0) > 0) | (spaced & unspaced) | (letters == BETWEEN)
    opens[1:] |= letters[:-1] == BETWEEN
    return OpeningLetters(letters, opens)


@functools.cache
def _parting_table() -> npt.NDArray[np.uint8]:
    """For each UTF-16 unit whether it may part two statements."""
    categories = (unicodedata.category(chr(unit)) for unit in range(1 << 16))
    table = np.fromiter((category[0] == "P" for category in categories), np.uint8, 1 << 16)
    table[[ord(char) for char in "\n<>&"]] = 1  # tags and entities too
    return table


class Places:
    """Where in a text its letters stand; about where, after characters that stand for several letters."""

    def __init__(self, text: str):
        self._units = _units(text)
        self._places = np.flatnonzero(fold_table().take(self._units))

    def around(self, begin: int, end: int, margin: int) -> str:
        """The text from letter `begin` to letter `end`, and `margin` characters around it, from space to space."""
        last = len(self._places) - 1
        first = int(self._places[min(max(begin, 0), last)]) - margin
        after = int(self._places[min(max(end, 0), last)]) + margin
        cut = self._units[max(first, 0) : after].tobytes().decode("utf-16-le", "ignore")
        if first > 0:
            cut = cut[cut.find(" ", 0, margin // 2) + 1 :]
        return (
            cut[: cut.rfind(" ", len(cut) - margin // 2)]
            if after < len(self._units) and " " in cut[-margin // 2 :]
            else cut
        )


def _units(text: str) -> npt.NDArray[np.uint16]:
    return np.frombuffer(text.encode("utf-16-le", "surrogatepass"), np.uint16)


@functools.cache
def fold_table() -> Letters:
    """For each UTF-16 unit the byte of its letter; 0: it is none. The half of a pair is told by its second unit."""
    table = np.zeros(1 << 16, np.uint8)
    for begin, end in _PLAIN:
        table[begin:end] = _bytes_of(np.arange(begin, end, dtype=np.uint64))
    table[0xDC00:0xE000] = _bytes_of(np.arange(0xDC00, 0xE000, dtype=np.uint64))
    table[0xD835] = table[0xD83C] = _SEVERAL  # mathematical and enclosed letters, which are others in disguise
    for point in np.flatnonzero(table == 0).tolist():
        if unicodedata.category(chr(point)) in _FOLDED:
            plain = plain_letters(chr(point))
            table[point] = _byte_of(plain) if len(plain) == 1 else _SEVERAL if plain else 0
    table[ord(_SEPARATOR)] = BETWEEN
    return table


_DISGUISED = re.compile("[\U0001d400-\U0001d7ff\U0001f100-\U0001f1ff]")
_FOLDED = frozenset(("Lu", "Ll", "Lt", "Lm", "Lo", "Nd", "Nl", "No", "So"))


def plain_letters(text: str) -> str:
    """The letters and digits of a text without their marks, folded as `sansi.data.words` folds them."""
    folded = unicodedata.normalize("NFKD", unicodedata.normalize("NFKC", text).casefold()).translate(LETTERS)
    kept = (char for char in folded if unicodedata.category(char)[0] in "LN")
    return unicodedata.normalize("NFC", "".join(str(unicodedata.digit(char, char)) for char in kept))


def _spelt_out(text: str, units: set[int]) -> str:
    """The text with what stands for several letters, or is a letter in disguise, written as those letters."""
    found = {chr(unit) for unit in units}
    if pairs := {char for char in found if 0xD800 <= ord(char) < 0xE000}:
        found = found - pairs | set(_DISGUISED.findall(text))
    for char in found:
        text = text.replace(char, plain_letters(char))
    return text


def _byte_of(letter: str) -> int:
    return ord(letter) if letter.isascii() else int(_bytes_of(np.asarray([ord(letter)], np.uint64))[0])


def _bytes_of(points: npt.NDArray[np.uint64]) -> Letters:
    return (((points * np.uint64(2654435761)) >> np.uint64(16)) & np.uint64(127)).astype(np.uint8) | np.uint8(128)


assert sys.byteorder == "little", "the letters are read eight at a time"
