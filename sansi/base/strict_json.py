"""JSON as its standard has it, for text that a user or a model wrote."""

from __future__ import annotations

import json
from typing import Any

MAX_DIGITS = 4000  # Python itself refuses more than 4,300


def parse_json(text: str | bytes, unique_keys: bool = False) -> Any:
    """The value of JSON text. Raises ValueError for all else: NaN, nesting too deep, numbers of thousands of digits.

    unique_keys: also for an object that has a key twice, of which the last would win.
    """
    pairs = _unique if unique_keys else None
    try:
        return json.loads(text, parse_constant=refuse_constant, parse_int=_whole_number, object_pairs_hook=pairs)
    except RecursionError as error:
        raise ValueError("it is nested too deeply") from error


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        seen: set[str] = set()
        twice = next(key for key, _ in pairs if key in seen or seen.add(key))  # type: ignore[func-returns-value]
        raise ValueError(f'an object has the key "{twice:.64}" twice')
    return found


def _whole_number(digits: str) -> int:
    if len(digits) > MAX_DIGITS:
        raise ValueError(f"it holds a number of {len(digits)} digits; at most {MAX_DIGITS} can be read")
    return int(digits)


def refuse_constant(name: str) -> Any:
    """`parse_constant` of a strict decoder: Python's reads NaN and Infinity, which are not JSON."""
    raise ValueError(f"{name} is not JSON")
