"""Sizes in words."""

from __future__ import annotations


def size_text(count: float) -> str:
    """Bytes in the unit that fits, with four digits at most: "1.5 GiB"."""
    for unit in ("B", "KiB", "MiB"):
        if abs(count) < 1024:
            return f"{count:.4g} {unit}"
        count /= 1024
    return f"{count:,.4g} GiB" if abs(count) < 1024 else f"{count / 1024:.4g} TiB"
