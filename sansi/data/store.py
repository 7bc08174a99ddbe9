"""Documents and ledgers on disk: Parquet files whose bytes depend on what is in them alone.

A file of documents has a column for each field of `Document`, and `size`, the bytes of the text; maps are JSON objects
in a text column, so that any reader of Parquet shows them. Row groups are small enough to be read one by one.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sansi.base.errors import SansiError
from sansi.base.files import atomic_file
from sansi.base.installing import install_command
from sansi.data.documents import Document
from sansi.data.ledger import Entry

if TYPE_CHECKING:
    import pyarrow as pa
    import pyarrow.parquet as pq

GROUP_ROWS = 1000
GROUP_BYTES = 8_000_000
_MAPS = ("signals", "metadata", "provenance")
_NUMBERS = ("quality", "language_score", "value", "difficulty", "unsafe")


def document_schema() -> pa.Schema:
    """The columns of a file of documents."""
    pa = _pyarrow()

    def kind_of(name: str) -> Any:
        return pa.float64() if name in _NUMBERS else pa.bool_() if name == "original" else pa.string()

    names = [field.name for field in dataclasses.fields(Document)]
    return pa.schema([*(pa.field(name, kind_of(name)) for name in names), pa.field("size", pa.int64())])


def entry_schema() -> pa.Schema:
    """The columns of a ledger."""
    pa = _pyarrow()
    names = [field.name for field in dataclasses.fields(Entry)]
    return pa.schema([pa.field(name, pa.int64() if name.endswith("size") else pa.string()) for name in names])


class TableWriter:
    """Rows of a Parquet file, written in groups as they come; the file appears whole when the block ends."""

    def __init__(self, draft: Path, schema: pa.Schema, metadata: dict[str, str] | None = None):
        import pyarrow.parquet as pq

        if metadata:
            schema = schema.with_metadata(metadata)
        self.schema, self.rows = schema, 0
        self._writer = pq.ParquetWriter(draft, schema, compression="zstd", compression_level=3, write_statistics=True)
        self._waiting: list[dict[str, Any]] = []
        self._bytes = 0

    def add(self, row: dict[str, Any], size: int = 0) -> None:
        """size: about the bytes of the row, by which groups are parted."""
        self._waiting.append(row)
        self._bytes += size
        self.rows += 1
        if len(self._waiting) >= GROUP_ROWS or self._bytes >= GROUP_BYTES:
            self.flush()

    def close(self) -> None:
        self._writer.close()

    def flush(self) -> None:
        if self._waiting:
            pa = _pyarrow()
            self._writer.write_table(pa.Table.from_pylist(self._waiting, self.schema))
        self._waiting, self._bytes = [], 0


@contextmanager
def table_writer(path: Path, schema: pa.Schema, metadata: dict[str, str] | None = None) -> Iterator[TableWriter]:
    """A writer of the file `path`, which appears when the block ends and not at all when it fails."""
    with atomic_file(path) as draft:
        writer = TableWriter(draft, schema, metadata)
        try:
            yield writer
            writer.flush()
        finally:
            writer.close()


def document_row(document: Document) -> dict[str, Any]:
    row = {field.name: getattr(document, field.name) for field in dataclasses.fields(document)}
    for name in _MAPS:
        row[name] = json.dumps(dict(row[name]), ensure_ascii=False, sort_keys=True) if row[name] else None
    return row | {"size": document.size}


def write_documents(path: Path, documents: Iterable[Document]) -> int:
    """Write a file of documents, whole or not at all; how many they were."""
    with table_writer(path, document_schema()) as writer:
        for document in documents:
            row = document_row(document)
            writer.add(row, row["size"])
    return writer.rows


def read_documents(path: Path) -> Iterator[Document]:
    """The documents of a file, in its order, a row group in memory at a time."""
    with _opened(path) as file:
        for group in range(file.num_row_groups):
            yield from map(_document, file.read_row_group(group).to_pylist())


def read_rows(path: Path, rows: Iterable[int]) -> Iterator[Document]:
    """The documents in the given rows of a file, in that order; the last row group that was read is kept."""
    with _opened(path) as file:
        starts = _group_starts(file)
        held: tuple[int, list[dict[str, Any]]] = (-1, [])
        for row in rows:
            group = _group_of(starts, row, path)
            if held[0] != group:
                held = (group, file.read_row_group(group).to_pylist())
            yield _document(held[1][row - starts[group]])


def read_table(path: Path) -> Iterator[dict[str, Any]]:
    """The rows of any file that `table_writer` wrote, a row group in memory at a time."""
    with _opened(path) as file:
        for group in range(file.num_row_groups):
            yield from file.read_row_group(group).to_pylist()


def columns_of(path: Path, names: Sequence[str]) -> dict[str, list[Any]]:
    """Some columns of a file, whole, as lists."""
    with _opened(path) as file:
        return file.read(columns=list(names)).to_pydict()


def rows_of(path: Path) -> int:
    """How many rows a file has."""
    with _opened(path) as file:
        return int(file.metadata.num_rows)


def write_entries(path: Path, entries: Iterable[Entry]) -> int:
    """Write a ledger, whole or not at all."""
    with table_writer(path, entry_schema()) as writer:
        for entry in entries:
            writer.add(dataclasses.asdict(entry), 200)
    return writer.rows


def read_entries(path: Path) -> Iterator[Entry]:
    with _opened(path) as file:
        for group in range(file.num_row_groups):
            for row in file.read_row_group(group).to_pylist():
                yield Entry(**row)


@contextmanager
def _opened(path: Path) -> Iterator[pq.ParquetFile]:
    """The file. Raises SansiError where it is missing, damaged, or has other columns than are read."""
    pa = _pyarrow()
    import pyarrow.parquet as pq

    path = Path(path)
    if not path.is_file():
        raise SansiError(f"{path}: no such file; build the corpus first")
    try:
        with pq.ParquetFile(path, memory_map=False) as file:
            yield file
    except (pa.ArrowInvalid, pa.ArrowKeyError, pa.ArrowNotImplementedError, TypeError) as error:
        raise SansiError(f"{path}: not what Sansi wrote, or damaged ({error}); build the corpus again") from error


def _document(row: dict[str, Any]) -> Document:
    row.pop("size", None)
    for name in _MAPS:
        row[name] = json.loads(row[name]) if row[name] else {}
    return Document(**row)


def _group_starts(file: pq.ParquetFile) -> list[int]:
    starts, at = [], 0
    for group in range(file.num_row_groups):
        starts.append(at)
        at += file.metadata.row_group(group).num_rows
    return [*starts, at]


def _group_of(starts: Sequence[int], row: int, path: Path) -> int:
    import bisect

    if not 0 <= row < starts[-1]:
        raise SansiError(f"{path}: there is no row {row}; it has {starts[-1]}")
    return bisect.bisect_right(starts, row) - 1


def _pyarrow() -> Any:
    try:
        import pyarrow
    except ImportError as error:
        raise SansiError(f"documents are kept in Parquet files; run: {install_command('train')}") from error
    return pyarrow
