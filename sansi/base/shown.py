"""How an error quotes what was given: as JSON writes it, and never more than a line."""

from __future__ import annotations

import json
import reprlib
from typing import Any

MAX_SHOWN = 40  # characters of a value
MAX_KEY = 64  # and of a key

_ENCODER = json.JSONEncoder(ensure_ascii=False, allow_nan=False)


def show(value: Any, most: int = MAX_SHOWN) -> str:
    """The value in JSON, or its beginning; what JSON can not say as Python writes it.

    What is not shown is not written either, as it may be megabytes.
    """
    text = ""
    try:
        for part in _ENCODER.iterencode(value[: most + 1] if isinstance(value, str) else value):
            text += part
            if len(text) > most:
                return text[: most - 1] + "…"
    except (TypeError, ValueError, RecursionError):
        return reprlib.repr(value)
    return text


def cut(key: str) -> str:
    """A key that may be of any length, as an error names it."""
    return key if len(key) <= MAX_KEY else key[: MAX_KEY - 1] + "…"
