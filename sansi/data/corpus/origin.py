"""Where a source comes from."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Origin:
    """Where a source's documents come from."""

    name: str
    package: str  # or the paths, as they were given
    version: str
    licence: str
    sha256: str | None = None  # of the archive
