"""Documents that wait on disk between two steps of building a corpus, read again one by one in any order."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from sansi.data.documents import Document, document_line


@dataclass(frozen=True)
class Place:
    """Where a document lies in a stage, and by what its turn is decided."""

    begin: int
    size: int  # bytes of its text
    original: bool
    sha256: str
    id: str


class Stage:
    """A file of documents and their places in memory, some hundred bytes each."""

    def __init__(self, path: Path):
        self._file = Path(path).open("wb+")  # noqa: SIM115 (closed with the stage)
        self.places: list[Place] = []

    def __enter__(self) -> Stage:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def add(self, document: Document) -> None:
        begin = self._file.seek(0, 2)
        self._file.write(document_line(document).encode())
        self.places.append(Place(begin, document.size, document.original, document.sha256, document.id))

    def read(self, index: int) -> Document:
        self._file.seek(self.places[index].begin)
        return Document(**json.loads(self._file.readline()))

    def __iter__(self) -> Iterator[Document]:
        return (self.read(index) for index in range(len(self.places)))

    def __len__(self) -> int:
        return len(self.places)
