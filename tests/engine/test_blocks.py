"""The pool of cache blocks: conservation under any use, and what can be found again."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sansi.engine.batch import BLOCK
from sansi.engine.blocks import ROOT, BlockPool, block_hash


def chain(ids: list[int]) -> list[bytes]:
    hashes: list[bytes] = []
    for first in range(0, len(ids) // BLOCK * BLOCK, BLOCK):
        hashes.append(block_hash(hashes[-1] if hashes else ROOT, ids[first : first + BLOCK]))
    return hashes


def own(pool: BlockPool, ids: list[int]) -> list[int]:
    """Take what a sequence needs, sharing what is known, and register its full blocks."""
    hashes = chain(ids)
    shared = pool.lookup(hashes)
    pool.share(shared)
    table = shared + pool.take(-(-len(ids) // BLOCK) - len(shared))
    for block, hash_ in zip(table, hashes, strict=False):
        pool.register(block, hash_)
    return table


def test_a_hash_names_content_and_all_before_it():
    a, b = list(range(BLOCK)), list(range(1, BLOCK + 1))
    assert chain(a + b)[0] == chain(a)[0]
    assert len({*chain(a + b), *chain(b + b), *chain(b + a)}) == 5
    assert len(block_hash(ROOT, a)) == 16


@given(st.integers(0, 10**9))
def test_every_block_is_free_cached_or_owned_under_any_use(seed):
    draw = random.Random(seed)
    pool = BlockPool(draw.randrange(1, 24))
    tables: list[list[int]] = []
    for _ in range(120):
        action = draw.random()
        if action < 0.5:
            ids = [0] * draw.randrange(1, 50) + [1] * draw.randrange(20)  # many begin alike
            needed = -(-len(ids) // BLOCK)
            if needed <= pool.available:
                tables.append(own(pool, ids))
        elif action < 0.97 and tables:
            pool.release(tables.pop(draw.randrange(len(tables))), forget=draw.random() < 0.1)
        elif action >= 0.97:
            pool.drop_cache()
        pool.check_integrity(tables)
        assert pool.free + pool.cached + pool.owned == pool.num_blocks
    for table in tables:
        pool.release(table)
    pool.check_integrity([])
    assert pool.owned == 0


def test_what_was_released_is_found_again_and_the_oldest_goes_first():
    pool = BlockPool(4)
    first, second = [1] * 2 * BLOCK, [2] * 2 * BLOCK
    tables = [own(pool, first), own(pool, second)]
    pool.release(tables[0])
    pool.release(tables[1])
    assert (pool.free, pool.cached) == (0, 4)
    assert pool.lookup(chain(first)) == tables[0]
    pool.take(1)  # the end of the older goes before its beginning
    assert pool.lookup(chain(first)) == tables[0][:1] and pool.lookup(chain(second)) == tables[1]
    pool.share(pool.lookup(chain(first)))  # used again, so not the oldest any more
    pool.release(tables[0][:1])
    pool.take(2)
    assert pool.lookup(chain(first)) == tables[0][:1] and pool.lookup(chain(second)) == []


def test_what_is_forgotten_is_not_found():
    pool = BlockPool(4)
    table = own(pool, [1] * 2 * BLOCK)
    pool.release(table, forget=True)
    assert pool.lookup(chain([1] * 2 * BLOCK)) == [] and pool.free == 4


@pytest.mark.parametrize("damage", ["leak", "double", "hash", "reference"])
def test_the_integrity_check_finds_damage(damage):
    pool = BlockPool(4)
    tables = [own(pool, [1] * 20)]
    pool.check_integrity(tables)
    if damage == "leak":
        pool._free.pop()
    elif damage == "double":
        pool._free.append(tables[0][0])
    elif damage == "hash":
        pool._block_of.clear()
    else:
        tables.append(tables[0][:1])
    with pytest.raises(AssertionError):
        pool.check_integrity(tables)
