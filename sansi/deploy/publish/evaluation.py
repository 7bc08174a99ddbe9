"""A table of results for a model card, from a file that an evaluation left."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from sansi.base.errors import SansiError
from sansi.base.files import WRITTEN, read_json

MOST_ROWS, MOST_COLUMNS = 100, 12
Row = Mapping[str, Any]


def evaluation_table(file: Path) -> str:
    """Markdown of a budget curve (`sansi eval budget-curve`), or of a list of objects with the same keys.

    A list may stand under "results". Raises SansiError for any other file.
    """
    value = read_json(file, WRITTEN)
    if isinstance(value, dict) and isinstance(value.get("points"), list):
        return _table(_curve(value["points"], file))
    rows = value.get("results") if isinstance(value, dict) else value
    if not isinstance(rows, list) or not rows or not all(isinstance(row, dict) and row for row in rows):
        wanted = 'a budget curve ("points"), or a list of objects such as {"benchmark": "…", "accuracy": 0.5}'
        raise SansiError(f"{file}: no results that make a table; give {wanted}", param="evaluation")
    _check_rows(rows, file)
    return _table(rows)


def _curve(points: Sequence[Any], file: Path) -> list[Row]:
    try:
        return [
            {
                "Thinking budget": "none given" if point["budget"] is None else f"{point['budget']:,} tokens",
                "Accuracy": f"{point['score']['accuracy']:.1%}",
                "Standard error": _percent(point["score"].get("standard_error")),
                "Problems": point["score"].get("problems", ""),
            }
            for point in points
        ]
    except (KeyError, TypeError, ValueError) as error:
        raise SansiError(f"{file}: not a budget curve; write it anew with `sansi eval budget-curve`") from error


def _percent(share: float | None) -> str:
    return "" if share is None else f"{share:.1%}"


def _check_rows(rows: Sequence[Row], file: Path) -> None:
    columns = list(rows[0])
    if other := next((row for row in rows if list(row) != columns), None):
        raise SansiError(f"{file}: its rows differ: one has {', '.join(columns)}, another {', '.join(other)}; "
                         "give all the same keys", param="evaluation")  # fmt: skip
    if nested := next((key for row in rows for key, value in row.items() if isinstance(value, list | dict)), None):
        raise SansiError(f'{file}: "{nested}" holds more than a value, which no cell does; give plain values')
    if len(rows) > MOST_ROWS or len(columns) > MOST_COLUMNS:
        told = f"{len(rows)} rows of {len(columns)} columns"
        raise SansiError(f"{file}: {told} are too many for a card; {MOST_ROWS} of {MOST_COLUMNS} may")


def _table(rows: Sequence[Row]) -> str:
    columns = list(rows[0])
    head = [_line(columns), _line(["---"] * len(columns))]
    return "\n".join([*head, *(_line([_cell(row[key]) for key in columns]) for row in rows)])


def _line(cells: Sequence[object]) -> str:
    return f"| {' | '.join(str(cell) for cell in cells)} |"


def _cell(value: object) -> str:
    if isinstance(value, float):
        return f"{value:.4g}"
    return "" if value is None else str(value).replace("|", "\\|").replace("\n", " ")
