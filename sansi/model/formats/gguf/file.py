"""A GGUF file, or one that was split into several: its metadata, its list of tensors, and their bytes. Needs no torch.

Layout (version 3, little-endian): magic, version, two counts, the metadata, the list of tensors, and their data, each
tensor on a multiple of `general.alignment` bytes. Versions 2 and 3 differ in nothing that matters here.
"""

from __future__ import annotations

import mmap
import os
import re
import struct
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sansi.base.errors import SansiError
from sansi.model.formats.gguf.blocks import BY_NUMBER, FILE_TYPES, OTHERS, BlockType, mean_bits

MAGIC, ALIGNMENT = b"GGUF", 32
AGAIN = "copy or download it again"
SPLIT = re.compile(r"(?P<stem>.*)-(?P<number>\d{5})-of-(?P<count>\d{5})\.gguf", re.IGNORECASE | re.DOTALL)
SCALARS: Mapping[int, str] = {0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 6: "f", 7: "?", 10: "Q", 11: "q", 12: "d"}
"""struct's letter by the number of a metadata type; 8 is a text, 9 a list."""
TEXT, LIST = 8, 9
_FORMS = {letter: struct.Struct("<" + letter) for letter in SCALARS.values()}
MOST_ENTRIES = 2**24


class DamagedHead(SansiError):
    """What stands before the data is damaged, or ends too early."""


@dataclass(frozen=True)
class StoredTensor:
    """Where a tensor lies, and how."""

    name: str
    kind: BlockType
    shape: tuple[int, ...]
    """Rows first, as everywhere here (the file has it the other way round)."""
    file: Path
    offset: int
    """Bytes from the start of the file."""

    @property
    def row_bytes(self) -> int:
        return self.kind.row_bytes(self.shape[-1])

    @property
    def nbytes(self) -> int:
        return self.kind.tensor_bytes(self.shape)


class GgufFile:
    """A GGUF file with all its parts.

    Raises SansiError, one sentence, for a file that is none, is cut off or damaged, and for types of numbers that are
    not read here.
    """

    def __init__(self, path: str | Path, alone: bool = False):
        """alone: without the other parts, of which there is no need."""
        self.path = Path(path)
        self.files = [self.path] if alone else split_files(self.path)
        """All parts, in order."""
        heads = [_read_head(file) for file in self.files]
        self.metadata: dict[str, Any] = heads[0].metadata
        self.tensors: dict[str, StoredTensor] = {}
        for head in heads:
            if doubles := self.tensors.keys() & head.tensors.keys():
                raise SansiError(f"{head.file}: {min(doubles)} stands in another part of the file too; {AGAIN}")
            self.tensors |= head.tensors
        expected = self.metadata.get("split.tensors.count", len(self.tensors))
        if expected != len(self.tensors) and not alone:
            raise SansiError(f"{self.path}: {len(self.tensors)} tensors are there, {expected} were split; {AGAIN}")

    @property
    def bits(self) -> float:
        """Mean per weight."""
        return mean_bits([(tensor.kind, tensor.shape) for tensor in self.tensors.values()])

    @property
    def kind(self) -> str:
        """What the file is called: "Q4_K_M"; where it does not say, the type that most of its weights have."""
        if name := FILE_TYPES.get(self.metadata.get("general.file_type", -1)):
            return name
        sizes: dict[str, int] = {}
        for tensor in self.tensors.values():
            sizes[tensor.kind.name] = sizes.get(tensor.kind.name, 0) + tensor.nbytes
        return max(sizes, key=lambda name: sizes[name], default="?")

    def read(self, tensor: StoredTensor, first: int, last: int) -> bytearray:
        """The bytes of rows [first, last), all dimensions but the last counted as rows. Never keeps the file mapped."""
        count = (last - first) * tensor.row_bytes
        buffer = bytearray(count)
        view = memoryview(buffer)
        with tensor.file.open("rb", buffering=0) as opened:
            opened.seek(tensor.offset + first * tensor.row_bytes)
            at = 0
            while at < count:
                got = opened.readinto(view[at : at + 2**26])
                if not got:
                    raise SansiError(f"{tensor.file} ends inside {tensor.name}; {AGAIN}")
                at += got
        return buffer


def split_files(path: Path) -> list[Path]:
    """The file, or all parts of the one that it is a part of. Raises SansiError where one is not there."""
    match = SPLIT.fullmatch(path.name)
    if match is None:
        return [path]
    names = split_names(match["stem"], int(match["count"]))
    missing = [name for name in names if not (path.parent / name).is_file()]
    if missing or not names:
        told = missing[0] if missing else "every part"
        raise SansiError(f"{path} is one of {len(names)} parts, and {told} is not beside it; download all of them")
    return [path.parent / name for name in names]


def split_names(stem: str, count: int) -> list[str]:
    """What the parts of a file are called, in order."""
    return [f"{stem}-{number:05}-of-{count:05}.gguf" for number in range(1, count + 1)]


def is_gguf(path: Path) -> bool:
    """Whether a file begins as GGUF does, whatever it is called."""
    try:
        with path.open("rb") as opened:
            return opened.read(4) == MAGIC
    except OSError:
        return False


@dataclass(frozen=True)
class _Head:
    file: Path
    metadata: dict[str, Any]
    tensors: dict[str, StoredTensor]


