"""Blocks of a page as one Markdown text."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence

from sansi.documents.html_text import Block


def markdown(blocks: Iterable[Block]) -> str:
    """Paragraphs parted by blank lines, items of a list close together, tables with a line below their head."""
    text, previous = "", None
    for is_row, group in itertools.groupby(
        blocks, lambda block: (block.tag == "tr", block.group if block.tag == "tr" else 0)
    ):
        if is_row[0]:
            text += "\n\n" + table([block.cells for block in group])
            previous = None
            continue
        for block in group:
            tight = previous is not None and block.tag == previous.tag == "li" and block.group == previous.group
            text += ("\n" if tight else "\n\n") + block.text
            previous = block
    return text.strip("\n")


def table(rows: list[tuple[str, ...]]) -> str:
    """A table whose first row is its head, as wide as the widest row; other rows end with their last text."""
    head, *body = rows
    width = max(map(len, rows))
    lines = [_row([*head, *[""] * (width - len(head))]), "|" + " --- |" * width]
    return "\n".join(lines + [_row(cells[: _last_text(cells)]) for cells in body])


def _last_text(cells: Sequence[str]) -> int:
    return max((number for number, cell in enumerate(cells, 1) if cell), default=1)


def _row(cells: Iterable[str]) -> str:
    return "|" + "".join(f" {cell.replace('|', chr(92) + '|')} |" for cell in cells)
