"""The JSON Schema of a Python annotation. Checking and typing by a schema is `sansi.text.schema`'s."""

from __future__ import annotations

import types
import typing
from typing import Any

from sansi.base import SansiError

Schema = dict[str, Any]

_JSON_NAMES = {str: "string", int: "integer", float: "number", bool: "boolean", list: "array", dict: "object"}


def schema_of(hint: Any, where: str) -> Schema:
    """The schema of a Python annotation. Raises SansiError, which names `where`, for one that JSON can not carry."""
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if hint is Any:
        return {}
    if hint in (None, type(None)):
        return {"type": "null"}
    if origin is typing.Literal and all(isinstance(member, str | int | None) for member in arguments):
        return {"enum": list(arguments)}
    if origin in (typing.Union, types.UnionType):
        return {"anyOf": [schema_of(option, where) for option in arguments]}
    if origin is list:
        return {"type": "array", "items": schema_of(arguments[0], where)}
    if origin is dict and arguments[0] is str:
        return {"type": "object", "additionalProperties": schema_of(arguments[1], where)}
    if isinstance(hint, type) and hint in _JSON_NAMES:
        return {"type": _JSON_NAMES[hint]}
    raise SansiError(
        f"{where}: {getattr(hint, '__name__', hint)!s} has no JSON form here; use str, int, float, bool, None, "
        "list[...], dict[str, ...], Literal[...], Any or a union of them"
    )
