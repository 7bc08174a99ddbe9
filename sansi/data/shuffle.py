"""A shuffled order of any number of rows that takes no memory: the place of a row is computed, not looked up."""

from __future__ import annotations

import hashlib

ROUNDS = 6
_MASK = (1 << 64) - 1


class Shuffle:
    """A permutation of 0..size-1, another one for each (seed, epoch): a Feistel network on the next power of four.

    Values beyond the size are sent through again until they fall inside (cycle walking).
    """

    def __init__(self, size: int, seed: int, epoch: int):
        self.size = size
        self._bits = max(1, ((size - 1).bit_length() + 1) // 2)
        self._half = (1 << self._bits) - 1
        key = hashlib.sha256(f"{size} {seed} {epoch}".encode()).digest()
        self._keys = [int.from_bytes(key[4 * i : 4 * i + 4], "little") for i in range(ROUNDS)]

    def __getitem__(self, place: int) -> int:
        """The row at a place of the shuffled order."""
        assert 0 <= place < self.size
        while True:
            place = self._round_trip(place)
            if place < self.size:
                return place

    def _round_trip(self, value: int) -> int:
        left, right = value >> self._bits, value & self._half
        for key in self._keys:
            left, right = right, left ^ (_mixed(right, key) & self._half)
        return left << self._bits | right


def _mixed(value: int, key: int) -> int:
    # splitmix64's finish: every bit of the input reaches every bit of the output.
    value = (value + key * 0x9E3779B97F4A7C15 + 0x9E3779B97F4A7C15) & _MASK
    value = ((value ^ (value >> 30)) * 0xBF58476D1CE4E5B9) & _MASK
    value = ((value ^ (value >> 27)) * 0x94D049BB133111EB) & _MASK
    return value ^ (value >> 31)
