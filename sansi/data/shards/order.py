"""Shuffled orders of any number of rows that take no memory: the place of a row is computed, not looked up.

36 trillion tokens in rows of 4,096 are 9 billion rows: their order as an array would take 72 GB, and reading them in a
wholly random one a seek of the disk for each. So data that does not fit into memory is shuffled in two levels: blocks
of rows that lie side by side on the disk, in a random order, and then the rows of some dozens of these blocks.
"""

from __future__ import annotations

import functools
import hashlib

ROUNDS = 6
GROUP_BLOCKS = 64  # blocks whose rows are shuffled together: a batch has rows from as many places of the data
_MASK = (1 << 64) - 1


class Shuffle:
    """A permutation of 0..size-1, another one for each key: a Feistel network on the next power of four.

    Values beyond the size are sent through again until they fall inside (cycle walking).
    """

    def __init__(self, size: int, *key: int):
        self.size = size
        self._bits = max(1, ((size - 1).bit_length() + 1) // 2)
        self._half = (1 << self._bits) - 1
        digest = hashlib.sha256(" ".join(map(str, (size, *key))).encode()).digest()
        self._keys = [int.from_bytes(digest[4 * i : 4 * i + 4], "little") for i in range(ROUNDS)]

    def __getitem__(self, place: int) -> int:
        """The row at a place of the shuffled order."""
        assert 0 <= place < self.size
        while True:
            place = self._forward(place)
            if place < self.size:
                return place

    def place_of(self, row: int) -> int:
        """Where a row stands in the shuffled order."""
        assert 0 <= row < self.size
        while True:
            row = self._backward(row)
            if row < self.size:
                return row

    def _forward(self, value: int) -> int:
        left, right = value >> self._bits, value & self._half
        for key in self._keys:
            left, right = right, left ^ (_mixed(right, key) & self._half)
        return left << self._bits | right

    def _backward(self, value: int) -> int:
        left, right = value >> self._bits, value & self._half
        for key in reversed(self._keys):
            left, right = right ^ (_mixed(left, key) & self._half), left
        return left << self._bits | right


class BlockOrder:
    """A shuffled order of rows that reads `group` blocks of `block` neighbouring rows at a time.

    Blocks are permuted; the rows of each `group` of them in that order are permuted together. In every epoch blocks
    begin elsewhere, so that the rows left over behind the last whole block are others. With block 1 it is one `Shuffle`
    of all rows.
    """

    def __init__(self, size: int, seed: int, epoch: int, block: int = 1, group: int = GROUP_BLOCKS):
        assert size > 0 and block > 0 and group > 0
        self.size, self.block, self.group = size, block, group
        self._key = (seed, epoch)
        self._blocks = size // block
        self._groups = max(1, self._blocks // group)  # the last takes the blocks and rows that are left over
        if self.is_flat:
            self._rows = Shuffle(size, seed, epoch)
            return
        self._begin = int.from_bytes(hashlib.sha256(f"begin {size} {seed} {epoch}".encode()).digest()[:8], "little")
        self._order = Shuffle(self._blocks, seed, epoch, block)
        self._inside = functools.lru_cache(maxsize=4)(self._shuffle_of)

    @property
    def is_flat(self) -> bool:
        return self.block == 1 or self._groups == 1

    def __getitem__(self, place: int) -> int:
        """The row at a place of the order."""
        if self.is_flat:
            return self._rows[place]
        group = min(place // (self.group * self.block), self._groups - 1)
        first = group * self.group  # block
        inside = self._inside(group)[place - first * self.block]
        block, row = first + inside // self.block, inside % self.block
        rotated = self._order[block] * self.block + row if block < self._blocks else block * self.block + row
        return (rotated + self._begin) % self.size

    def place_of(self, row: int) -> int:
        """Where a row stands in the order."""
        if self.is_flat:
            return self._rows.place_of(row)
        rotated = (row - self._begin) % self.size
        block, inside = divmod(rotated, self.block)
        block = self._order.place_of(block) if block < self._blocks else block
        group = min(block // self.group, self._groups - 1)
        first = group * self.group
        return first * self.block + self._inside(group).place_of((block - first) * self.block + inside)

    def _shuffle_of(self, group: int) -> Shuffle:
        rows = self.group * self.block
        size = self.size - group * rows if group == self._groups - 1 else rows
        return Shuffle(size, *self._key, self.block, group)


def _mixed(value: int, key: int) -> int:
    # splitmix64's finish: every bit of the input reaches every bit of the output.
    value = (value + key * 0x9E3779B97F4A7C15 + 0x9E3779B97F4A7C15) & _MASK
    value = ((value ^ (value >> 30)) * 0xBF58476D1CE4E5B9) & _MASK
    value = ((value ^ (value >> 27)) * 0x94D049BB133111EB) & _MASK
    return value ^ (value >> 31)
