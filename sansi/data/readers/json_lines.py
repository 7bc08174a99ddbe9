"""JSON lines: ranges of bytes that begin at line starts, and the records of a range."""

from __future__ import annotations

import codecs
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from sansi.base.errors import SansiError
from sansi.base.sizes import size_text
from sansi.base.strict_json import json_fault, parse_json
from sansi.data.documents import BadRecord, Record
from sansi.data.parts import Records
from sansi.data.readers.fields import Fields, record_of
from sansi.data.readers.part import CHUNK, MAX_RECORD_BYTES, ranged
from sansi.data.readers.unpacking import BROKEN, open_unpacked, packing_of

_LOOKED_AT = 20  # lines by which a file is judged before the work begins


@dataclass(frozen=True)
class JsonLinesPart:
    """The lines of a file that begin in a range of its bytes."""

    path: str
    label: str  # the file in the ids of its records
    start: int
    end: int | None  # None: the whole file, which is compressed
    first: int  # number of its first line, from 1
    size: int
    fields: Fields

    @property
    def name(self) -> str:
        return ranged(self.label, self.start, self.end)

    def records(self) -> Records:
        """The records of a part, and of each line that is none why it is not."""
        number = self.first - 1
        try:
            with open_unpacked(self.path) as file:
                if self.start:
                    file.seek(self.start)
                left = None if self.end is None else self.end - self.start
                for number, line in _lines(file, self.first, left):
                    yield _record(line, f"{self.label}:{number}", self.fields)
        except BROKEN as error:
            told = f"{str(error) or type(error).__name__}; what follows line {number} is lost"
            yield BadRecord(f"{self.label}:{number + 1}", "broken file", told)


def json_lines_parts(path: Path, label: str, part_bytes: int, fields: Fields) -> list[JsonLinesPart]:
    """The parts of a file; a compressed one is one part. Raises SansiError where no record can have a text."""
    _check(path, fields)
    size = path.stat().st_size
    if packing_of(path.name):
        return [JsonLinesPart(str(path), label, 0, None, 1, size, fields)]
    ranges = _ranges(path, part_bytes)
    return [JsonLinesPart(str(path), label, start, end, first, end - start, fields) for start, end, first in ranges]


def _ranges(path: Path, part_bytes: int) -> Iterator[tuple[int, int, int]]:
    """Start, end and first line of each part. A line is never parted, however long it is."""
    at, start, first, line = 0, 0, 1, 1
    with path.open("rb") as file:
        while chunk := file.read(CHUNK):
            begin = 0
            while (cut := chunk.find(b"\n", max(start + part_bytes - 1 - at, begin))) >= 0:
                line += chunk.count(b"\n", begin, cut + 1)
                begin = cut + 1
                yield start, at + begin, first
                start, first = at + begin, line
            line += chunk.count(b"\n", begin)
            at += len(chunk)
    if at > start:
        yield start, at, first


def _check(path: Path, fields: Fields) -> None:
    """Look at the first lines. Raises SansiError where none of them has a text: that would go on for the whole file."""
    found: list[BadRecord | Record] = []
    try:
        with open_unpacked(str(path)) as file:
            if file.read(4).startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
                raise SansiError(f"{path}: it is in UTF-16, and JSON lines are in UTF-8; convert it first")
        with open_unpacked(str(path)) as file:
            for number, line in _lines(file, 1, None):
                found.append(_record(line, f"line {number}", fields))
                if isinstance(found[-1], Record) or len(found) == _LOOKED_AT:
                    break
    except BROKEN:
        return  # the reader says where
    wrong = [bad for bad in found if isinstance(bad, BadRecord) and bad.reason in _WRONG_FIELDS]
    if wrong and not any(isinstance(record, Record) for record in found):
        first = wrong[0]
        raise SansiError(f"{path}: {first.id}: {first.detail}; {_WRONG_FIELDS[first.reason]}", param="fields")


_WRONG_FIELDS = {
    "text missing": "say which field holds the text",
    "id missing": "say which field holds the id, or leave it out",
    "a conversation": "make samples of them instead",
}


def _lines(file: IO[bytes], first: int, left: int | None) -> Iterator[tuple[int, bytes | int]]:
    """Numbered lines; of one that is too long, how long it is. Blank ones are none."""
    number = first
    while left is None or left > 0:
        line = file.readline(MAX_RECORD_BYTES + 1)
        length = len(line)
        if length > MAX_RECORD_BYTES and not line.endswith(b"\n"):
            while (piece := file.readline(CHUNK)) and not piece.endswith(b"\n"):
                length += len(piece)
            length += len(piece)
        if not line:
            return
        left = None if left is None else left - length
        if length > MAX_RECORD_BYTES + 1:
            yield number, length
        elif line.strip():
            yield number, line
        number += 1


def _record(line: bytes | int, place: str, fields: Fields) -> Record | BadRecord:
    if isinstance(line, int):
        limit = size_text(MAX_RECORD_BYTES)
        return BadRecord(place, "too large", f"a line of {size_text(line)}; at most {limit} are read")
    try:
        row = parse_json(line.removeprefix(codecs.BOM_UTF8).decode())
    except UnicodeDecodeError as error:
        return BadRecord(place, "wrong encoding", json_fault(error))
    except ValueError as error:
        return BadRecord(place, "invalid JSON", str(error))
    if isinstance(row, str):
        row = {fields.text or "text": row}
    if not isinstance(row, dict):
        return BadRecord(place, "invalid JSON", f"an object is expected, not {type(row).__name__}")
    return record_of(row, place, fields)
