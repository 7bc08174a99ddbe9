"""Documents: what a source yields, what the corpus keeps, and their JSON lines on disk."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
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
    original: bool = True  # False: a translation or an edition; what it repeats is taken out of it, not of the original
    url: str | None = None
    date: str | None = None  # of the text, ISO 8601, as far as the source tells: "1961" or "2021-03-05"
    metadata: Mapping[str, str] = field(default_factory=dict)  # whatever else the source tells


@dataclass(frozen=True)
class Document:
    """A document of the corpus, with what is known about it."""

    id: str  # source/id
    source: str
    licence: str
    kind: Kind
    language: str  # BCP-47: the source's own tag where it gives one, else the identified language, else "und"
    detected_language: str | None  # BCP-47; None: not identified reliably
    quality: float  # 0 to 1, see sansi.data.annotate
    sha256: str  # of the text as UTF-8
    text: str
    original: bool = True
    script: str | None = None  # ISO 15924, of most of the letters
    language_score: float | None = None  # share of the text that is in `detected_language`
    language_model: str | None = None  # what identified it
    url: str | None = None
    date: str | None = None
    metadata: Mapping[str, str] = field(default_factory=dict)

    @property
    def size(self) -> int:
        """Bytes of the text as UTF-8."""
        return len(self.text.encode())

    def with_text(self, text: str) -> Document:
        return dataclasses.replace(self, text=text, sha256=text_sha256(text))


def text_sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def document_line(document: Document) -> str:
    """The document as a line of JSON."""
    return json.dumps(dataclasses.asdict(document), ensure_ascii=False) + "\n"


def write_documents(path: Path, documents: Iterable[Document]) -> None:
    """Write JSON lines, one document each."""
    with Path(path).open("w", encoding="utf-8", newline="\n") as file:
        file.writelines(map(document_line, documents))


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
