"""Keep evaluation texts out of training: a document that shares a long run of words with one is left out.

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

from collections.abc import Iterable, Iterator

import numpy as np
import numpy.typing as npt

from sansi.base.errors import SansiError
from sansi.data.words import Words, read_words, split_words

__all__ = ["Decontaminator", "split_words"]

RUN_WORDS, MIN_WORDS, ALONE_WORDS = 13, 8, 3


def as_texts(evaluation_texts: Iterable[str]) -> list[str]:
    """The evaluation texts as a list. Raises SansiError for one text that is given alone, and names what is no text."""
    if isinstance(evaluation_texts, str):
        raise SansiError('"evaluation_texts" is one text; give a list of texts', param="evaluation_texts")
    texts = list(evaluation_texts)
    for number, text in enumerate(texts):
        if not isinstance(text, str):
            raise SansiError(f"evaluation text {number} is {type(text).__name__}; give texts", param="evaluation_texts")
    return texts


class Decontaminator:
    """Knows the evaluation texts and finds documents that overlap with them."""

    def __init__(self, evaluation_texts: Iterable[str], n: int = RUN_WORDS, min_words: int = MIN_WORDS):
        texts = as_texts(evaluation_texts)
        if not 0 < min_words <= n:
            raise SansiError(f'"min_words" is {min_words}, "n" {n}; give 0 < min_words <= n', param="min_words")
        self.n = n
        self._known: dict[str, int] = {}  # token -> its number, from 1; a run with another token is in no text
        self._runs: set[bytes] = set()  # of n words
        self._anywhere: dict[int, set[bytes]] = {}  # tokens of a whole text -> texts
        self._alone: dict[int, set[bytes]] = {}
        self._whole: set[bytes] = set()
        for text in texts:
            self._learn(read_words(text), min_words)

    def is_contaminated(self, text: str) -> bool:
        """Whether the text holds a run of words of an evaluation text."""
        return self.overlap(text) is not None

    def overlap(self, text: str) -> str | None:
        """The first run of words that the text shares with an evaluation text, longest kind first."""
        if not self._known:
            return None
        words = read_words(text)
        ids = np.asarray([self._known.get(token, 0) for token in words.tokens], np.int32)
        for begin, end in self._found(words, ids):
            return " ".join(words.tokens[begin:end])
        return None

    def _learn(self, words: Words, min_words: int) -> None:
        if not words.tokens:
            return
        ids = np.asarray([self._known.setdefault(t, len(self._known) + 1) for t in words.tokens], np.int32)
        if words.count >= self.n:
            begins, ends = words.windows(self.n)
            self._runs.update(ids[begin:end].tobytes() for begin, end in zip(begins, ends, strict=True))
        elif words.count >= min_words:
            self._anywhere.setdefault(len(ids), set()).add(ids.tobytes())
        elif words.count >= ALONE_WORDS or any(token.isdigit() for token in words.tokens):
            self._alone.setdefault(len(ids), set()).add(ids.tobytes())
        else:
            self._whole.add(ids.tobytes())

    def _found(self, words: Words, ids: npt.NDArray[np.int32]) -> Iterator[tuple[int, int]]:
        strange = np.concatenate([[0], np.cumsum(ids == 0)])  # tokens that no evaluation text has, before each place
        begins, ends = words.windows(self.n)
        yield from _matches(ids, strange, begins, ends, self._runs)
        for size, texts in self._anywhere.items():
            begins = np.arange(len(ids) - size + 1)
            yield from _matches(ids, strange, begins, begins + size, texts)
        for size, texts in self._alone.items():
            places = max(len(ids) - size + 1, 0)
            begins = np.flatnonzero(words.opens[:places] & words.closes[len(ids) - places :])
            yield from _matches(ids, strange, begins, begins + size, texts)
        if ids.tobytes() in self._whole:
            yield 0, len(ids)


def _matches(
    ids: npt.NDArray[np.int32],
    strange: npt.NDArray[np.int64],
    begins: npt.NDArray[np.int64],
    ends: npt.NDArray[np.int64],
    texts: set[bytes],
) -> Iterator[tuple[int, int]]:
    for place in np.flatnonzero(strange[ends] == strange[begins]) if texts else ():
        begin, end = int(begins[place]), int(ends[place])
        if ids[begin:end].tobytes() in texts:
            yield begin, end
