"""Keep evaluation texts out of training: a document that shares a long run of words with one is left out.

Runs are of `n` words (13, as in the GPT-3 paper, appendix C), case and punctuation apart; in scripts without
spaces every character is a word. An evaluation text shorter than that counts as a whole, if it has `min_words`.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Iterator
from hashlib import blake2b

# A Han, kana, Thai, Lao, Khmer or Burmese character, or a run of other word characters.
WORD = re.compile(r"[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff\U00020000-\U0003ffff]|[^\W_]+")


class Decontaminator:
    """Knows the evaluation texts and finds documents that overlap with them."""

    def __init__(self, evaluation_texts: Iterable[str], n: int = 13, min_words: int = 8):
        self._runs: dict[int, set[bytes]] = {}  # run length -> digests
        for text in evaluation_texts:
            words = split_words(text)
            if len(words) >= min_words:
                size = min(n, len(words))
                self._runs.setdefault(size, set()).update(_digests(words, size))

    def is_contaminated(self, text: str) -> bool:
        """Whether the text holds a run of words of an evaluation text."""
        words = split_words(text) if self._runs else []
        return any(digest in known for size, known in self._runs.items() for digest in _digests(words, size))


def split_words(text: str) -> list[str]:
    return WORD.findall(unicodedata.normalize("NFKC", text).casefold())


def _digests(words: list[str], size: int) -> Iterator[bytes]:
    for begin in range(len(words) - size + 1):
        yield blake2b(" ".join(words[begin : begin + size]).encode(), digest_size=12).digest()
