"""Parts of texts, looked for in the ids themselves: without a table, at the speed of reading."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt

from sansi.base.errors import SansiError
from sansi.data.shards.shard import RowShard, Shard
from sansi.text import Tokenizer

WINDOW = 16  # tokens that are looked for
MARGIN = 3  # tokens at either end of a passage that may be others in the midst of a text
CHUNK = 1 << 26  # bytes


def windows_of(passage: str, tokenizer: Tokenizer) -> list[list[int]]:
    """Some successive tokens from the beginning, the middle and the end of a passage. Raises SansiError for one that is
    too short to be told from others."""
    ids = tokenizer.encode(passage)[MARGIN:-MARGIN]
    if len(ids) < WINDOW:
        least = WINDOW + 2 * MARGIN
        raise SansiError(f"the passage has {len(ids) + 2 * MARGIN} tokens; give {least} or more, or a whole text")
    places = dict.fromkeys((0, (len(ids) - WINDOW) // 2, len(ids) - WINDOW))
    return [ids[place : place + WINDOW] for place in places]


def documents_with(shard: Shard, window: Sequence[int]) -> list[int]:
    """The documents of a shard with these successive tokens, each once."""
    flat = shard.ids.reshape(-1) if isinstance(shard, RowShard) else shard.tokens
    return list(dict.fromkeys(_owner(shard, place) for place in _places(flat, window)))


def _places(ids: npt.NDArray[np.integer], window: Sequence[int]) -> Iterator[int]:
    """Where in an array the window begins."""
    pattern, width = np.array(window, ids.dtype).tobytes(), ids.itemsize
    step = CHUNK // width
    for begin in range(0, len(ids), step):
        raw = ids[begin : begin + step + len(window) - 1].tobytes()
        at = raw.find(pattern)
        while at >= 0:
            if at % width == 0:
                yield begin + at // width
            at = raw.find(pattern, at + 1)


def _owner(shard: Shard, place: int) -> int:
    """The document of a token."""
    if not isinstance(shard, RowShard):
        return int(np.searchsorted(shard.starts, place, side="right")) - 1
    row, inside = divmod(place, shard.ids.shape[1])
    first, last = int(shard.firsts[row]), int(shard.firsts[row + 1])
    ends = np.cumsum(shard.piece_length[first:last])
    piece = min(int(np.searchsorted(ends, inside, side="right")), last - first - 1)
    return int(shard.piece_document[first + piece])
