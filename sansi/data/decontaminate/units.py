"""What of an evaluation text is looked for, and what of it stands in a text: runs of words, as hashes.

Words are those of `sansi.data.words`, the same on both sides, whatever the script. How much must be shared depends on
how much an evaluation text says:

    13 words or more   any run of 13 words (`n`; the GPT-3 paper, appendix C), that is some 50 characters of Thai
    8 to 13 words      the whole text, anywhere (`min_words`)
    3 to 8 words       the whole text where it stands alone: as a line, a sentence or between punctuation marks
    fewer than 3       alone too if it has a number; else only a document that is nothing but this text

So "What is 12 + 7?" is found in an exercise book, "Who was it?" costs no novel its place, and of a single name nothing
is concluded.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from sansi.data.word_hashes import Codes, codes_of, hashes_of_runs
from sansi.data.words import Words, read_words

RUN_WORDS, MIN_WORDS, ALONE_WORDS = 13, 8, 3

Kind = Literal["run", "anywhere", "alone", "whole"]
KINDS: tuple[Kind, ...] = ("run", "anywhere", "alone", "whole")
Spans = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Units:
    """The runs of one evaluation text that are looked for: of one kind, from token `begins` [N] to `ends` [N]."""

    kind: Kind
    words: Words
    begins: Spans
    ends: Spans
    hashes: Codes

    @property
    def size(self) -> int:
        """Tokens of the run, where it must be the whole text."""
        return len(self.words.tokens)


def units_of(text: str, n: int = RUN_WORDS, min_words: int = MIN_WORDS) -> Units | None:
    """What of an evaluation text is looked for; None: it has no words."""
    words = read_words(text)
    if not words.tokens:
        return None
    begins, ends = np.zeros(1, np.int64), np.full(1, len(words.tokens))
    if words.count >= n:
        kind: Kind = "run"
        begins, ends = words.windows(n)
    elif words.count >= min_words:
        kind = "anywhere"
    elif words.count >= ALONE_WORDS or any(token.isdigit() for token in words.tokens):
        kind = "alone"
    else:
        kind = "whole"
    return Units(kind, words, begins, ends, keyed(kind, ends - begins, hashes_of_runs(codes_of(words), begins, ends)))


def keyed(kind: Kind, sizes: Spans, hashes: Codes) -> Codes:
    """The hashes of runs of one kind and size, apart from those of the others."""
    tokens = np.zeros(1, np.uint64) if kind == "run" else sizes.astype(np.uint64)
    salt = (tokens * np.uint64(len(KINDS)) + np.uint64(KINDS.index(kind))) * np.uint64(0xD1B54A32D192ED03)
    found: Codes = hashes ^ salt
    return found


@dataclass(frozen=True)
class Candidates:
    """The runs of a text that may stand in evaluation texts, longest kind first."""

    words: Words
    begins: Spans
    ends: Spans
    keys: Codes

    def passage(self, run: int) -> str:
        return " ".join(self.words.tokens[self.begins[run] : self.ends[run]])


def candidates_in(
    text: str, n: int, anywhere: npt.NDArray[np.int64], alone: npt.NDArray[np.int64], is_whole: bool
) -> Candidates:
    """anywhere, alone: the sizes of evaluation texts of these kinds. is_whole: the text is all of a document."""
    words = read_words(text)
    count = len(words.tokens)
    parts: list[tuple[Kind, Spans, Spans]] = [("run", *words.windows(n))]
    for size in anywhere[anywhere <= count].tolist():
        begins = np.arange(count - size + 1)
        parts.append(("anywhere", begins, begins + size))
    for size in alone[alone <= count].tolist():
        begins = np.flatnonzero(words.opens[: count - size + 1] & words.closes[size - 1 :])
        parts.append(("alone", begins, begins + size))
    if is_whole and count:
        parts.append(("whole", np.zeros(1, np.int64), np.full(1, count)))
    begins, ends = (np.concatenate([part[side] for part in parts]) for side in (1, 2))
    hashes = hashes_of_runs(codes_of(words), begins, ends)
    splits = np.cumsum([len(part[1]) for part in parts])[:-1]
    keys = [
        keyed(kind, last - first, own) for (kind, first, last), own in zip(parts, np.split(hashes, splits), strict=True)
    ]
    return Candidates(words, begins, ends, np.concatenate(keys))
