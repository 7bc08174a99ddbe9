"""Tables of tbl(1) in man pages: their rows as text, the cells parted by |."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence


def table_rows(lines: Sequence[str], shown: Callable[[str], str]) -> list[str]:
    """The rows of what stands between .TS and .TE. `shown` resolves the escapes of a cell."""
    options = ""
    body = list(lines)
    if body and body[0].rstrip().endswith(";"):
        options = body.pop(0)
    tab = re.search(r"tab\s*\(\s*(.)\s*\)", options)
    separator = tab[1] if tab else "\t"
    rows: list[str] = []
    cells: list[str] = []
    block: list[str] | None = None  # the lines of a cell in T{ T}
    formatting = True
    for line in body:
        if formatting:
            formatting = not line.rstrip().endswith(".")
        elif block is not None:
            if line.startswith("T}"):
                cells.append(" ".join(block))
                block = None
                rest = line[2:].removeprefix(separator)
                if line[2:3] == separator:
                    block = _cells(rest, separator, cells)
                if block is None:
                    _end(rows, cells, shown)
            elif not re.match(r"[.']\s*(?:br|sp|ft|ad|na|nh|hy|ll|in|RS|RE|nf|fi)\b|[.']\s*\\\"", line):
                block.append(re.sub(r"^[.'](?:B|I|BR|BI|IR|IB|RB|RI|SM|SB|R)\s+", "", line))
        elif re.match(r"\.\s*T&", line):
            formatting = True
        elif not re.match(r"[.'](?:\\\"|\s*[a-zA-Z]{1,3}\b)|[_=]+\s*$", line):
            block = _cells(line, separator, cells)
            if block is None:
                _end(rows, cells, shown)
    return rows


def _cells(line: str, separator: str, cells: list[str]) -> list[str] | None:
    """Add the cells of a line; an empty block when the last of them goes on in the next lines."""
    parts = line.split(separator)
    opens = parts[-1].strip() == "T{"
    cells.extend(parts[:-1] if opens else parts)
    return [] if opens else None


def _end(rows: list[str], cells: list[str], shown: Callable[[str], str]) -> None:
    texts = ["" if cell.strip() in ("\\^", "_", "=", "\\_") else " ".join(shown(cell).split()) for cell in cells]
    cells.clear()
    if any(texts):
        rows.append(" | ".join(texts).strip())