def _read_head(file: Path) -> _Head:
    try:
        with file.open("rb") as opened:
            size = os.fstat(opened.fileno()).st_size
            if size < 24:
                raise SansiError(f"{file} has {size} bytes, too few for a GGUF file; {AGAIN}")
            with mmap.mmap(opened.fileno(), 0, access=mmap.ACCESS_READ) as data:
                return _parse(file, data, size)
    except OSError as error:
        raise SansiError(f"{file} can not be read ({error.strerror}); check the path, or {AGAIN}") from error


def _parse(file: Path, data: mmap.mmap, size: int) -> _Head:
    _check_magic(file, data)
    cursor = _Cursor(file, data, size)
    cursor.at = 8
    count, entries = cursor.number("Q"), cursor.number("Q")
    if count > MOST_ENTRIES or entries > MOST_ENTRIES:
        raise cursor.damaged(f"{count:,} tensors and {entries:,} entries of metadata can not be")
    metadata = dict(cursor.entry() for _ in range(entries))
    alignment = metadata.get("general.alignment", ALIGNMENT)
    if type(alignment) is not int or alignment < 8 or alignment % 8:
        raise SansiError(f'{file}: "general.alignment" is {alignment!r:.40}, not a multiple of 8; {AGAIN}')
    listed = [cursor.tensor() for _ in range(count)]
    start = -(-cursor.at // alignment) * alignment
    tensors = {}
    for name, kind, shape, offset in listed:
        tensor = StoredTensor(name, kind, shape, file, start + offset)
        if offset % alignment or name in tensors:
            raise SansiError(f"{file}: {name} stands twice, or not where a tensor may begin; {AGAIN}")
        if tensor.offset + tensor.nbytes > size:
            end = tensor.offset + tensor.nbytes
            raise SansiError(f"{file} is cut off: {name} ends at byte {end:,}, and the file has {size:,}; {AGAIN}")
        tensors[name] = tensor
    return _Head(file, metadata, tensors)


def _check_magic(file: Path, data: mmap.mmap) -> None:
    if data[:4] != MAGIC:
        if data[:24].startswith(b"version https://git-lfs"):
            raise SansiError(f"{file} is not the model but git's note of where it is; run `git lfs pull` there")
        raise SansiError(f"{file} is no GGUF file: it begins with {bytes(data[:4])!r}; {AGAIN}")
    version = struct.unpack_from("<I", data, 4)[0]
    if version not in (2, 3):
        if struct.unpack_from(">I", data, 4)[0] in (2, 3):
            raise SansiError(f"{file} was written for big-endian machines; download it for little-endian ones")
        raise SansiError(f"{file} is GGUF of version {version}; 2 and 3 are read: convert it again")


class _Cursor:
    """Reads one thing after the other."""

    def __init__(self, file: Path, data: mmap.mmap, size: int):
        self.file, self.at = file, 0
        self._data, self._size = data, size

    def damaged(self, why: str) -> DamagedHead:
        return DamagedHead(f"{self.file} is damaged at byte {self.at:,} ({why}); {AGAIN}")

    def number(self, letter: str) -> Any:
        form = _FORMS[letter]
        if self.at + form.size > self._size:
            raise self.damaged("it ends there")
        value = form.unpack_from(self._data, self.at)[0]
        self.at += form.size
        return value

    def text(self) -> str:
        length = self.number("Q")
        if length > self._size - self.at:
            raise self.damaged(f"a text of {length:,} bytes")
        raw = self._data[self.at : self.at + length]
        self.at += length
        return raw.decode("utf-8", "surrogateescape")

    def entry(self) -> tuple[str, Any]:
        return self.text(), self._value(self.number("I"))

    def _value(self, kind: int, depth: int = 0) -> Any:
        if kind == TEXT:
            return self.text()
        if kind in SCALARS:
            return self.number(SCALARS[kind])
        if kind != LIST or depth > 1:
            raise self.damaged(f"a value of type {kind}")
        inner, count = self.number("I"), self.number("Q")
        if count > self._size - self.at:
            raise self.damaged(f"a list of {count:,}")
        if inner in SCALARS:
            return self._numbers(SCALARS[inner], count)
        read: Callable[[], Any] = self.text if inner == TEXT else lambda: self._value(inner, depth + 1)
        return [read() for _ in range(count)]

    def _numbers(self, letter: str, count: int) -> list[Any]:
        form = struct.Struct(f"<{count}{letter}")
        if self.at + form.size > self._size:
            raise self.damaged("it ends inside a list")
        values = list(form.unpack_from(self._data, self.at))
        self.at += form.size
        return values

    def tensor(self) -> tuple[str, BlockType, tuple[int, ...], int]:
        name, dimensions = self.text(), self.number("I")
        if not 1 <= dimensions <= 4:
            raise self.damaged(f"{name:.64} has {dimensions} dimensions")
        sizes = [self.number("Q") for _ in range(dimensions)]
        number, offset = self.number("I"), self.number("Q")
        kind = BY_NUMBER.get(number)
        if kind is None:
            told = OTHERS.get(number, f"number {number}")
            raise SansiError(
                f"{self.file}: {name:.64} is stored as {told}, which is not read here; take a file in one of "
                f"{', '.join(t.name for t in BY_NUMBER.values())}"
            )
        if min(sizes) < 1 or max(sizes) > 2**40 or sizes[0] % kind.values:
            raise self.damaged(f"{name:.64} {sizes} as {kind.name}")
        return name, kind, tuple(reversed(sizes)), offset
