"""How much of a text another one has lost, and how much it has that is new, whatever became of its spaces."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass

_WORD = re.compile(r"[^\W_]+")
PIECE = 3  # characters


@dataclass(frozen=True)
class Changed:
    """Shares of the words' characters, 0 to 1."""

    lost: float
    """Of the old text, what is not in the new one."""
    new: float
    """Of the new text, what was not in the old one."""


def changed(old: str, new: str) -> Changed:
    """Words that both have are the same; of the others pieces of three characters are compared, so that words that were
    run together or parted count as little as the letters at their seams."""
    one, other = (_WORD.findall(text.casefold()) for text in (old, new))
    both = Counter(one) & Counter(other)
    rests = [_pieces(_without(words, both)) for words in (one, other)]
    sizes = [max(sum(map(len, words)), 1) for words in (one, other)]
    return Changed(
        round(min(1.0, (rests[0] - rests[1]).total() / sizes[0]), 4),
        round(min(1.0, (rests[1] - rests[0]).total() / sizes[1]), 4),
    )


def _without(words: list[str], taken: Counter[str]) -> str:
    left = taken.copy()
    rest = []
    for word in words:
        if left[word] > 0:
            left[word] -= 1
        else:
            rest.append(word)
    return "".join(rest)


def _pieces(text: str) -> Counter[str]:
    if len(text) < PIECE:
        return Counter([text] if text else [])
    return Counter(text[at : at + PIECE] for at in range(len(text) - PIECE + 1))
