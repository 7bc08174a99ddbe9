"""JSON as its standard has it, for text that a user or a model wrote."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

MAX_DIGITS = 4000  # Python itself refuses more than 4,300


def parse_json(
    text: str | bytes,
    unique_keys: bool = False,
    *,
    object_of: Callable[[list[tuple[str, Any]]], Any] | None = None,
) -> Any:
    """The value of JSON text. Raises ValueError for all else: NaN, nesting too deep, numbers of thousands of digits.

    unique_keys: also for an object that has a key twice, of which the last would win. object_of: makes an object of its
    members, in the place of a dictionary.
    """
    pairs = object_of or (_unique if unique_keys else None)
    try:
        return json.loads(text, parse_constant=refuse_constant, parse_int=_whole_number, object_pairs_hook=pairs)
    except (ValueError, RecursionError) as error:
        raise ValueError(json_fault(error)) from error


def json_fault(error: Exception) -> str:
    """What a decoder of JSON, or of its UTF-8, found wrong: which character is, and why, not what Python calls it."""
    if isinstance(error, json.JSONDecodeError):
        known = next((said for begin, said in _FAULTS.items() if error.msg.startswith(begin)), "it can not be read on")
        line = f"line {error.lineno}, " if "\n" in error.doc else ""
        return f"{known} at {line}character {error.colno}"
    if isinstance(error, UnicodeDecodeError):
        return f"byte {error.start} begins no character of UTF-8"
    if isinstance(error, UnicodeEncodeError):
        return "it holds half of a surrogate pair"
    return "it is nested too deeply" if isinstance(error, RecursionError) else str(error)


_FAULTS = {
    "Expecting value": "a value is missing",
    "Expecting property name": "a key in double quotation marks is missing",
    "Expecting ':'": "a colon is missing",
    "Expecting ','": "a comma or a closing bracket is missing",
    "Illegal trailing comma": "a comma stands before a closing bracket",
    "Extra data": "the value has ended, but text follows",
    "Unterminated string": "a string has no end that begins",
    "Invalid control character": "a string holds a line break or another control character",
    "Invalid \\": "a string holds a backslash that begins no escape",
    "Unexpected UTF-8 BOM": "a byte order mark stands",
}


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
