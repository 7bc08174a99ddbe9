"""Kinds of values that a request's fields may have: each checks a value, and says the same as a JSON schema.

What would change the answer is applied, or refused by name. What would not is accepted and named as ignored; a strict
server refuses that too. A few fields ask for what happens anyway, and nothing is said of them.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from sansi.base.errors import SansiError, did_you_mean, nearest
from sansi.base.shown import cut, show

MAX_NAMED = 5  # unknown fields that an error names
MAX_IGNORED = 32  # ignored fields that an answer names
WHOLE_FLOATS = 2**53  # up to here a float holds every whole number


@dataclass
class Reading:
    """One body while it is read: how strictly, and what of it was ignored."""

    strict: bool = False
    """Refuse what could be ignored."""
    ignored: list[str] = field(default_factory=list)

    def ignore(self, name: str) -> None:
        if name not in self.ignored and len(self.ignored) < MAX_IGNORED:
            self.ignored.append(cut(name))

    def ignore_or_refuse(self, name: str, noted: str | None = None) -> None:
        """Note what changes nothing; a strict server refuses it: SansiError. `noted`: its name in the answer."""
        if self.strict:
            raise SansiError(f'"{name}" changes nothing here; leave it out', param=name)
        self.ignore(noted or name)


# (value, name of the field, the reading) -> the value, or SansiError that names the field
Check = Callable[[Any, str, Reading], Any]


@dataclass(frozen=True)
class Kind:
    """What a value may be."""

    check: Check
    schema: Mapping[str, Any]
    lax_schema: Mapping[str, Any] | None = None
    """The schema of a server that is not strict, where it is another."""

    def schema_for(self, strict: bool) -> Mapping[str, Any]:
        return self.schema if strict or self.lax_schema is None else self.lax_schema


Use = Literal["applied", "ignored", "silent", "refused"]


@dataclass(frozen=True)
class Field:
    """One field of a request."""

    kind: Kind
    about: str
    """What it means, in a line; for the API's document."""
    use: Use = "applied"
    """What becomes of it. "ignored" and "silent": a value that `kind` does not take changes nothing either, and is
    named in the answer, or not even that; a strict server refuses it. "refused": there is no value of any use."""


def read_fields(
    body: Mapping[str, Any], fields: Mapping[str, Field], required: Sequence[str], reading: Reading, where: str = ""
) -> dict[str, Any]:
    """The checked values of a body. A null means "not given", as in OpenAI's API. Raises SansiError with `param`.

    where: the field whose value this is, if it is not the body.
    """
    values: dict[str, Any] = {}
    for name, value in body.items():
        if value is None:
            continue
        found = fields.get(name)
        if found is None:
            raise unknown_fields([key for key in body if key not in fields and body[key] is not None], fields, where)
        try:
            values[name] = found.kind.check(value, name, reading)
        except SansiError:
            if reading.strict or found.use not in ("ignored", "silent"):
                raise
            if found.use == "ignored":
                reading.ignore(name)
    for name in required:
        if name not in values:
            raise SansiError(f'"{name}" is required', param=name)
    return values


def note_unread(item: Mapping[str, Any], read: Sequence[str], where: str, what: str, reading: Reading) -> None:
    """Name the keys of an item that are not read: it stands at `where`, and is called `what` in the answer."""
    for key, value in item.items():
        if key not in read and value is not None:
            reading.ignore_or_refuse(f"{where}.{cut(key)}", f"{what}.{cut(key)}")


def unknown_fields(names: Sequence[str], known: Mapping[str, Any], where: str = "") -> SansiError:
    """The error for fields that no table has: nobody can say whether the answer would be another with them."""
    shown = ", ".join(map(show, names[:MAX_NAMED])) + (", …" if len(names) > MAX_NAMED else "")
    near = nearest(names[0], known)
    hint = f'did you mean "{near}"?' if near else "GET /openapi.json has those that are; leave out the others"
    param = f"{where}.{cut(names[0])}" if where else cut(names[0])
    return SansiError(f"not a field of {where or 'this request'}: {shown}; {hint}", param=param)


def schema_of(fields: Mapping[str, Field], required: Sequence[str], strict: bool = False) -> dict[str, Any]:
    """The JSON schema of a body with these fields."""
    properties = {}
    for name, one in fields.items():
        free = one.use in ("ignored", "silent") and not strict
        schema = {} if free else dict(one.kind.schema_for(strict))
        if not free and name not in required:
            schema = {"anyOf": [schema, {"type": "null"}]} if schema else {"type": "null"}
        properties[name] = {**schema, "description": one.about}
    return {"type": "object", "properties": properties, "required": list(required), "additionalProperties": False}


# --- kinds -----------------------------------------------------------------------------------------------------------


def number(low: float, high: float, *, above: bool = False) -> Kind:
    """A finite number in [low, high], or (low, high] with `above`."""

    def check(value: Any, name: str, reading: Reading) -> float:
        ok = isinstance(value, int | float) and not isinstance(value, bool)
        if not ok or not (low < value if above else low <= value) or value > high:  # an infinity fails here too
            bounds = f"{'above' if above else 'from'} {low:g} {'and at most' if above else 'to'} {high:g}"
            raise SansiError(f'"{name}" must be a number {bounds}, not {show(value)}', param=name)
        return float(value)

    return Kind(check, {"type": "number", "exclusiveMinimum" if above else "minimum": low, "maximum": high})


