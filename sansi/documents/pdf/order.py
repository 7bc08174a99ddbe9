"""A page's lines in the order in which they are read.

PDFium's order is that in which the file draws them, and mostly right: columns are drawn one after the other. It is
wrong where a program draws row by row across columns, or jumps. So lines are moved only where they show that: prose on
both sides of a gutter whose sides take turns, or lines that go up the page within a column again and again.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from statistics import median

from sansi.documents.pdf.pages import Line, Page

FEWEST_ROWS = 4  # of a column
PROSE = 18  # characters of the median line of a column; cells of tables have fewer
STEP = 4.0  # points: places that are tried for a gutter
MOST_CROSSING = 0.25  # of the lines, which may run across a gutter: headings, figures
MOST_JUMPS = 2  # up the page that are no reason to sort its lines


@dataclass(frozen=True)
class Ordered:
    """The lines of a page."""

    lines: tuple[Line, ...]
    moved: str = ""
    """"columns" or "rows" where PDFium's order was wrong."""


def in_reading_order(page: Page) -> Ordered:
    """The page's lines, parted at the gutter where rows of two columns were put into one line."""
    lines = page.lines
    if len(lines) < 2 * FEWEST_ROWS:
        return Ordered(lines)
    pieces = [piece for line in lines for piece in _pieces(line)]
    gutter = _gutter(pieces)
    if gutter is not None and _takes_turns(pieces, gutter):
        return Ordered(tuple(_column_by_column(pieces, gutter)), "columns")
    if gutter is None and _jumps(lines) > MOST_JUMPS:
        return Ordered(tuple(sorted(lines, key=lambda line: (-line.baseline, line.left))), "rows")
    return Ordered(lines)


def _pieces(line: Line) -> list[Line]:
    """A line parted at its gaps."""
    if not line.gaps or _runs_left(line.text):
        return [line]
    places = [0, *(gap.at for gap in line.gaps), len(line.text)]
    ends = [line.left, *(side for gap in line.gaps for side in (gap.left, gap.right)), line.right]
    found = []
    for index, (begin, end) in enumerate(pairwise(places)):
        text = line.text[begin:end].strip()
        last = end == len(line.text)
        left, right = ends[2 * index], ends[2 * index + 1]
        found.append(replace(line, text=text, left=left, right=right, gaps=(), parted=line.parted and last))
    return found


def _runs_left(text: str) -> bool:
    return sum("\u0590" <= c <= "\u08ff" for c in text) > len(text) / 4


def _gutter(pieces: Sequence[Line]) -> float | None:
    """Where a page has two columns of prose beside each other: the middle of the space between them."""
    left, right = min(p.left for p in pieces), max(p.right for p in pieces)
    best: tuple[int, float] | None = None
    for step in range(int((right - left) * 0.3 / STEP), int((right - left) * 0.7 / STEP) + 1):
        x = left + STEP * step
        crossing = sum(p.left < x < p.right for p in pieces)
        if crossing > MOST_CROSSING * len(pieces) or (best is not None and crossing >= best[0]):
            continue
        sides = [[p for p in pieces if p.right <= x], [p for p in pieces if p.left >= x]]
        if all(len(side) >= FEWEST_ROWS and median(len(p.text) for p in side) >= PROSE for side in sides):
            best = (crossing, x)
    return best[1] if best else None


def _takes_turns(pieces: Sequence[Line], gutter: float) -> bool:
    """Whether the sides of a gutter follow each other row by row: more often than every third line."""
    sides = [piece.left >= gutter for piece in pieces if not piece.left < gutter < piece.right]
    turns = sum(one != other for one, other in pairwise(sides))
    return turns > max(4, len(sides) / 3)


def _column_by_column(pieces: Sequence[Line], gutter: float) -> list[Line]:
    """Down the left column, then down the right one, between lines that run across both."""
    found: list[Line] = []
    columns: tuple[list[Line], list[Line]] = ([], [])
    for piece in sorted(pieces, key=lambda piece: (-piece.baseline, piece.left)):
        if piece.left < gutter < piece.right:
            found += [*columns[0], *columns[1], piece]
            columns = ([], [])
        else:
            columns[piece.left >= gutter].append(piece)
    return [*found, *columns[0], *columns[1]]


def _jumps(lines: Sequence[Line]) -> int:
    """How often a line stands above the one before it, and not beside it."""
    return sum(
        after.baseline > before.baseline + 1.5 * before.size and after.left < before.right and before.left < after.right
        for before, after in pairwise(lines)
    )
