"""Lines of text: folding wrapped ones into paragraphs, and their width on a terminal."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable

WIDE = ("W", "F")  # East Asian wide characters, written without spaces between them (Korean excepted)


def join_lines(lines: Iterable[str]) -> str:
    """Fold wrapped lines into one: with a space between words, none between Chinese or Japanese characters."""
    joined = ""
    for line in (line.strip() for line in lines):
        if joined and line:
            joined += "" if _unspaced(joined[-1]) and _unspaced(line[0]) else " "
        joined += line
    return joined


def _unspaced(char: str) -> bool:
    return unicodedata.east_asian_width(char) in WIDE and not "\uac00" <= char <= "\ud7a3"


def display_width(text: str) -> int:
    """Terminal columns: wide characters take two."""
    if text.isascii():
        return len(text)
    return sum(2 if unicodedata.east_asian_width(char) in WIDE else 1 for char in text)


def unwrap(text: str, width: int) -> str:
    """Undo hard wrapping: a line of at least `width` columns goes on in the next, unless that is an item or a table."""
    paragraphs: list[list[str]] = []
    goes_on = False
    for line in text.splitlines():
        if goes_on and line.strip() and not re.match(r"\s*([*•|+-]|\d+[.)])(\s|-|$)", line):
            paragraphs[-1].append(line)
        else:
            paragraphs.append([line])
        goes_on = display_width(line.rstrip()) >= width and "|" not in line
    return "\n".join(part[0].rstrip() if len(part) == 1 else join_lines(part) for part in paragraphs)
