"""What two documents are compared by: runs of words, or of a program's tokens, as sets of numbers."""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from sansi.data.blocks import Block
from sansi.data.dedup.config import SHINGLE_TOKENS, SHINGLE_WORDS
from sansi.data.word_hashes import Codes, KnownHashes, token_hash, token_runs, word_codes, word_runs

Shingles = npt.NDArray[np.uint32]  # sorted, distinct

MIN_BODY = 20  # tokens of code without which the head is compared too

_CODE_TOKEN = re.compile(r"\w+|[^\w\s]")
# Lines of comments in the usual languages, and block comments; also a shebang, blank lines between them.
_HEAD = re.compile(
    r"(?:[ \t]*(?:(?:#|//|--|;|%|'|!|REM\b|\.\\\")[^\n]*)?\n|[ \t]*/\*.*?\*/[ \t]*\n?|[ \t]*<!--.*?-->[ \t]*\n?"
    r"|[ \t]*\(\*.*?\*\)[ \t]*\n?|[ \t]*\{-.*?-\}[ \t]*\n?|<\?php[ \t]*\n"
    r"|[ \t]*(?:\'{3}|\"{3}).*?(?:\'{3}|\"{3})[ \t]*\n)*+",
    re.DOTALL,
)
_known_tokens = KnownHashes(token_hash)


def block_codes(blocks: Sequence[Block]) -> list[Codes]:
    """The words of each block."""
    return [word_codes(block.text) for block in blocks]


def word_shingles(codes: Sequence[Codes]) -> Shingles:
    """Distinct hashes of all runs of SHINGLE_WORDS words of a text, whatever the script, from those of its blocks."""
    return _distinct(word_runs(np.concatenate(codes) if len(codes) else np.zeros(0, np.uint64), SHINGLE_WORDS))


def code_shingles(text: str) -> Shingles:
    """Distinct hashes of all runs of SHINGLE_TOKENS tokens of a program without the comment at its head."""
    head = _HEAD.match(text + "\n")
    tokens = _CODE_TOKEN.findall(text[head.end() :] if head else text)
    if len(tokens) < MIN_BODY:
        tokens = _CODE_TOKEN.findall(text)
    return _distinct(token_runs(_known_tokens.of(tokens), SHINGLE_TOKENS))


def shared(first: Shingles, second: Shingles) -> int:
    """How many elements two sets have in common."""
    if len(first) > len(second):
        first, second = second, first
    if not len(first):
        return 0
    places = np.searchsorted(second, first)
    places[places == len(second)] = 0
    return int(np.count_nonzero(second[places] == first))


def jaccard(first: Shingles, second: Shingles) -> float:
    """Shared elements of two sets by all their elements."""
    common = shared(first, second)
    return common / max(len(first) + len(second) - common, 1)


def _distinct(runs: Codes) -> Shingles:
    return np.unique((runs >> np.uint64(32)).astype(np.uint32))
