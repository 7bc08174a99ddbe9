"""What the classifier sees of each character: its script, its lower case, and a coarse shape.

The tables are made once, when a model is trained, and kept with it: another version of Unicode changes no answer.
"""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass, fields

import numpy as np
import numpy.typing as npt

KNOWN = 0x20000  # characters with a row of their own; those from here to HAN_END are Chinese
HAN_END = 0x40000
MARK, APOSTROPHE = 254, 255  # classes that become that of the letter before
APOSTROPHES = "'’‘ʼʻ`´"
SCRIPTS = [
    "Zzzz", "Latn", "Cyrl", "Arab", "Hani", "Deva", "Grek", "Hebr", "Hira", "Kana", "Hang", "Thai", "Beng", "Guru",
    "Gujr", "Orya", "Taml", "Telu", "Knda", "Mlym", "Sinh", "Laoo", "Khmr", "Mymr", "Tibt", "Geor", "Armn", "Ethi",
    "Thaa", "Syrc", "Cher", "Cans", "Mong", "Yiii", "Tfng", "Nkoo", "Vaii", "Java", "Bali", "Sund", "Bugi", "Batk",
    "Cham", "Tale", "Talu", "Lana", "Tavt", "Olck", "Mtei", "Adlm", "Cakm", "Limb", "Lepc", "Kali", "Saur", "Tglg",
    "Bopo", "Rjng", "Osge", "Hmnp", "Hmng", "Pauc", "Copt", "Goth", "Runr", "Bamu", "Mand", "Rohg",
]  # fmt: skip
EAST_ASIAN = ("Hani", "Hira", "Kana", "Hang", "Bopo")  # of one language, or used by several together
LONGEST = 5  # characters of an n-gram
LONGEST_EAST_ASIAN = 2
MAX_WORD = 24
MAX_SHAPE = 4
RUN = 5  # of the same shape; more of them say nothing more


@dataclass(frozen=True)
class Alphabet:
    """Tables over characters [KNOWN], over scripts [S] and over groups of scripts [G]; script 0 is "any other"."""

    classes: npt.NDArray[np.uint8]  # 1 + the number of the script in SCRIPTS for a letter, 0 for none
    folded: npt.NDArray[np.uint32]
    shapes: npt.NDArray[np.uint16]
    groups: npt.NDArray[np.uint8]  # [S + 1]
    weights: npt.NDArray[np.uint8]  # [S + 1]
    longest: npt.NDArray[np.uint8]  # [G]

    @property
    def han(self) -> int:
        return SCRIPTS.index("Hani") + 1

    def arrays(self) -> dict[str, npt.NDArray[np.generic]]:
        return {field.name: getattr(self, field.name) for field in fields(self)}


def make_alphabet() -> Alphabet:
    """The tables by this Python's Unicode and the scripts of `regex`."""
    classes, folded, shapes = np.zeros(KNOWN, np.uint8), np.arange(KNOWN, dtype=np.uint32), np.zeros(KNOWN, np.uint16)
    script = _scripts()
    for code in range(KNOWN):
        char = chr(code)
        category = unicodedata.category(char)
        if category[0] == "L":
            classes[code] = script[code] + 1
        elif category[0] == "M":
            classes[code] = script[code] + 1 if script[code] else MARK
        lower = char.lower()
        folded[code] = ord(lower[0])
        shapes[code] = _shape(code, category, int(classes[code]))
    for char in APOSTROPHES:
        classes[ord(char)] = APOSTROPHE
    groups, weights = _groups()
    longest = np.full(int(groups.max()) + 1, LONGEST, np.uint8)
    longest[groups[SCRIPTS.index("Hani") + 1]] = LONGEST_EAST_ASIAN
    return Alphabet(classes, folded, shapes, groups, weights, longest)


def _scripts() -> npt.NDArray[np.uint8]:
    import regex

    everything = "".join(map(chr, range(KNOWN)))
    found = np.zeros(KNOWN, np.uint8)
    for number, name in enumerate(SCRIPTS[1:], 1):
        for run in regex.finditer(rf"\p{{sc={name}}}+", everything):
            found[run.start() : run.end()] = number
    return found


def _shape(code: int, category: str, kind: int) -> int:
    """A code for what a character looks like: ASCII letters by case, digits alike, signs as they are, other letters by
    script and case, those of Latin-1 (of which mojibake is made) apart."""
    if category[0] == "N":
        return ord("0")
    if code < 0x80:
        return ord("A") if category == "Lu" else ord("a") if category == "Ll" else code
    upper = int(category == "Lu")
    if category[0] in "LM":
        return 0x80 + (100 if 0xC0 <= code < 0x100 else kind % 100) * 2 + upper
    return 0x200 + code % 0xFD00


def _groups() -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.uint8]]:
    groups, weights = [0], [0]
    east_asian = 0
    for name in SCRIPTS:
        if name in EAST_ASIAN:
            east_asian = east_asian or max(groups) + 1
            groups.append(east_asian)
            weights.append(2)
        else:
            groups.append(max(groups) + 1)
            weights.append(1)
    return np.array(groups, np.uint8), np.array(weights, np.uint8)
