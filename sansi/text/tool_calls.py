"""The JSON inside a tool call: where its strings are while it streams in, and what it says once it is whole."""

from __future__ import annotations

import json
import re
from typing import Any

from sansi.base.strict_json import refuse_constant

_SPACE = re.compile(r"[ \t\r\n]*")


class StringScanner:
    """Knows whether JSON text, fed in any pieces, stands inside a string, where a closing tag closes nothing."""

    def __init__(self) -> None:
        self.in_string = False
        self._escaped = False

    def feed(self, text: str) -> None:
        for char in text:
            if self._escaped:
                self._escaped = False
            elif char == '"':
                self.in_string = not self.in_string
            elif char == "\\" and self.in_string:
                self._escaped = True


def read_call(text: str) -> tuple[str, str] | None:
    """(name, arguments) of `{"name": "...", "arguments": {...}}`, or None for anything else.

    The arguments are the characters that the model wrote, not a copy made from their values, so that the call reads
    the same when it comes back in the next prompt.
    """
    try:
        members = _members(text)
    except (ValueError, IndexError, RecursionError):
        return None
    name, arguments = members.get("name", ("", "")), members.get("arguments", ({}, "{}"))
    known = members.keys() <= {"name", "arguments"}
    if not known or not isinstance(name[0], str) or not name[0].strip() or not isinstance(arguments[0], dict):
        return None
    return name[0], arguments[1]


def _members(text: str) -> dict[str, tuple[Any, str]]:
    """Key → (value, the value as written) of the one JSON object in `text`. Raises ValueError for other text."""
    members: dict[str, tuple[Any, str]] = {}
    at = _expect(text, _skip(text, 0), "{")
    while text[at] != "}":
        if members:
            at = _expect(text, at, ",")
        key, end = _DECODER.raw_decode(text, at)
        start = _expect(text, _skip(text, end), ":")
        value, end = _DECODER.raw_decode(text, start)
        if not isinstance(key, str) or key in members:
            raise ValueError(f"key {key!r} is no text or stands twice")
        str(key).encode()
        if isinstance(value, str):
            value.encode()  # raises for half a surrogate pair
        members[key] = value, text[start:end]
        at = _skip(text, end)
    if _skip(text, at + 1) != len(text):
        raise ValueError("text after the object")
    return members


def _expect(text: str, at: int, char: str) -> int:
    if text[at] != char:
        raise ValueError(f"expected {char!r} at {at}")
    return _skip(text, at + 1)


def _skip(text: str, at: int) -> int:
    found = _SPACE.match(text, at)
    return found.end() if found else at


_DECODER = json.JSONDecoder(parse_constant=refuse_constant)
