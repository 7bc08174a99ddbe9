"""Arrays in one file, mapped into memory: the safetensors format, which other programs read as well."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from sansi.base.files import atomic_file

_NAMES = {"uint8": "U8", "uint16": "U16", "uint32": "U32", "uint64": "U64", "int64": "I64"}
_TYPES = {short: np.dtype(name).newbyteorder("<") for name, short in _NAMES.items()}
_MOST_HEADER = 1 << 26  # bytes


@dataclass(frozen=True)
class ArrayFile:
    """What is in a file: arrays that are read from the disk where they are touched, and a few texts."""

    arrays: dict[str, npt.NDArray[Any]]
    metadata: dict[str, str]


def write_arrays(path: Path, arrays: Mapping[str, npt.NDArray[Any]], metadata: Mapping[str, str]) -> None:
    """Write the file whole or not at all. Its bytes depend on the arguments alone."""
    # The widest items first: every array then begins at a multiple of its items' size.
    names = sorted(arrays, key=lambda name: (-arrays[name].dtype.itemsize, name))
    header: dict[str, Any] = {"__metadata__": dict(sorted(metadata.items()))}
    at = 0
    for name in names:
        array = arrays[name]
        header[name] = {
            "dtype": _NAMES[array.dtype.name],
            "shape": list(array.shape),
            "data_offsets": [at, at + array.nbytes],
        }
        at += array.nbytes
    raw = json.dumps(header, ensure_ascii=False).encode()
    raw += b" " * (-len(raw) % 8)
    with atomic_file(path) as draft, draft.open("wb") as file:
        file.write(len(raw).to_bytes(8, "little") + raw)
        for name in names:
            little = np.ascontiguousarray(arrays[name], arrays[name].dtype.newbyteorder("<"))
            file.write(little.reshape(-1).view(np.uint8).data)


def map_arrays(path: Path) -> ArrayFile:
    """Map a file into memory. Raises OSError or ValueError where it is missing, cut short, or something else."""
    size = path.stat().st_size
    with path.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
        if not 2 <= length <= min(_MOST_HEADER, size - 8):
            raise ValueError("it has no header of arrays")
        header = json.loads(file.read(length))
    if not isinstance(header, dict):
        raise ValueError("it has no header of arrays")
    metadata = header.pop("__metadata__", {})
    body = np.asarray(np.memmap(path, np.uint8, mode="r", offset=0))[8 + length :]
    try:
        arrays = {name: _view(body, **entry) for name, entry in header.items()}
    except (TypeError, KeyError) as error:
        raise ValueError(f"its header is damaged ({error})") from error
    if sum(array.nbytes for array in arrays.values()) != len(body):
        raise ValueError("it is not as long as its header says")
    return ArrayFile(arrays, metadata)


def _view(
    body: npt.NDArray[np.uint8], dtype: str, shape: list[int], data_offsets: list[int]
) -> npt.NDArray[np.integer]:
    begin, end = data_offsets
    kind = _TYPES[dtype]
    if not 0 <= begin <= end <= len(body) or end - begin != int(np.prod(shape, dtype=np.int64)) * kind.itemsize:
        raise ValueError("it is not as long as its header says")
    return body[begin:end].view(kind).reshape(shape)
