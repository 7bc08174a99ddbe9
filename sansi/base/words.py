"""Counts in words: one thing, two things."""

from __future__ import annotations


def count(number: int, noun: str, plural: str | None = None) -> str:
    """`1 line`, `2 lines`, `1,000 lines`; plural: where it is not the noun with an s."""
    return f"{number:,} {noun if number == 1 else plural or noun + 's'}"
