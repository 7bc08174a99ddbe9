"""Sizes in words."""

from __future__ import annotations


def show_bytes(count: float) -> str:
    for unit in ("B", "KiB", "MiB"):
        if count < 1024:
            return f"{count:.4g} {unit}"
        count /= 1024
    return f"{count:,.4g} GiB" if count < 1024 else f"{count / 1024:.4g} TiB"
