"""What was read of a file, and how much may be read."""

from __future__ import annotations

import bisect
from dataclasses import dataclass
from typing import Literal

from sansi.base.errors import SansiError

_LONGEST_NAME = 120
READABLE = "text, Markdown, source code, HTML, PDF and Word documents (.docx) can be read"

How = Literal["accurate", "fast"]


@dataclass(frozen=True)
class Limits:
    """Bounds on one document. More bytes than these are refused; of pages, characters and seconds the rest is left out,
    which a note says."""

    max_bytes: int = 32 * 2**20
    max_pages: int = 1000
    max_characters: int = 4_000_000
    seconds: float = 30.0
    """Of processor time, for a PDF or for a web page that is not small."""
    memory: int = 2 * 2**30
    """Bytes of memory for these, which are read in a process of their own."""


@dataclass(frozen=True)
class Document:
    """A file as text."""

    text: str
    media_type: str
    title: str | None = None
    pages: int | None = None
    """Pages of the file, also where not all of them were read; None for what has no pages."""
    notes: tuple[str, ...] = ()
    """What a reader should know: pages that were left out, a charset that was guessed."""
    page_starts: tuple[int, ...] = ()
    """Where in `text` each page that was read begins."""
    extractor: str = "text"
    """What made the text of the file: "text", "html-accurate", "html-structure", "html-fast", "man", "pdf", "docx"."""

    def page_at(self, offset: int) -> int | None:
        """The page, from 1, that holds this place of the text; None for what has no pages."""
        return max(bisect.bisect_right(self.page_starts, offset), 1) if self.page_starts else None


class DocumentError(SansiError):
    """A file that cannot be read. `code` is one of: too_large, binary, empty, encrypted, scanned, broken, missing."""


def named(name: str | None) -> str:
    """How a sentence speaks of the file."""
    shown = "".join(c if c.isprintable() else " " for c in name or "").strip()
    return f"“{shown[-_LONGEST_NAME:]}”" if shown else "the document"
