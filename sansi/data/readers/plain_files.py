"""Files that are one record each: text, source, web pages, man pages, PDF, Word; compressed ones, too."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from sansi.base.sizes import size_text
from sansi.data.documents import BadRecord, Record
from sansi.data.parts import Records
from sansi.data.readers.part import MAX_RECORD_BYTES
from sansi.data.readers.unpacking import BROKEN, open_unpacked, without_packing

_MOST_FILES = 1000  # of a part, however small they are


@dataclass(frozen=True)
class FilesPart:
    """Some files, of which each is one record."""

    paths: tuple[str, ...]
    labels: tuple[str, ...]  # ids of their records: paths below the folder
    size: int
    media_type: str | None  # that they are read as; None: by their bytes and names

    @property
    def name(self) -> str:
        return self.labels[0] if len(self.labels) == 1 else f"{self.labels[0]} to {self.labels[-1]}"

    def records(self) -> Records:
        for path, label in zip(self.paths, self.labels, strict=True):
            yield _file(path, label, self.media_type)


def file_parts(files: Sequence[tuple[Path, str]], media_type: str | None, part_bytes: int) -> list[FilesPart]:
    """Neighbouring files of about `part_bytes` together. files: path and label, sorted."""
    parts: list[FilesPart] = []
    paths: list[str] = []
    labels: list[str] = []
    size = 0
    for number, (path, label) in enumerate(files):
        paths.append(str(path))
        labels.append(label)
        size += path.stat().st_size if path.is_file() else 0
        if size >= part_bytes or len(paths) == _MOST_FILES or number == len(files) - 1:
            parts.append(FilesPart(tuple(paths), tuple(labels), size, media_type))
            paths, labels, size = [], [], 0
    return parts


def _file(path: str, name: str, media_type: str | None) -> Record | BadRecord:
    if not os.path.isfile(path):  # a pipe would be waited for
        return BadRecord(name, "not a file", "it is a link to nothing, a device or a pipe")
    try:
        with open_unpacked(path) as file:
            data = file.read(MAX_RECORD_BYTES + 1)
    except BROKEN as error:
        return BadRecord(name, "broken file", str(error) or type(error).__name__)
    if len(data) > MAX_RECORD_BYTES:
        told = f"more than {size_text(MAX_RECORD_BYTES)}; a file of many texts is read as JSON lines (one a line)"
        return BadRecord(name, "too large", told)
    return Record(name, data, media_type, name=without_packing(Path(name).name))
