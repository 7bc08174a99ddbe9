"""Kinds of values that a request's fields may have: each checks a value, and says the same as a JSON schema."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sansi.base.errors import SansiError, did_you_mean

MAX_NAMED = 5  # unknown fields that an error names
MAX_SHOWN = 40  # characters of a value that an error shows
MAX_KEY = 64  # and of a key

Check = Callable[[Any, str], Any]  # (value, name of the field) -> the value, or SansiError that names the field


@dataclass(frozen=True)
class Kind:
    """What a value may be."""

    check: Check
    schema: Mapping[str, Any]


@dataclass(frozen=True)
class Field:
    """One field of a request."""

    kind: Kind
    about: str
    """What it means, in a line; for the API's document."""


def read_fields(body: Mapping[str, Any], fields: Mapping[str, Field], required: Sequence[str]) -> dict[str, Any]:
    """The checked values of a body. A null means "not given", as in OpenAI's API. Raises SansiError with `param`."""
    given = {name: value for name, value in body.items() if value is not None}
    if unknown := [name for name in given if name not in fields]:
        names = ", ".join(map(show, unknown[:MAX_NAMED])) + (", …" if len(unknown) > MAX_NAMED else "")
        raise SansiError(f"not supported: {names}{did_you_mean(unknown[0], fields)}", param=cut(unknown[0]))
    values = {name: field.kind.check(given[name], name) for name, field in fields.items() if name in given}
    for name in required:
        if name not in values:
            raise SansiError(f'"{name}" is required', param=name)
    return values


def schema_of(fields: Mapping[str, Field], required: Sequence[str]) -> dict[str, Any]:
    """The JSON schema of a body with these fields."""
    properties = {}
    for name, field in fields.items():
        schema = dict(field.kind.schema)
        if name not in required:
            schema = {"anyOf": [schema, {"type": "null"}]} if schema else {"type": "null"}
        properties[name] = {**schema, "description": field.about}
    return {"type": "object", "properties": properties, "required": list(required), "additionalProperties": False}


# --- kinds -----------------------------------------------------------------------------------------------------------


def number(low: float, high: float, *, above: bool = False) -> Kind:
    """A finite number in [low, high], or (low, high] with `above`."""

    def check(value: Any, name: str) -> float:
        ok = isinstance(value, int | float) and not isinstance(value, bool)
        if not ok or not (low < value if above else low <= value) or value > high:  # an infinity fails here too
            bounds = f"{'above' if above else 'from'} {low:g} {'and at most' if above else 'to'} {high:g}"
            raise SansiError(f'"{name}" must be a number {bounds}, not {show(value)}', param=name)
        return float(value)

    return Kind(check, {"type": "number", "exclusiveMinimum" if above else "minimum": low, "maximum": high})


def integer(low: int, high: int | None = None) -> Kind:
    def check(value: Any, name: str) -> int:
        whole = isinstance(value, int) and not isinstance(value, bool)
        if not whole or value < low or (high is not None and value > high):
            bounds = f"of at least {low}" if high is None else f"from {low} to {high}"
            raise SansiError(f'"{name}" must be a whole number {bounds}, not {show(value)}', param=name)
        return value

    schema = {"type": "integer", "minimum": low}
    return Kind(check, schema if high is None else schema | {"maximum": high})


def of_type(expected: type, **schema: Any) -> Kind:
    """Any value of a JSON type: what may be in it is known to whoever reads it."""

    def check(value: Any, name: str) -> Any:
        if not isinstance(value, expected):
            raise SansiError(f'"{name}" must be {KINDS[expected]}, not {_kind(value)}', param=name)
        return value

    return Kind(check, {"type": JSON_TYPES[expected], **schema})


def choice(*known: str) -> Kind:
    def check(value: Any, name: str) -> str:
        if value not in known:
            near = did_you_mean(value if isinstance(value, str) else "", known)
            raise SansiError(f'"{name}" is {show(value)}{near}', param=name)
        return value

    return Kind(check, {"enum": list(known)})


