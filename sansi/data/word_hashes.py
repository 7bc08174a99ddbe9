"""The words of a text as numbers of 64 bits, for what compares many texts: deduplication and decontamination.

A code holds a hash of the token in its upper 56 bits and the token's weight, in hundredths of a word, in its lower 8.
The tokens are those of `sansi.data.words.read_words`, the codes the same in every process and on every machine.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt

from sansi.data.words import Words, normalize, number_groups, piece_weight, split_pieces

Codes = npt.NDArray[np.uint64]

MULTIPLIER = 0x9E3779B97F4A7C15  # odd, so that it has an inverse modulo 2**64
_INVERSE = pow(MULTIPLIER, -1, 1 << 64)
_SHIFT, _WEIGHT = np.uint64(8), np.uint64(255)
_LONG_NUMBER = 255  # in the place of a weight: a number that falls into groups of three
_MOST_KNOWN = 1 << 20  # tokens whose codes are kept
_MIXER = np.uint64(0xBF58476D1CE4E5B9)


class KnownHashes(dict[str, int]):
    """Codes of tokens seen before; a dictionary, since looking one up costs less than making it."""

    def __init__(self, make: Callable[[str], int]):
        super().__init__()
        self._make = make

    def __missing__(self, token: str) -> int:
        if len(self) >= _MOST_KNOWN:
            self.clear()
        code = self[token] = self._make(token)
        return code

    def of(self, tokens: Sequence[str]) -> Codes:
        return np.fromiter(map(self.__getitem__, tokens), np.uint64, len(tokens))


def token_hash(token: str) -> int:
    """64 bits of a token."""
    raw = token.encode("utf-8", "surrogatepass")
    return zlib.crc32(raw) | zlib.crc32(raw, 0x5EED) << 32


def _piece_code(piece: str) -> int:
    if piece.isdigit() and len(piece) > 3:
        return _LONG_NUMBER
    weight = piece_weight(piece)
    return token_hash(piece) & ~0xFF | weight if weight else 0


_known = KnownHashes(_piece_code)
_known_tokens = KnownHashes(token_hash)


def word_codes(text: str) -> Codes:
    """A code for each token of the text."""
    pieces = split_pieces(normalize(text))
    codes = _known.of(pieces)
    if (codes == _LONG_NUMBER).any():
        codes = _known.of([part for piece in pieces for part in number_groups(piece)])
    return codes[codes != 0]


def count_of(codes: Codes) -> float:
    """Words, those of scripts without spaces as measured parts."""
    return float((codes & _WEIGHT).sum()) / 100


def word_runs(codes: Codes, words: int) -> Codes:
    """A hash of each shortest run of at least `words` words, one from each token that has one, in the text's order.

    A text that is shorter is one run.
    """
    weights = codes & _WEIGHT
    if not len(codes) or (weights == 100).all():
        return token_runs(codes >> _SHIFT, words)
    total = np.concatenate([np.zeros(1, np.uint64), np.cumsum(weights)])
    ends = np.searchsorted(total, total[:-1] + np.uint64(100 * words))
    begins = np.flatnonzero(ends < len(total))
    if not len(begins):
        return token_runs(codes >> _SHIFT, max(len(codes), 1))
    return hashes_of_runs(codes, begins, ends[begins])


def hashes_of_runs(codes: Codes, begins: npt.NDArray[np.int64], ends: npt.NDArray[np.int64]) -> Codes:
    """A hash of each of the given runs."""
    # A run is a polynomial in its tokens, from differences of running sums; all of it wraps in 64 bits on purpose.
    size = len(codes) + 1
    powers = np.cumprod(np.full(size, MULTIPLIER, np.uint64))
    inverses = np.cumprod(np.full(size, _INVERSE, np.uint64))
    sums = np.zeros(size, np.uint64)
    np.cumsum((codes >> _SHIFT) * powers[:-1], out=sums[1:])
    return _mixed(np.asarray((sums[ends] - sums[begins]) * inverses[begins], np.uint64))


def codes_of(words: Words) -> Codes:
    """The codes of words that are split already."""
    hashes = _known_tokens.of(words.tokens)
    return (hashes & ~_WEIGHT) | words.weights.astype(np.uint64)


def token_runs(tokens: Codes, size: int) -> Codes:
    """A hash of each run of `size` tokens, in order; all of a shorter text is one run."""
    size = min(size, len(tokens))
    runs = np.zeros(len(tokens) - size + 1, np.uint64)
    for place in range(size):
        factor = np.uint64(pow(MULTIPLIER, place, 1 << 64))
        runs += tokens[place : len(tokens) - size + place + 1] * factor
    return _mixed(runs)


def _mixed(runs: Codes) -> Codes:
    return (runs ^ (runs >> np.uint64(29))) * _MIXER
