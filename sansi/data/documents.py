"""Documents: what a source yields, what the corpus keeps, and their JSON lines on disk."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from sansi.base.errors import SansiError

Kind = Literal["prose", "reference", "verse", "code"]


@dataclass(frozen=True)
class RawDocument:
    """A text as an extractor found it."""

    id: str  # unique inside its source
    text: str
    kind: Kind = "prose"
    language: str | None = None  # BCP-47, or the programming language; None: to be identified
    held_out: bool = False  # for evaluation: kept apart, never trained on


@dataclass(frozen=True)
class Document:
    """A document of the corpus, with what is known about it."""

    id: str  # source/id
    source: str
    licence: str
    kind: Kind
    language: str  # the source's own tag where it gives one, else the identified language, else "und"
    detected_language: str | None  # None: not identified reliably
    quality: float  # 0 to 1, see sansi.data.annotate
    sha256: str  # of the text as UTF-8
    text: str

    @property
    def size(self) -> int:
        """Bytes of the text as UTF-8."""
        return len(self.text.encode())

    def with_text(self, text: str) -> Document:
        return dataclasses.replace(self, text=text, sha256=text_sha256(text))


def text_sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def write_documents(path: Path, documents: Iterable[Document]) -> None:
    """Write JSON lines, one document each."""
    with Path(path).open("w", encoding="utf-8", newline="\n") as file:
        for document in documents:
            file.write(json.dumps(dataclasses.asdict(document), ensure_ascii=False) + "\n")


def read_documents(path: Path) -> Iterator[Document]:
    """The documents of a JSON lines file. Raises SansiError that names a damaged line."""
    path = Path(path)
    if not path.is_file():
        raise SansiError(f"{path}: no such file; build the corpus first")
    with path.open(encoding="utf-8") as file:
        for number, line in enumerate(file, 1):
            try:
                yield Document(**json.loads(line))
            except (TypeError, json.JSONDecodeError) as error:
                raise SansiError(f"{path}:{number}: not a document ({error}); build the corpus again") from error
