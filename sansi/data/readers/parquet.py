"""Parquet: groups of rows, read in batches."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sansi.base.errors import SansiError
from sansi.base.installing import install_command
from sansi.base.sizes import size_text
from sansi.data.documents import BadRecord, Record
from sansi.data.parts import Records
from sansi.data.readers.fields import CONVERSATIONS, GUESSES, NO_DOCUMENTS, Fields, record_of
from sansi.data.readers.part import MAX_RECORD_BYTES, ranged

_ROWS = 64  # of a batch: memory holds as many texts


def _pyarrow() -> Any:
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError as error:
        raise SansiError(f"reading Parquet needs pyarrow; run: {install_command('train')}") from error
    return pyarrow


@dataclass(frozen=True)
class ParquetPart:
    """Some row groups of a file."""

    path: str
    label: str  # the file in the ids of its records
    start: int
    end: int | None  # None: with the file
    first: int  # number of its first row, from 0
    size: int
    fields: Fields

    @property
    def name(self) -> str:
        return ranged(self.label, self.start, self.end, "row groups")

    def records(self) -> Records:
        """The records of a part's rows."""
        arrow, row = _pyarrow(), self.first
        try:
            with arrow.parquet.ParquetFile(self.path) as file:
                groups = range(self.start, file.metadata.num_row_groups if self.end is None else self.end)
                for batch in file.iter_batches(_ROWS, row_groups=list(groups)):
                    for values in batch.to_pylist():
                        yield _bounded(record_of(values, f"{self.label}:{row}", self.fields))
                        row += 1
        except (arrow.ArrowException, OSError, UnicodeDecodeError) as error:
            told = f"{' '.join(str(error).split())}; what follows row {row} of this part is lost"
            yield BadRecord(f"{self.label}:{row}", "broken file", told)


def parquet_parts(path: Path, label: str, part_bytes: int, fields: Fields) -> list[ParquetPart]:
    """Row groups of about `part_bytes` together, unpacked. A file that is broken is one part, which says so.

    Raises SansiError where no column can be the text.
    """
    _check(path, fields)
    arrow = _pyarrow()
    try:
        with arrow.parquet.ParquetFile(path) as file:
            groups = [file.metadata.row_group(number) for number in range(file.metadata.num_row_groups)]
            sizes = [(group.num_rows, group.total_byte_size) for group in groups]
    except (arrow.ArrowException, OSError):
        return [ParquetPart(str(path), label, 0, None, 0, path.stat().st_size, fields)]
    parts, start, row, rows, size = [], 0, 0, 0, 0
    for number, (more, bytes_more) in enumerate(sizes):
        rows, size = rows + more, size + bytes_more
        if size >= part_bytes or number == len(sizes) - 1:
            parts.append(ParquetPart(str(path), label, start, number + 1, row, size, fields))
            start, row, rows, size = number + 1, row + rows, 0, 0
    return parts


def _check(path: Path, fields: Fields) -> None:
    """Raises SansiError where no column can be the text."""
    arrow = _pyarrow()
    try:
        columns = arrow.parquet.read_schema(path).names
    except (arrow.ArrowException, OSError):
        return
    tops = [name.partition(".")[0] for name in (fields.text,) if name]
    if not any(name in columns for name in tops or GUESSES["text"]):
        wanted = f'"{fields.text}"' if fields.text else ", ".join(f'"{guess}"' for guess in GUESSES["text"])
        more = f"; {NO_DOCUMENTS}" if set(columns) & set(CONVERSATIONS) else ""
        told = f"{path}: it has no column {wanted}{more}; it has {', '.join(columns) or 'none'}"
        raise SansiError(f"{told}; say which column holds the text", param="fields")


def _bounded(record: Record | BadRecord) -> Record | BadRecord:
    if isinstance(record, Record) and record.size > MAX_RECORD_BYTES:
        told = f"{size_text(record.size)}; at most {size_text(MAX_RECORD_BYTES)} are read"
        return BadRecord(record.id, "too large", told)
    return record
