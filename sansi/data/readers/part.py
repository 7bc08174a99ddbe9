"""What the parts of all formats have in common."""

from __future__ import annotations

MAX_RECORD_BYTES = 32 * 2**20  # a longer record is told and left out; see sansi.documents.Limits
CHUNK = 2**20  # bytes that are read at once of what is only looked through


def ranged(label: str, start: int, end: int | None, unit: str = "bytes") -> str:
    """The name of a piece of a file."""
    if end is None:
        return label if start == 0 else f"{label} ({unit} {start:,} to the end)"
    return f"{label} ({unit} {start:,} to {end:,})"
