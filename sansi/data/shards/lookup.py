"""Where is this text, this id, this address? A table of hashes that answers without reading the data.

An entry takes four bytes for the document and one of the hash: the first bits of a hash choose a bucket of about
sixteen entries, and eight other bits leave one of them in sixteen questions that is another document's. What was found
is compared with what is known of the document, so no answer is wrong.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from sansi.base.errors import SansiError
from sansi.data.shards.arrays import map_arrays, write_arrays

LOOKUP = "lookup-{:05d}.safetensors"
GROUP_DOCUMENTS = 1 << 24
"""Documents of one table: it is made in memory, some hundred bytes each."""
BUCKET = 16
KEYS = ("sha256", "id", "url")


def hash_of(name: str, value: str) -> int:
    """64 bits of a document's text (as SHA-256), id or address."""
    return int.from_bytes(hashlib.blake2b(f"{name}\0{value}".encode(), digest_size=8).digest(), "little")


def write_lookup(path: Path, columns: Mapping[str, Sequence[str | None]]) -> None:
    """The table of documents 0, 1, … of whom these are the ids, addresses and digests; None: there is none."""
    arrays: dict[str, npt.NDArray[np.integer]] = {}
    for name in KEYS:
        known = [number for number, value in enumerate(columns[name]) if value]
        hashes = np.array([hash_of(name, columns[name][number] or "") for number in known], np.uint64)
        arrays |= {f"{name}_{part}": array for part, array in table_of(hashes, np.array(known, np.uint32)).items()}
    write_arrays(path, arrays, {})


def table_of(hashes: npt.NDArray[np.uint64], values: npt.NDArray[np.uint32]) -> dict[str, npt.NDArray[np.integer]]:
    """`values` by their hashes: `buckets` [2^k + 1] offsets, `values`, and `prints`, a byte of each hash."""
    bits = max(0, (len(hashes) // BUCKET).bit_length() - 1)
    order = np.argsort(hashes, kind="stable")
    hashes = hashes[order]
    edges = np.arange((1 << bits) + 1, dtype=np.float64) * 2.0 ** (64 - bits)
    buckets = np.searchsorted(hashes >> np.uint64(11), (edges / 2048).astype(np.uint64))
    return {
        "buckets": buckets.astype(np.uint32),
        "values": values[order],
        "prints": (hashes & np.uint64(255)).astype(np.uint8),
    }


def look_up(arrays: Mapping[str, npt.NDArray[np.integer]], hash: int, prefix: str = "") -> list[int]:
    """The values that may belong to a hash."""
    buckets = arrays[f"{prefix}buckets"]
    bucket = hash >> (64 - (len(buckets) - 1).bit_length() + 1) if len(buckets) > 2 else 0
    part = slice(int(buckets[bucket]), int(buckets[bucket + 1]))
    values = arrays[f"{prefix}values"][part]
    return sorted(values[arrays[f"{prefix}prints"][part] == hash & 255].tolist())


class Lookup:
    """The tables of a folder."""

    def __init__(self, folder: Path, groups: Sequence[int]):
        """groups: the first document of each table."""
        self.folder, self.groups = Path(folder), groups

    def candidates(self, name: str, value: str) -> Iterable[int]:
        """Numbers of documents whose text, id or address may be this. Raises SansiError for a missing or damaged
        table."""
        key = hash_of(name, value)
        for number, first in enumerate(self.groups):
            path = self.folder / LOOKUP.format(number)
            try:
                arrays = map_arrays(path).arrays
                found = look_up(arrays, key, f"{name}_")
            except (OSError, ValueError, KeyError, IndexError) as error:
                raise SansiError(f"{path}: missing or damaged ({error}); pack the corpus again") from error
            yield from (first + document for document in found)
