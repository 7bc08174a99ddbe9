"""The bytes of a GGUF file before its data: metadata and the list of tensors. Needs no torch."""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sansi.model.formats.gguf.blocks import BlockType
from sansi.model.formats.gguf.file import ALIGNMENT, LIST, MAGIC, SCALARS, TEXT

VERSION = 3
_NUMBERS = {letter: number for number, letter in SCALARS.items()}


@dataclass(frozen=True)
class Typed:
    """A number, or a list of them, of one type where another would be guessed; letters are struct's."""

    value: Any
    letter: str


@dataclass(frozen=True)
class Planned:
    """A tensor that is to be written."""

    name: str
    kind: BlockType
    shape: tuple[int, ...]
    names: tuple[str, ...] = ()
    """Those on the hub that it consists of, in order."""

    @property
    def nbytes(self) -> int:
        return self.kind.tensor_bytes(self.shape)


def aligned(count: int) -> int:
    """The next multiple of the alignment."""
    return -(-count // ALIGNMENT) * ALIGNMENT


def head(metadata: Mapping[str, Any], tensors: Sequence[Planned]) -> bytes:
    """Everything before the data, filled up to the alignment, as each tensor's data are, which follow in this order."""
    parts = [MAGIC, struct.pack("<IQQ", VERSION, len(tensors), len(metadata))]
    for key, value in metadata.items():
        parts += [_text(key), _value(value)]
    offset = 0
    for tensor in tensors:
        sizes = tensor.shape[::-1]
        form = f"<I{len(sizes)}QIQ"
        parts += [_text(tensor.name), struct.pack(form, len(sizes), *sizes, tensor.kind.number, offset)]
        offset += aligned(tensor.nbytes)
    whole = b"".join(parts)
    return whole + bytes(aligned(len(whole)) - len(whole))


def _text(text: str) -> bytes:
    raw = text.encode("utf-8", "surrogateescape")
    return struct.pack("<Q", len(raw)) + raw


def _value(value: Any) -> bytes:
    letter = value.letter if isinstance(value, Typed) else None
    value = value.value if isinstance(value, Typed) else value
    if isinstance(value, list | tuple):
        return _list(value, letter or _letter(value[0] if value else ""))
    letter = letter or _letter(value)
    if letter == "s":
        return struct.pack("<I", TEXT) + _text(value)
    return struct.pack(f"<I{letter}", _NUMBERS[letter], value)


def _list(values: Sequence[Any], letter: str) -> bytes:
    if letter == "s":
        return struct.pack("<IIQ", LIST, TEXT, len(values)) + b"".join(map(_text, values))
    letter = "i" if letter == "I" else letter
    return struct.pack(f"<IIQ{len(values)}{letter}", LIST, _NUMBERS[letter], len(values), *values)


def _letter(value: Any) -> str:
    if isinstance(value, bool):
        return "?"
    if isinstance(value, int):
        return "I" if 0 <= value < 2**32 else "i" if -(2**31) <= value < 0 else "q"
    return "f" if isinstance(value, float) else "s"
