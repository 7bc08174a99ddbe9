"""Tables of HTML: which are tables of data, and their cells in a grid."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from sansi.documents.mathml import children

MAX_SPAN = 100  # columns or rows; pages have spans of thousands, by mistake
MAX_SPANNED = 20_000  # cells of a table that others cover


def is_layout(table: Any) -> bool:
    """Whether a table only places things on the page: it holds tables, headings or listings, or one column."""
    if (table.attributes.get("role") or "").lower() in ("presentation", "none"):
        return True
    if len(table.css("table")) > 1 or table.css_first("h1, h2, h3, h4, h5, h6, pre, form") is not None:
        return True
    return all(len(_cells(row)) <= 1 for row in _rows(table))


def table_grid(table: Any, is_hidden: Callable[[dict[str, str | None]], bool]) -> list[list[Any]]:
    """The rows of a table, each a list of cells; None where a cell spans from the left or from above."""
    grid: list[list[Any]] = []
    below: dict[int, int] = {}  # column -> rows that a cell from above still covers
    spare = MAX_SPANNED
    for row in _rows(table):
        if is_hidden(row.attributes) or is_hidden(row.parent.attributes):
            continue
        line: list[Any] = []
        cells = [cell for cell in _cells(row) if not is_hidden(cell.attributes)]
        while cells or below.get(len(line), 0) > 0:
            column = len(line)
            if below.get(column, 0) > 0:
                below[column] -= 1
                line.append(None)
                continue
            cell = cells.pop(0)
            width, height = _span(cell, "colspan"), _span(cell, "rowspan")
            if width * height - 1 > spare:
                width = height = 1
            spare -= width * height - 1
            line += [cell, *[None] * (width - 1)]
            below.update(dict.fromkeys(range(column, column + width), height - 1))
        grid.append(line)
    return grid


def _rows(table: Any) -> list[Any]:
    rows = []
    for part in children(table):
        if part.tag == "tr":
            rows.append(part)
        elif part.tag in ("thead", "tbody", "tfoot"):
            rows += [row for row in children(part) if row.tag == "tr"]
    return rows


def _cells(row: Any) -> list[Any]:
    return [cell for cell in children(row) if cell.tag in ("td", "th")]


def _span(cell: Any, name: str) -> int:
    value = (cell.attributes.get(name) or "1").strip()
    return max(1, min(int(value), MAX_SPAN)) if value.isascii() and value.isdigit() else 1
