"""What most readers of packages need: files as text, and texts as records."""

from __future__ import annotations

import gzip
from pathlib import Path
from typing import Any

from sansi.data.documents import Kind, Record


def read_text(path: Path) -> str:
    """The text of a file, unpacked if its name ends in .gz or .dz.

    A wrong byte becomes U+FFFD, which the encoding filter then sees; an error here would stop the whole source.
    """
    raw = path.read_bytes()
    return (gzip.decompress(raw) if path.suffix in (".gz", ".dz") else raw).decode("utf-8", errors="replace")


def text_record(id: str, text: str, kind: Kind = "prose", language: str | None = None, **facts: Any) -> Record:
    """A record of which nothing more need be extracted."""
    return Record(id, text, "text/plain", kind=kind, language=language, **facts)
