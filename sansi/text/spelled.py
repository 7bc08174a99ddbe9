"""Thoughts that a server spells out in its answer, where it should have told them apart."""

from __future__ import annotations

OPEN, CLOSE = "<think>", "</think>"


def without_thought(text: str) -> str:
    """The text after a thought that it begins with; "" where that thought does not end."""
    if not text.lstrip().startswith(OPEN):
        return text
    return text.partition(CLOSE)[2].lstrip("\n")
