"""What mkdocs leaves out of the pages for users: the last column of tables that names the test of each row."""

from __future__ import annotations

import re
from typing import Any

HEADER = re.compile(r"^\|(?:[^|\n]*\|)+ test \|$")
CELLS = re.compile(r"(?<!\\)\|")


def on_page_markdown(markdown: str, page: Any, **_: Any) -> str:
    """A page without the columns that are called "test"; the promises are told with them."""
    if page.file.src_path == "promises.md":
        return markdown
    lines, inside = [], False
    for line in markdown.split("\n"):
        inside = bool(HEADER.match(line)) or (inside and line.startswith("|"))
        lines.append(without_last_cell(line) if inside else line)
    return "\n".join(lines)


def without_last_cell(row: str) -> str:
    """A table row of one cell less; a bar in code or after a backslash is no border, as Markdown has it."""
    borders = [found.start() for found in CELLS.finditer(re.sub(r"`[^`]*`", lambda c: "x" * len(c[0]), row))]
    return row[: borders[-2] + 1]
