"""The part of JSON Schema that tools use: made from annotations, and checked and typed against.

Models often write a value in the wrong JSON type (`"3"` for 3). Where the schema leaves one reading, the value is
converted; everything else is a problem, and all problems of a call are reported together, for the model to mend.
"""

from __future__ import annotations

import json
import math
import types
import typing
from collections.abc import Mapping
from typing import Any

from sansi.base import SansiError
from sansi.base.errors import did_you_mean
from sansi.base.strict_json import parse_json

Schema = dict[str, Any]

CHECKED = ("type", "enum", "anyOf", "items", "properties", "required", "additionalProperties")
NOTES = ("title", "description", "default")
_JSON_NAMES = {str: "string", int: "integer", float: "number", bool: "boolean", list: "array", dict: "object"}
_PYTHON_TYPES = {name: python for python, name in _JSON_NAMES.items()}


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


def check_schema(schema: Any, where: str) -> None:
    """Raise SansiError if `schema` uses a keyword or a type that `conform` would not check."""
    if not isinstance(schema, Mapping):
        raise SansiError(f"{where}: a schema must be a mapping, not {schema!r}")
    for key in schema:
        if key not in CHECKED + NOTES:
            raise SansiError(f'{where}: schema keyword "{key}" is not supported{did_you_mean(key, CHECKED + NOTES)}')
    kind = schema.get("type", "null")
    if not isinstance(kind, str) or (kind != "null" and kind not in _PYTHON_TYPES):
        raise SansiError(f"{where}: unknown schema type {kind!r}{did_you_mean(str(kind), ['null', *_PYTHON_TYPES])}")
    for name, inner in schema.get("properties", {}).items():
        check_schema(inner, f"{where}.{name}")
    for option in schema.get("anyOf", []):
        check_schema(option, where)
    for key in ("items", "additionalProperties"):
        if not isinstance(schema.get(key, True), bool):
            check_schema(schema[key], f"{where}.{key}")


def parse_arguments(text: str) -> dict[str, Any]:
    """The object that a tool call's argument text holds. Raises SansiError when it is malformed; "" is no arguments."""
    try:
        value = parse_json(text or "{}")
    except ValueError as error:
        reason = f"the arguments are not valid JSON ({error}); write one JSON object, not {_shown(text, 200)}"
        raise SansiError(reason) from error
    if not isinstance(value, dict):
        raise SansiError(f"the arguments must be one JSON object, not {_shown(value)}")
    return value


def conform(schema: Schema, value: Any, where: str = "arguments") -> Any:
    """`value` typed by `schema`. Raises SansiError that lists every argument that does not fit."""
    problems: list[str] = []
    typed = _conform(schema, value, "", problems, lenient=True)
    if problems:
        raise SansiError(f"{where}: " + "; ".join(problems))
    return typed


def _conform(schema: Schema, value: Any, path: str, problems: list[str], lenient: bool) -> Any:
    if "anyOf" in schema:
        return _conform_any(schema["anyOf"], value, path, problems, lenient)
    if "enum" in schema:
        return _conform_enum(schema["enum"], value, path, problems, lenient)
    if "type" not in schema:
        return value
    kind = schema["type"]
    value = _convert(kind, value) if lenient else value
    if not _is(kind, value):
        problems.append(f"{_named(path)} must be {_article(kind)}, not {_shown(value)}")
        return value
    if kind == "number":
        return float(value)
    if kind == "array" and "items" in schema:
        items = (_conform(schema["items"], v, f"{path}[{i}]", problems, lenient) for i, v in enumerate(value))
        return list(items)
    return _conform_object(schema, value, path, problems, lenient) if kind == "object" else value


def _conform_any(options: list[Schema], value: Any, path: str, problems: list[str], lenient: bool) -> Any:
    """The first option that fits as written; only then the first that fits after a conversion."""
    for convert in (False, True) if lenient else (False,):
        for option in options:
            found: list[str] = []
            typed = _conform(option, value, path, found, convert)
            if not found:
                return typed
    wanted = ", or ".join(
        _article(option["type"]) if "type" in option else f"one of {_shown(option.get('enum'))}" for option in options
    )
    problems.append(f"{_named(path)} must be {wanted}, not {_shown(value)}")
    return value


def _conform_enum(members: list[Any], value: Any, path: str, problems: list[str], lenient: bool) -> Any:
    for member in members:  # True == 1 in Python, not in JSON
        if (type(member), member) == (type(value), value) or (lenient and _spelled(member) == _spelled(value)):
            return member
    problems.append(f"{_named(path)} is {_shown(value)}{did_you_mean(_spelled(value), map(_spelled, members))}")
    return value


def _conform_object(schema: Schema, value: dict[str, Any], path: str, problems: list[str], lenient: bool) -> Any:
    known, rest = schema.get("properties", {}), schema.get("additionalProperties", True)
    typed = {}
    for key, item in value.items():
        inner_path = f"{path}.{key}" if path else key
        if key in known:
            typed[key] = _conform(known[key], item, inner_path, problems, lenient)
        elif rest is False:
            nearest = did_you_mean(key, known) if known else "; none is expected"
            problems.append(f'unknown argument "{inner_path}"{nearest}')
        else:
            typed[key] = item if rest is True else _conform(rest, item, inner_path, problems, lenient)
    missing = [key for key in schema.get("required", []) if key not in value]
    problems.extend(f'"{path}.{key}" is missing' if path else f'"{key}" is missing' for key in missing)
    return typed


def _is(kind: str, value: Any) -> bool:
    if kind == "null":
        return value is None
    if isinstance(value, bool):
        return kind == "boolean"
    if kind == "number":
        return isinstance(value, int | float) and _finite(value)
    return isinstance(value, _PYTHON_TYPES[kind])


def _convert(kind: str, value: Any) -> Any:
    """`value` in the JSON type `kind` where there is one reading of it, else `value` as it was."""
    if _is(kind, value):
        return value
    if kind == "string" and isinstance(value, bool | int | float):
        return json.dumps(value)
    if kind == "integer" and isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, str) and kind != "null":
        read = _read_json(value.lower() if kind == "boolean" else value)
        if kind == "integer" and isinstance(read, float) and read.is_integer():
            return int(read)
        return read if _is(kind, read) else value
    return value


def _read_json(text: str) -> Any:
    try:
        return parse_json(text)
    except ValueError:
        return None


def _finite(value: float) -> bool:
    try:
        return math.isfinite(value)
    except OverflowError:  # an integer beyond any float
        return False


def _spelled(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, default=repr)


def _shown(value: Any, limit: int = 80) -> str:
    text = json.dumps(value, ensure_ascii=False, default=repr)
    return text if len(text) <= limit else text[:limit] + "…"


def _named(path: str) -> str:
    return f'"{path}"' if path else "the value"


def _article(kind: str) -> str:
    return "null" if kind == "null" else f"{'an' if kind[0] in 'aio' else 'a'} {kind}"
