"""JSON as its standard has it, for text that a user or a model wrote."""

from __future__ import annotations

import json
from typing import Any


def parse_json(text: str | bytes) -> Any:
    """The value of JSON text. Raises ValueError for all else: NaN, nesting too deep, numbers of thousands of digits."""
    try:
        return json.loads(text, parse_constant=refuse_constant)
    except RecursionError as error:
        raise ValueError("it is nested too deeply") from error


def refuse_constant(name: str) -> Any:
    """`parse_constant` of a strict decoder: Python's reads NaN and Infinity, which are not JSON."""
    raise ValueError(f"{name} is not JSON")
