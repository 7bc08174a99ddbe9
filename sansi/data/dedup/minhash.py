"""MinHash signatures of sets, and the keys under which similar sets meet (Broder 1997; Leskovec et al., chapter 3)."""

from __future__ import annotations

import functools

import numpy as np
import numpy.typing as npt

from sansi.data.dedup.shingles import Shingles

SEED = 1
CHUNK = 512  # elements hashed at once: what a core's own cache holds

Signature = npt.NDArray[np.uint32]
Keys = npt.NDArray[np.uint64]


@functools.lru_cache(8)
def _functions(count: int) -> tuple[npt.NDArray[np.uint32], npt.NDArray[np.uint32]]:
    rng = np.random.Generator(np.random.PCG64(SEED))
    factors = rng.integers(0, 1 << 32, count, np.uint32) | np.uint32(1)
    return factors[:, None], rng.integers(0, 1 << 32, count, np.uint32)[:, None]


def minhash(shingles: Shingles, values: int) -> Signature:
    """`values` minima of a set, each under a permutation of its own: x -> factor * x + offset modulo 2**32.

    The elements are hashes already, so that a permutation this plain leaves the agreement of two signatures at the
    Jaccard index of their sets (measured in bench/data_dedup.py).
    """
    factors, offsets = _functions(values)
    signature = np.full(values, 0xFFFFFFFF, np.uint32)
    for begin in range(0, len(shingles), CHUNK):
        hashed = shingles[None, begin : begin + CHUNK] * factors
        hashed += offsets
        np.minimum(signature, hashed.min(axis=1), out=signature)
    return signature


def band_keys(signature: Signature, bands: int, rows: int) -> Keys:
    """A key for each band of `rows` values: equal if all values of the band are. Keys of two bands never mean the
    same, since the band's number is hashed too."""
    factors = np.cumprod(np.full(rows + 1, 0x9E3779B97F4A7C15, np.uint64))
    grouped = signature.reshape(bands, rows).astype(np.uint64)
    keys = (np.arange(1, bands + 1, dtype=np.uint64) * factors[rows]) + (grouped * factors[:rows]).sum(axis=1)
    for shift in (np.uint64(31), np.uint64(29)):
        keys = (keys ^ (keys >> shift)) * np.uint64(0xBF58476D1CE4E5B9)
    return keys ^ (keys >> np.uint64(32))
