"""Token ids in arrays: whole numbers from 0 that fit their type, or one sentence that says which does not."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from sansi.base.errors import SansiError

HASHED = 1 << 20  # ids hashed at once, to bound memory


def dtype_for(vocab_size: int) -> np.dtype:
    """The smallest type that holds ids below `vocab_size`."""
    for kind in (np.uint16, np.uint32, np.int64):
        if vocab_size - 1 <= np.iinfo(kind).max:
            return np.dtype(kind)
    raise SansiError(f'"vocab_size" is {vocab_size}; ids have 63 bits at most', param="vocab_size")


def as_ids(values: Any, dtype: npt.DTypeLike | None = None, where: str = "ids") -> npt.NDArray[np.integer]:
    """`values` as a flat array of token ids of `dtype` (None: their own, if they are an array of whole numbers).

    Raises SansiError for numbers with a fraction, truth values, negative ids, more than one dimension, ids that the
    type cannot hold, whatever numpy's version would make of them, and a type that is none of whole numbers.
    """
    if dtype is not None:
        dtype = _whole_dtype(dtype)
    try:
        found = np.asarray(values)
    except (ValueError, OverflowError, TypeError) as error:
        raise SansiError(f"{where}: not a flat list of token ids ({error})") from error
    if found.size == 0 and found.ndim <= 1:
        return np.zeros(0, dtype or (found.dtype if found.dtype.kind in "iu" else np.int64))
    if found.ndim != 1 or found.dtype.kind not in "iu":
        what = f"an array of {found.dtype} with shape {list(found.shape)}"
        raise SansiError(f"{where}: {what} is no list of token ids; give a flat list of whole numbers")
    smallest, largest = int(found.min()), int(found.max())
    limit = int(np.iinfo(dtype).max if dtype is not None else np.iinfo(np.int64).max)
    if smallest < 0:
        raise SansiError(f"{where}: the token id {smallest} is negative; ids begin at 0")
    if largest > limit:
        kind = np.dtype(dtype or np.int64).name
        raise SansiError(
            f"{where}: the token id {largest} does not fit {kind}, which ends at {limit}; choose a wider dtype"
        )
    return found if dtype is None else found.astype(dtype, copy=False)


def as_id(value: Any, where: str) -> int:
    """One token id. Raises SansiError for anything else."""
    return int(as_ids([value], None, where)[0])


def is_whole(value: object) -> bool:
    """Whether it is a whole number, of Python or numpy; a truth value is none."""
    return isinstance(value, int | np.integer) and not isinstance(value, bool)


def _whole_dtype(dtype: npt.DTypeLike) -> np.dtype:
    try:
        found = np.dtype(dtype)
    except TypeError:
        found = np.dtype(object)
    if found.kind not in "iu":
        raise SansiError(f'"dtype" is {dtype!r}; token ids need a type of whole numbers, such as uint32', param="dtype")
    return found


def digest_of(
    arrays: Iterable[npt.NDArray[Any]], kinds: Sequence[str], more: npt.NDArray[np.uint8] | None = None
) -> str:
    """A digest of the content of arrays, whatever their types: each as little-endian `kinds`, with its length.

    more: bytes beside them, if there are any.
    """
    whole = hashlib.sha256()
    for array, kind in zip(arrays, kinds, strict=True):
        whole.update(f"{kind} {len(array)};".encode())
        for begin in range(0, len(array), HASHED):
            whole.update(np.ascontiguousarray(array[begin : begin + HASHED], np.dtype(kind)).tobytes())
    if more is not None:
        whole.update(f"bytes {more.size};".encode() + more.tobytes())
    return whole.hexdigest()
