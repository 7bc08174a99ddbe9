"""Phrases with choices and slots: `[what is|what's] <sum>[?|]` stands for many texts, of which one is drawn."""

from __future__ import annotations

import random
import re
from collections.abc import Mapping, Sequence

_CHOICE = re.compile(r"\[([^\[\]]*)\]")
_SLOT = re.compile(r"<(\w+)>")


def choose(phrase: str, rng: random.Random) -> str:
    """The phrase with one of each `[a|b]` chosen, innermost first. Slots stay."""
    while found := _CHOICE.search(phrase):
        phrase = phrase[: found.start()] + rng.choice(found[1].split("|")) + phrase[found.end() :]
    return phrase


def fill(phrase: str, values: Mapping[str, str]) -> str:
    """The phrase with `<name>` replaced by its value; text that is put in is not read again."""
    return _SLOT.sub(lambda found: values[found[1]], phrase)


def draw(phrase: str, slots: Mapping[str, Sequence[str]], rng: random.Random) -> str:
    """One text of a phrase whose slots are lists of phrases, which may have choices and slots of their own."""
    phrase = choose(phrase, rng)
    while found := _SLOT.search(phrase):
        phrase = phrase[: found.start()] + choose(rng.choice(slots[found[1]]), rng) + phrase[found.end() :]
    return phrase
