"""Documents that wait on disk between two steps of building a corpus, read again one by one in any order."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Place:
    """Where a document lies in a stage, and by what its turn is decided."""

    begin: int
    size: int  # bytes of its text
    original: bool
    sha256: str
    id: str