def integer(low: int, high: int | None = None) -> Kind:
    """A whole number. 20.0 is one, as JSON Schema has it: some languages write all numbers so."""

    def check(value: Any, name: str, reading: Reading) -> int:
        whole = int(value) if isinstance(value, float) and value.is_integer() and abs(value) <= WHOLE_FLOATS else value
        if isinstance(whole, bool) or not isinstance(whole, int) or whole < low or (high is not None and whole > high):
            bounds = f"of at least {low}" if high is None else f"from {low} to {high}"
            raise SansiError(f'"{name}" must be a whole number {bounds}, not {show(value)}', param=name)
        return whole

    schema = {"type": "integer", "minimum": low}
    return Kind(check, schema if high is None else schema | {"maximum": high})


def of_type(expected: type, **schema: Any) -> Kind:
    """Any value of a JSON type: what may be in it is known to whoever reads it."""

    def check(value: Any, name: str, reading: Reading) -> Any:
        if not isinstance(value, expected):
            raise SansiError(f'"{name}" must be {KINDS[expected]}, not {show(value)}', param=name)
        return value

    return Kind(check, {"type": JSON_TYPES[expected], **schema})


def by_type(what: str, kinds: Mapping[type, Kind]) -> Kind:
    """A value of one of several JSON types, each with a kind of its own; `what`: what it may be, in words."""

    def check(value: Any, name: str, reading: Reading) -> Any:
        kind = next((kind for expected, kind in kinds.items() if isinstance(value, expected)), None)
        if kind is None:
            raise SansiError(f'"{name}" must be {what}, not {show(value)}', param=name)
        return kind.check(value, name, reading)

    strict, lax = ([dict(kind.schema_for(how)) for kind in kinds.values()] for how in (True, False))
    return Kind(check, {"anyOf": strict}, None if lax == strict else {"anyOf": lax})


def choice(*known: str) -> Kind:
    def check(value: Any, name: str, reading: Reading) -> str:
        if value not in known:
            near = did_you_mean(value if isinstance(value, str) else "", known)
            raise SansiError(f'"{name}" is {show(value)}{near}', param=name)
        return value

    return Kind(check, {"enum": list(known)})


def text(most: int, least: int = 0) -> Kind:
    """A string of a bounded length, in code points."""

    def check(value: Any, name: str, reading: Reading) -> str:
        if isinstance(value, str) and not least <= len(value) <= most:
            bounds = f"{least} to {most}" if least else f"at most {most}"
            raise SansiError(f'"{name}" must have {bounds} characters, not {len(value)}', param=name)
        return of_type(str).check(value, name, reading)

    return Kind(check, {"type": "string", "maxLength": most} | ({"minLength": least} if least else {}))


def array(item: Kind, least: int = 0, most: int | None = None) -> Kind:
    def check(value: Any, name: str, reading: Reading) -> list[Any]:
        length = len(of_type(list).check(value, name, reading))
        if length < least or (most is not None and length > most):
            bounds = f"at least {least}" if most is None else f"{least} to {most}"
            raise SansiError(f'"{name}" must have {bounds} elements, not {length}', param=name)
        return [item.check(element, f"{name}[{i}]", reading) for i, element in enumerate(value)]

    schema = {"type": "array", "items": dict(item.schema), "minItems": least}
    return Kind(check, schema if most is None else schema | {"maxItems": most})


def record(*required: str, open_: bool = False, **kinds: Kind) -> Kind:
    """An object that has no other keys than these; with `open_` others are ignored by name.

    Null means "not given", which those that are required must be.
    """

    def check(value: Any, name: str, reading: Reading) -> dict[str, Any]:
        given = of_type(dict).check(value, name, reading)
        values = {}
        for key, found in given.items():
            if key in kinds:
                if found is not None:
                    values[key] = kinds[key].check(found, f"{name}.{key}", reading)
            elif open_ and not reading.strict:
                reading.ignore(f"{name}.{key}")
            else:
                where = f"{name}.{cut(key)}"
                raise SansiError(f'"{where}" is not supported{did_you_mean(key, kinds)}', param=where)
        for key in required:
            if given.get(key) is None:
                raise SansiError(f'"{name}.{key}" is required', param=f"{name}.{key}")
        return values

    properties = {
        key: dict(kind.schema) if key in required else {"anyOf": [dict(kind.schema), {"type": "null"}]}
        for key, kind in kinds.items()
    }
    more = {"required": list(required)} if required else {}
    schema = {"type": "object", "properties": properties, "additionalProperties": False, **more}
    return Kind(check, schema, schema | {"additionalProperties": True} if open_ else None)


def only(*supported: Any, instead: str = "") -> Kind:
    """A field that may only say what this server does anyway; any other value is refused. `instead`: what to do."""

    def check(value: Any, name: str, reading: Reading) -> Any:
        if not any(value == one and type(value) is type(one) for one in supported):
            shown = " or ".join(dict.fromkeys(json.dumps(one).removesuffix(".0") for one in supported))
            hint = f"; {instead}" if instead else ""
            if not supported:
                raise SansiError(f'"{name}" is not supported{hint}', param=name)
            raise SansiError(f'"{name}" is supported only as {shown}, not {show(value)}{hint}', param=name)
        return value

    return Kind(check, {"enum": list(supported)} if supported else {})


# --- words -----------------------------------------------------------------------------------------------------------

KINDS = {bool: "true or false", str: "a string", list: "an array", dict: "an object"}
JSON_TYPES = {bool: "boolean", str: "string", list: "array", dict: "object"}
