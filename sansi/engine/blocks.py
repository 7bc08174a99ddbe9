"""Who has which block of the key-value cache, and which blocks can be found again by their content.

A block is in one of three states:

    free    nobody's, content unknown
    cached  nobody's, but its hash is known: found again by `lookup`, or evicted when a free one is wanted (LRU)
    owned   in the tables of `refs` >= 1 running requests; full ones may carry a hash, and be shared

The hash of a block names its content and everything before it: hash(hash of the block before, its BLOCK ids).
"""

from __future__ import annotations

from array import array
from collections import Counter
from collections.abc import Iterable, Sequence
from hashlib import blake2b

from sansi.engine.batch import BLOCK

ROOT = b"sansi"  # stands for the block before the first


def block_hash(parent: bytes, ids: Sequence[int]) -> bytes:
    """128 bits over the parent's hash and the ids of one full block: no two contents meet by accident."""
    return blake2b(parent + array("i", ids).tobytes(), digest_size=16).digest()


def root_of(adapter: int) -> bytes:
    """What stands for the block before the first of those that adapter `adapter` (0: none) computed."""
    return blake2b(b"adapter %d" % adapter, digest_size=16).digest() if adapter else ROOT


def blocks_for(positions: int) -> int:
    return -(-positions // BLOCK)


class BlockPool:
    """All blocks of a cache. Blocks change hands one request at a time; the caller keeps the tables."""

    def __init__(self, num_blocks: int):
        self.num_blocks = num_blocks
        self._free = list(range(num_blocks - 1, -1, -1))  # a stack: block 0 goes first
        self._cached: dict[int, None] = {}  # in order of release: the first is the least recently used
        self._refs = [0] * num_blocks
        self._hash_of: dict[int, bytes] = {}  # cached blocks, and owned ones that are full
        self._block_of: dict[bytes, int] = {}

    @property
    def free(self) -> int:
        return len(self._free)

    @property
    def cached(self) -> int:
        return len(self._cached)

    @property
    def owned(self) -> int:
        return self.num_blocks - len(self._free) - len(self._cached)

    @property
    def available(self) -> int:
        """Blocks that `take` could hand out."""
        return len(self._free) + len(self._cached)

    def lookup(self, hashes: Iterable[bytes]) -> list[int]:
        """The blocks of the longest known beginning of a chain of hashes. Changes nothing."""
        found = []
        for hash_ in hashes:
            if (block := self._block_of.get(hash_)) is None:
                break
            found.append(block)
        return found

    def idle(self, blocks: Iterable[int]) -> int:
        """How many of `blocks` nobody owns: sharing them takes so many from what is available."""
        return sum(block in self._cached for block in blocks)

    def share(self, blocks: Iterable[int]) -> None:
        """One more owner for each of `blocks`, which `lookup` found."""
        for block in blocks:
            self._cached.pop(block, None)
            self._refs[block] += 1

    def take(self, count: int) -> list[int]:
        """So many blocks for one new owner: free ones first, then the least recently used. `count` are available."""
        assert count <= self.available
        return [self._take() for _ in range(count)]

    def _take(self) -> int:
        if self._free:
            block = self._free.pop()
        else:
            block = next(iter(self._cached))
            del self._cached[block]
            self._forget(block)
        self._refs[block] = 1
        return block

    def register(self, block: int, hash_: bytes) -> None:
        """An owned block is full, and this is its hash. Where another block has the same content, that one stays."""
        if hash_ not in self._block_of and block not in self._hash_of:
            self._block_of[hash_], self._hash_of[block] = block, hash_

    def release(self, blocks: Sequence[int], forget: bool = False) -> None:
        """One owner less for each of `blocks`. `forget`: their content is not to be found again."""
        for block in reversed(blocks):  # the end of a sequence is evicted before its beginning, which more may share
            if forget:
                self._forget(block)
            self._refs[block] -= 1
            if self._refs[block] == 0:
                if block in self._hash_of:
                    self._cached[block] = None
                else:
                    self._free.append(block)

    def drop_cache(self) -> None:
        """Forget all content: what is cached becomes free, what is owned loses its hash."""
        self._free.extend(self._cached)
        self._cached.clear()
        self._hash_of.clear()
        self._block_of.clear()

    def _forget(self, block: int) -> None:
        if (hash_ := self._hash_of.pop(block, None)) is not None:
            del self._block_of[hash_]

    def check_integrity(self, tables: Iterable[Sequence[int]]) -> None:
        """The law of conservation; `tables`: those of all running requests. AssertionError names what is broken."""
        owners = Counter(block for table in tables for block in table)
        assert all(len(set(table)) == len(table) for table in tables), "a block twice in one table"
        assert owners == Counter({b: n for b, n in enumerate(self._refs) if n}), "references are not the tables'"
        states = [*self._free, *self._cached, *owners]
        assert sorted(states) == list(range(self.num_blocks)), "not every block is in one state"
        assert self.owned == len(owners)
        assert {hash_: block for block, hash_ in self._hash_of.items()} == self._block_of, "hashes and blocks differ"
        assert set(self._cached) <= set(self._hash_of), "a cached block without a hash"
        assert not set(self._free) & set(self._hash_of), "a free block with a hash"
