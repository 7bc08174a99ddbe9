"""safetensors files that are written piece by piece: their heads first, then each tensor where it belongs."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any, BinaryIO

import torch
from torch import Tensor

from sansi.base.files import write_json
from sansi.model.formats.files import INDEX_FILE, SINGLE_FILE

_NAMES = MappingProxyType(
    {
        **{torch.float32: "F32", torch.float16: "F16", torch.bfloat16: "BF16", torch.float8_e4m3fn: "F8_E4M3"},
        **{torch.int64: "I64", torch.int32: "I32", torch.uint32: "U32", torch.int8: "I8"},
    }
)
"""What the files call dtypes."""


@dataclass(frozen=True)
class Stored:
    """A tensor of the files."""

    name: str
    dtype: torch.dtype
    shape: tuple[int, ...]

    @property
    def nbytes(self) -> int:
        return math.prod(self.shape) * self.dtype.itemsize


class ShardWriter:
    """The tensors of a folder, each in its file."""

    def __init__(self, places: Mapping[str, tuple[BinaryIO, int]]):
        self._places = places
        self.done = 0
        """Bytes written so far."""

    def put(self, name: str, start: int, values: Tensor) -> None:
        """Let the tensor `name` hold `values` from its element `start` on."""
        file, begin = self._places[name]
        data = memoryview(values.contiguous().view(-1).view(torch.uint8).numpy())  # type: ignore[arg-type]
        file.seek(begin + start * values.element_size())
        file.write(data)
        self.done += data.nbytes


@contextmanager
def shards(
    folder: Path,
    tensors: Sequence[Stored],
    metadata: Mapping[str, str],
    index_metadata: Mapping[str, int],
    shard_bytes: int,
) -> Iterator[ShardWriter]:
    """Files for these tensors, zeros at first and of at most `shard_bytes` unless one tensor is larger; and their index
    where there are several.

    metadata: of each file; index_metadata: what the index says beside its total size.
    """
    parts = _parts(tensors, shard_bytes)
    names = [SINGLE_FILE]
    if len(parts) > 1:
        names = [f"model-{number:05}-of-{len(parts):05}.safetensors" for number in range(1, len(parts) + 1)]
    places: dict[str, tuple[BinaryIO, int]] = {}
    with ExitStack() as stack:
        for file, part in zip(names, parts, strict=True):
            opened = stack.enter_context((folder / file).open("wb"))
            begins = _start(opened, part, metadata)
            places |= {tensor.name: (opened, begin) for tensor, begin in zip(part, begins, strict=True)}
        yield ShardWriter(places)
    if len(parts) > 1:
        total = {"total_size": sum(tensor.nbytes for tensor in tensors), **index_metadata}
        weight_map = {tensor.name: file for file, part in zip(names, parts, strict=True) for tensor in part}
        write_json(folder / INDEX_FILE, {"metadata": total, "weight_map": dict(sorted(weight_map.items()))})


def _start(file: BinaryIO, tensors: Sequence[Stored], metadata: Mapping[str, str]) -> list[int]:
    """Write the head and make room; where each tensor begins."""
    head: dict[str, Any] = {"__metadata__": dict(metadata)}
    begins, at = [], 0
    for tensor in tensors:
        begins.append(at)
        offsets = [at, at := at + tensor.nbytes]
        head[tensor.name] = {"dtype": _NAMES[tensor.dtype], "shape": list(tensor.shape), "data_offsets": offsets}
    text = json.dumps(head, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    file.write(len(text).to_bytes(8, "little") + text)
    file.truncate(8 + len(text) + at)
    return [8 + len(text) + begin for begin in begins]


def _parts(tensors: Sequence[Stored], most: int) -> list[list[Stored]]:
    """Tensors in order, cut where a file would pass `most` bytes; in a file the widest numbers come first, so that all
    of them lie aligned."""
    parts: list[list[Stored]] = [[]]
    size = 0
    for tensor in tensors:
        if parts[-1] and size + tensor.nbytes > most:
            parts.append([])
            size = 0
        parts[-1].append(tensor)
        size += tensor.nbytes
    return [sorted(part, key=lambda tensor: -tensor.dtype.itemsize) for part in parts]
