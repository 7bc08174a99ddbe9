"""Columns of numbers on disk that are read in place: Arrow files without compression, mapped into memory.

What is mapped does not count as used memory: the system takes it back where it is short.
"""

from __future__ import annotations

import bisect
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from sansi.base.errors import SansiError
from sansi.base.files import atomic_file

Column = npt.NDArray[Any]


@contextmanager
def column_writer(path: Path, schema: pa.Schema) -> Iterator[pa.ipc.RecordBatchFileWriter]:
    """A writer of record batches; the file appears when the block ends and not at all when it fails."""
    with atomic_file(path) as draft, pa.OSFile(str(draft), "wb") as file, pa.ipc.new_file(file, schema) as writer:
        yield writer


def write_columns(path: Path, columns: Mapping[str, Any]) -> None:
    """Write some arrays of equal length."""
    arrays = {name: pa.array(column) for name, column in columns.items()}
    batch = pa.record_batch(arrays)
    with column_writer(path, batch.schema) as writer:
        writer.write_batch(batch)


class Columns:
    """The columns of one file, read in place."""

    def __init__(self, path: Path):
        try:
            self._reader = pa.ipc.open_file(pa.memory_map(str(path)))
        except (OSError, pa.ArrowInvalid) as error:
            raise SansiError(
                f"{path}: not what Sansi wrote, or damaged ({error}); delete it and start again"
            ) from error
        self._batches = [self._reader.get_batch(index) for index in range(self._reader.num_record_batches)]
        self._starts = [0]
        for batch in self._batches:
            self._starts.append(self._starts[-1] + batch.num_rows)

    def __len__(self) -> int:
        return self._starts[-1]

    def column(self, name: str) -> Column:
        """A whole column of numbers."""
        parts = [self._numbers(batch, name) for batch in self._batches]
        return parts[0] if len(parts) == 1 else np.concatenate(parts) if parts else np.zeros(0, np.uint64)

    def flat(self, name: str) -> tuple[Column, Column]:
        """All values of a column of lists, one list after the other, and how many each row has."""
        lists = [batch.column(name) for batch in self._batches]
        values = [part.flatten().to_numpy(zero_copy_only=False) for part in lists]
        counts = [np.diff(part.offsets.to_numpy()) for part in lists]
        return _joined(values), _joined(counts)

    def row(self, name: str, row: int) -> Column:
        """The list in one row of a column of lists."""
        found: Column = self._value(name, row).values.to_numpy(zero_copy_only=False)
        return found

    def value(self, name: str, row: int) -> Any:
        """One value of a column."""
        return self._value(name, row).as_py()

    def rows(self, begin: int = 0, end: int | None = None) -> Iterator[dict[str, Any]]:
        """The rows from `begin` to before `end`, as dictionaries."""
        end = len(self) if end is None else end
        for start, batch in zip(self._starts, self._batches, strict=False):
            first, last = max(begin - start, 0), min(end - start, batch.num_rows)
            if first < last:
                yield from batch.slice(first, last - first).to_pylist()

    def values(self, name: str) -> Iterator[Any]:
        """A whole column, value by value."""
        for batch in self._batches:
            yield from batch.column(name).to_pylist()

    def _value(self, name: str, row: int) -> Any:
        part = bisect.bisect_right(self._starts, row) - 1
        return self._batches[part].column(name)[row - self._starts[part]]

    @staticmethod
    def _numbers(batch: pa.RecordBatch, name: str) -> Column:
        column = batch.column(name)
        if pa.types.is_fixed_size_list(column.type):
            values: Column = column.flatten().to_numpy(zero_copy_only=False)
            return values.reshape(-1, column.type.list_size)
        numbers: Column = column.to_numpy(zero_copy_only=False)
        return numbers


def _joined(parts: Sequence[Column]) -> Column:
    return parts[0] if len(parts) == 1 else np.concatenate(parts) if parts else np.zeros(0, np.uint32)


class Documents:
    """The columns of several files as one sequence of documents, by their numbers."""

    def __init__(self, paths: Iterable[Path]):
        self.files = [Columns(path) for path in paths]
        self.starts = [0]
        for file in self.files:
            self.starts.append(self.starts[-1] + len(file))

    def __len__(self) -> int:
        return self.starts[-1]

    def column(self, name: str) -> Column:
        return _joined([file.column(name) for file in self.files if len(file)])

    def row(self, name: str, document: int) -> Column:
        file, row = self.place(document)
        return self.files[file].row(name, row)

    def value(self, name: str, document: int) -> Any:
        file, row = self.place(document)
        return self.files[file].value(name, row)

    def place(self, document: int) -> tuple[int, int]:
        """The file that a document is in, and its row there."""
        file = bisect.bisect_right(self.starts, document) - 1
        return file, document - self.starts[file]
