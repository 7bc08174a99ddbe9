"""Counts in words (one thing, two things), and texts in a line."""

from __future__ import annotations


def count(number: int, noun: str, plural: str | None = None) -> str:
    """`1 line`, `2 lines`, `1,000 lines`; plural: where it is not the noun with an s."""
    return f"{number:,} {noun if number == 1 else plural or noun + 's'}"


def in_a_line(text: str, most: int) -> str:
    """The text in one line of `most` characters, "…" where it is cut."""
    line = " ".join(text.split())
    return line if len(line) <= most else line[: most - 1] + "…"
