"""What a text is judged by: hashes of its n-grams and words, and of the shape of its characters.

Of the group of scripts that most of the text is in, the letters are read in lower case, all else is a space. A feature
is each sequence of 1 to 5 characters that has no space inside (2 in Chinese, Japanese and Korean), each word, and for
the question whether this is text at all each sequence of 1 to 4 shapes. A feature is a hash; a model has a vector for
each value of its last bits, and a text is the sum of its features' vectors.

`kernel.cpp` is this file again, about a hundred times as fast. All numbers are integers: both give the same bits.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from sansi.data.language_id.alphabet import (
    APOSTROPHE,
    HAN_END,
    KNOWN,
    MARK,
    MAX_SHAPE,
    MAX_WORD,
    RUN,
    SCRIPTS,
    Alphabet,
)

SPACE, STRAIGHT_APOSTROPHE = 0x20, 0x27
GRAM, WORD, SHAPE = 0x811C9DC5, 0x2545F491, 0x9E3779B9
Integers = npt.NDArray[np.int32]
Hashes = npt.NDArray[np.uint32]


@dataclass(frozen=True)
class Features:
    """The features of one text."""

    hashes: Hashes
    shapes: Hashes
    group: int  # of scripts, which the hashes are of
    histogram: Integers  # [S + 1] letters of each script


def features_of(text: str, alphabet: Alphabet) -> Features:
    """The features of a text, by numpy."""
    chars = np.frombuffer(text.encode("utf-32-le", "surrogatepass"), np.uint32)
    classes = _resolve(chars, alphabet)
    histogram = np.bincount(classes, minlength=len(SCRIPTS) + 1).astype(np.int32)
    histogram[0] = 0
    sizes = np.bincount(alphabet.groups, histogram * alphabet.weights, len(alphabet.longest))
    group = int(sizes.argmax())
    return Features(_grams(chars, classes, group, alphabet), _shapes(chars, alphabet), group, histogram)


def _mix(hashes: Hashes, values: Hashes) -> Hashes:
    hashes = (hashes ^ values) * np.uint32(0x9E3779B1)
    return hashes ^ (hashes >> np.uint32(15))


def _look_up(table: npt.NDArray[np.generic], chars: Hashes, han: int) -> Hashes:
    found = table[np.minimum(chars, KNOWN - 1)].astype(np.uint32)
    return np.where(chars < KNOWN, found, np.where(chars < HAN_END, han, 0)).astype(np.uint32)


def _resolve(chars: Hashes, alphabet: Alphabet) -> npt.NDArray[np.int64]:
    """The script of each letter, 0 for what is none; marks and inner apostrophes have that of the letter before."""
    kinds = _look_up(alphabet.classes, chars, alphabet.han).astype(np.int64)
    after = np.append(kinds[1:], 0)
    kinds[(kinds == APOSTROPHE) & ((after == 0) | (after >= MARK))] = 0
    own = np.where(kinds < MARK, np.arange(len(kinds)), -1)
    last = np.maximum.accumulate(own) if len(own) else own
    return np.where(last >= 0, kinds[np.maximum(last, 0)], 0) if len(own) else kinds


def _grams(chars: Hashes, classes: npt.NDArray[np.int64], group: int, alphabet: Alphabet) -> Hashes:
    stream = _stream(chars, classes, group, alphabet)
    longest = int(alphabet.longest[group])
    space = stream == SPACE
    found = []
    hashes, going = np.full(len(stream), GRAM, np.uint32), np.ones(len(stream), bool)
    for n in range(1, longest + 1):
        starts = len(stream) - n + 1
        if starts <= 0:
            break
        last = slice(n - 1, n - 1 + starts)
        hashes, going = _mix(hashes[:starts], stream[last]), going[:starts]
        found.append(hashes[going & ~space[last]] if n == 1 else hashes[going])
        if n > 1:
            going = going & ~space[last]
    return np.concatenate([*found, _words(stream, space)] if longest >= 3 else [*found, stream[:0]])


def _stream(chars: Hashes, classes: npt.NDArray[np.int64], group: int, alphabet: Alphabet) -> Hashes:
    ours = (classes > 0) & (alphabet.groups[classes] == group)
    known = np.minimum(chars, KNOWN - 1)
    folded = np.where(chars >= KNOWN, chars, alphabet.folded[known])
    folded = np.where((chars < KNOWN) & (alphabet.classes[known] == APOSTROPHE), STRAIGHT_APOSTROPHE, folded)
    stream = np.concatenate([[SPACE], np.where(ours, folded, SPACE), [SPACE]]).astype(np.uint32)
    kept = np.concatenate([[True], (stream[1:] != SPACE) | (stream[:-1] != SPACE)])
    return stream[kept]


def _words(stream: Hashes, space: npt.NDArray[np.bool_]) -> Hashes:
    borders = np.flatnonzero(space)
    starts, sizes = borders[:-1] + 1, np.diff(borders) - 1
    starts, sizes = starts[(sizes > 0) & (sizes <= MAX_WORD)], sizes[(sizes > 0) & (sizes <= MAX_WORD)]
    hashes = np.full(len(starts), WORD, np.uint32)
    for place in range(int(sizes.max(initial=0))):
        within = sizes > place
        hashes[within] = _mix(hashes[within], stream[starts[within] + place])
    return hashes


def _shapes(chars: Hashes, alphabet: Alphabet) -> Hashes:
    codes = _look_up(alphabet.shapes, chars, int(alphabet.shapes[0x4E00]))
    changes = np.concatenate([[True], codes[1:] != codes[:-1]])[: len(codes)]
    begun = np.maximum.accumulate(np.where(changes, np.arange(len(codes)), 0)) if len(codes) else codes
    codes = codes[np.arange(len(codes)) - begun < RUN]
    found, hashes = [], np.full(len(codes), SHAPE, np.uint32)
    for n in range(1, MAX_SHAPE + 1):
        starts = len(codes) - n + 1
        if starts <= 0:
            break
        hashes = _mix(hashes[:starts], codes[n - 1 : n - 1 + starts])
        found.append(hashes)
    return np.concatenate([*found, codes[:0]])