def text(most: int, least: int = 0) -> Kind:
    """A string of a bounded length, in code points."""

    def check(value: Any, name: str) -> str:
        if isinstance(value, str) and not least <= len(value) <= most:
            bounds = f"{least} to {most}" if least else f"at most {most}"
            raise SansiError(f'"{name}" must have {bounds} characters, not {len(value)}', param=name)
        return of_type(str).check(value, name)

    return Kind(check, {"type": "string", "maxLength": most} | ({"minLength": least} if least else {}))


def array(item: Kind, least: int = 0, most: int | None = None) -> Kind:
    def check(value: Any, name: str) -> list[Any]:
        length = len(of_type(list).check(value, name))
        if length < least or (most is not None and length > most):
            bounds = f"at least {least}" if most is None else f"{least} to {most}"
            raise SansiError(f'"{name}" must have {bounds} elements, not {length}', param=name)
        return [item.check(element, f"{name}[{i}]") for i, element in enumerate(value)]

    schema = {"type": "array", "items": dict(item.schema), "minItems": least}
    return Kind(check, schema if most is None else schema | {"maxItems": most})


def record(*required: str, **kinds: Kind) -> Kind:
    """An object that has no other keys than these. Null means "not given", which those that are required must be."""

    def check(value: Any, name: str) -> dict[str, Any]:
        given = of_type(dict).check(value, name)
        for key in given:
            if key not in kinds:
                where = f"{name}.{cut(key)}"
                raise SansiError(f'"{where}" is not supported{did_you_mean(key, kinds)}', param=where)
        found = {key: v for key, v in given.items() if v is not None}
        values = {key: kinds[key].check(v, f"{name}.{key}") for key, v in found.items()}
        for key in required:
            if key not in found:
                raise SansiError(f'"{name}.{key}" is required', param=f"{name}.{key}")
        return values

    properties = {
        key: dict(kind.schema) if key in required else {"anyOf": [dict(kind.schema), {"type": "null"}]}
        for key, kind in kinds.items()
    }
    more = {"required": list(required)} if required else {}
    return Kind(check, {"type": "object", "properties": properties, "additionalProperties": False, **more})


def only(*supported: Any, instead: str = "") -> Kind:
    """A field that may only say what this server does anyway; any other value is refused. `instead`: what to do."""

    def check(value: Any, name: str) -> Any:
        if not any(value == one and type(value) is type(one) for one in supported):
            shown = " or ".join(json.dumps(one) for one in supported)
            hint = f"; {instead}" if instead else ""
            if not supported:
                raise SansiError(f'"{name}" is not supported{hint}', param=name)
            raise SansiError(f'"{name}" is supported only as {shown}, not {show(value)}{hint}', param=name)
        return value

    return Kind(check, {"enum": list(supported)} if supported else {})


# --- words -----------------------------------------------------------------------------------------------------------

KINDS = {bool: "true or false", str: "a string", list: "an array", dict: "an object", type(None): "null"}
JSON_TYPES = {bool: "boolean", str: "string", list: "array", dict: "object"}


def _kind(value: Any) -> str:
    return KINDS.get(type(value), "a number")


def show(value: Any) -> str:
    """The value in JSON, or its beginning; what is not shown is not written either, as it may be megabytes."""
    shown = ""
    for part in _ENCODER.iterencode(value[: MAX_SHOWN + 1] if isinstance(value, str) else value):
        shown += part
        if len(shown) > MAX_SHOWN:
            return shown[: MAX_SHOWN - 1] + "…"
    return shown


def cut(key: str) -> str:
    """A key that may be of any length, as an error names it."""
    return key if len(key) <= MAX_KEY else key[: MAX_KEY - 1] + "…"


_ENCODER = json.JSONEncoder(ensure_ascii=False)
