"""Records, texts and documents: what a reader yields, what an extractor makes of it, what the corpus keeps."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

Kind = Literal["prose", "reference", "verse", "code"]


@dataclass(frozen=True)
class Record:
    """What a reader yields: bytes, or a text that was decoded already, and what the source tells of it."""

    id: str  # unique inside its source, the same on every run
    data: bytes | str
    media_type: str | None = None  # as HTTP has it, with its charset; None: to be found out from the bytes and the name
    name: str | None = None  # of the file, for its ending
    kind: Kind | None = None  # None: by the media type
    language: str | None = None  # as declared; None: to be identified
    licence: str | None = None  # None: the source's
    held_out: bool = False  # for evaluation: kept apart, never trained on
    original: bool = True  # False: a translation or an edition; what it repeats is taken out of it, not of the original
    url: str | None = None
    date: str | None = None  # ISO 8601, as far as the source tells: "1961" or "2021-03-05"
    title: str | None = None
    metadata: Mapping[str, str] = field(default_factory=dict)  # whatever else the source tells

    @property
    def size(self) -> int:
        """Bytes of the content, a text's as UTF-8."""
        return len(self.content)

    @property
    def content(self) -> bytes:
        return self.data if isinstance(self.data, bytes) else self.data.encode("utf-8", "surrogatepass")


@dataclass(frozen=True)
class BadRecord:
    """What a reader found in the place of a record."""

    id: str
    reason: str  # a short phrase that is counted: "invalid JSON"
    detail: str = ""


@dataclass(frozen=True)
class RawDocument:
    """A text as an extractor found it."""

    id: str  # unique inside its source
    text: str
    kind: Kind = "prose"
    language: str | None = None  # BCP-47, or the programming language; None: to be identified
    held_out: bool = False
    original: bool = True
    url: str | None = None
    date: str | None = None
    metadata: Mapping[str, str] = field(default_factory=dict)
    licence: str | None = None  # None: the source's
    title: str | None = None
    media_type: str | None = None
    provenance: Mapping[str, str] = field(default_factory=dict)  # how it was made: extractor, generator, seed document


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
    language_score: float | None = None  # how sure `detected_language` is, 0 to 1
    language_model: str | None = None  # what identified it
    value: float | None = None  # educational, 0 to 1; None: not scored
    field: str | None = None  # subject: "mathematics"
    domain: str | None = None  # form: "manual", "news", "encyclopedia"
    difficulty: float | None = None  # 0 to 1
    unsafe: float | None = None  # 0 to 1
    signals: Mapping[str, float] = dataclasses.field(default_factory=dict)  # see sansi.data.signals
    url: str | None = None
    date: str | None = None
    title: str | None = None
    media_type: str | None = None  # of what the text was extracted from
    metadata: Mapping[str, str] = dataclasses.field(default_factory=dict)
    provenance: Mapping[str, str] = dataclasses.field(default_factory=dict)

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
