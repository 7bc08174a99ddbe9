"""The JSON Schema of Python annotations, and of a whole function. Checking by a schema is `sansi.text.schema`'s."""

from __future__ import annotations

import dataclasses
import enum
import inspect
import json
import re
import types
import typing
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from sansi.agents.context import ToolContext
from sansi.agents.values import COLLECTIONS, FORMATS, PATHS, typed_call
from sansi.base import SansiError

Schema = dict[str, Any]

DEEPEST = 20
"""Levels of keys; a class that holds itself has no end."""
_JSON_NAMES = {str: "string", int: "integer", float: "number", bool: "boolean", list: "array", dict: "object"}


def schema_of(hint: Any, where: str) -> Schema:
    """The schema of a Python annotation. Raises SansiError, which names `where`, for one that JSON can not carry."""
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if hint is Any:
        return {}
    if origin is typing.Annotated:
        notes = [note for note in arguments[1:] if isinstance(note, str)]
        return schema_of(arguments[0], where) | ({"description": " ".join(notes)} if notes else {})
    if typing.is_typeddict(hint) or (isinstance(hint, type) and dataclasses.is_dataclass(hint)):
        return _fields(hint, where)
    if isinstance(hint, type) and issubclass(hint, enum.Enum):
        return _members(hint, where)
    if origin in COLLECTIONS or hint in COLLECTIONS:
        return _collection(origin, arguments, where)
    if isinstance(hint, type) and (hint in FORMATS or hint in PATHS):
        return {"type": "string"} | ({"format": FORMATS[hint]} if hint in FORMATS else {})
    if hint in (None, type(None)):
        return {"type": "null"}
    if origin is typing.Literal and all(isinstance(member, str | int | bool | None) for member in arguments):
        return {"enum": list(arguments)}
    if origin in (typing.Union, types.UnionType):
        return {"anyOf": [schema_of(option, where) for option in arguments]}
    if origin in (list, Sequence):
        return {"type": "array", "items": schema_of(arguments[0], where)}
    if origin in (dict, Mapping) and arguments[0] is str:
        return {"type": "object", "additionalProperties": schema_of(arguments[1], where)}
    if isinstance(hint, type) and hint in _JSON_NAMES:
        return {"type": _JSON_NAMES[hint]}
    raise SansiError(
        f"{where}: {getattr(hint, '__name__', hint)!s} has no JSON form here; use str, int, float, bool, None, "
        "list[...], tuple[X, ...], set[...], dict[str, ...], Literal[...], an Enum, a dataclass, a TypedDict, date, "
        'datetime, time, Path, Annotated[..., "text"], Any or a union of them'
    )


def _collection(origin: Any, arguments: tuple[Any, ...], where: str) -> Schema:
    """Of items of one kind; those of a tuple[X, X] are counted."""
    kinds = [each for each in arguments if each is not ...]
    if not kinds:
        return {"type": "array"}
    if any(each != kinds[0] for each in kinds):
        raise SansiError(f"{where}: a tuple of different types has no JSON form here; use a dataclass or a TypedDict")
    counted = origin is tuple and ... not in arguments
    size = {"minItems": len(kinds), "maxItems": len(kinds)} if counted else {}
    return {"type": "array", "items": schema_of(kinds[0], where)} | size


def _members(hint: type[enum.Enum], where: str) -> Schema:
    values = [member.value for member in hint]
    if not values or not all(isinstance(value, str | int | bool | None) for value in values):
        raise SansiError(f"{where}: the members of {hint.__name__} must have values that are text or whole numbers")
    return {"enum": values}


def _fields(hint: Any, where: str) -> Schema:
    """Of a TypedDict or a dataclass."""
    if where.count(", key ") >= DEEPEST:
        raise SansiError(f"{where}: {hint.__name__} holds itself, or is too deep for a schema")
    hints = typing.get_type_hints(hint, include_extras=True)
    if dataclasses.is_dataclass(hint):
        made = [each for each in dataclasses.fields(hint) if each.init]
        free = {each.name for each in made if each.default is not dataclasses.MISSING}
        free |= {each.name for each in made if each.default_factory is not dataclasses.MISSING}
        hints = {each.name: hints[each.name] for each in made}
        needed = hints.keys() - free
    else:
        needed = hint.__required_keys__
    fields = {name: _optional(inner) for name, inner in hints.items()}
    properties = {name: schema_of(inner, f'{where}, key "{name}"') for name, inner in fields.items()}
    required = [name for name in hints if name in needed]
    return {"type": "object", "properties": properties, "required": required, "additionalProperties": False}


def _optional(hint: Any) -> Any:
    """The hint of a key without its Required or NotRequired."""
    return typing.get_args(hint)[0] if typing.get_origin(hint) in (typing.Required, typing.NotRequired) else hint


def parameters_of(function: Callable[..., Any], name: str, notes: dict[str, str]) -> Schema:
    """The schema of a function's parameters, less the one that takes the `ToolContext`. `notes` describes them.

    Raises SansiError for a parameter without annotation, one that JSON can not carry, `*args` or `**kwargs`.
    """
    hints, hidden = _hints(function, name), context_parameter(function)
    properties: dict[str, Schema] = {}
    required: list[str] = []
    for parameter in inspect.signature(function).parameters.values():
        where = f'tool "{name}", parameter "{parameter.name}"'
        if parameter.kind not in (parameter.POSITIONAL_OR_KEYWORD, parameter.KEYWORD_ONLY):
            raise SansiError(f"{where}: it can not be given by name; *args, **kwargs and positional-only do not work")
        if parameter.name == hidden:
            continue
        if parameter.name not in hints:
            raise SansiError(f"{where}: it has no annotation, and the schema is made from annotations")
        properties[parameter.name] = _property(parameter, hints[parameter.name], notes.get(parameter.name), where)
        if parameter.default is parameter.empty:
            required.append(parameter.name)
    unknown = sorted(notes.keys() - properties.keys() - {hidden or ""})
    if unknown:
        raise SansiError(f'tool "{name}": the docstring describes {", ".join(unknown)}, which it does not take')
    return {"type": "object", "properties": properties, "required": required, "additionalProperties": False}


def called_with_values(function: Callable[..., Any], name: str) -> Callable[..., Any]:
    """`function` for arguments as JSON has them, where an annotation asks for a value that JSON spells otherwise."""
    hidden = context_parameter(function)
    hints = {key: hint for key, hint in _hints(function, name).items() if key not in (hidden, "return")}
    return (
        typed_call(function, hints, lambda hint: schema_of(hint, name))
        if any(map(_converts, hints.values()))
        else function
    )


def _converts(hint: Any) -> bool:
    if hint in COLLECTIONS or typing.get_origin(hint) in COLLECTIONS or hint in FORMATS or hint in PATHS:
        return True
    if typing.is_typeddict(hint):
        return any(map(_converts, typing.get_type_hints(hint).values()))
    if isinstance(hint, type) and (dataclasses.is_dataclass(hint) or issubclass(hint, enum.Enum)):
        return True
    return typing.get_origin(hint) is not typing.Literal and any(map(_converts, typing.get_args(hint)))


def context_parameter(function: Callable[..., Any]) -> str | None:
    """The parameter that is annotated `ToolContext`, if there is one."""
    try:
        hints = typing.get_type_hints(function)
    except Exception:  # annotations that can not be resolved, or a callable that has none
        return None
    return next((name for name, hint in hints.items() if hint is ToolContext and name != "return"), None)


def _hints(function: Callable[..., Any], name: str) -> dict[str, Any]:
    try:
        return typing.get_type_hints(function, include_extras=True)
    except NameError as error:
        raise SansiError(f'tool "{name}": an annotation can not be resolved: {error}') from error


def _property(parameter: inspect.Parameter, hint: Any, note: str | None, where: str) -> Schema:
    schema = schema_of(hint, where)
    if note:
        schema["description"] = note
    if parameter.default is not parameter.empty and _is_json(parameter.default):
        schema["default"] = parameter.default
    return schema


def _is_json(value: Any) -> bool:
    try:
        json.dumps(value, allow_nan=False)
    except (TypeError, ValueError):
        return False
    return True


_GOOGLE = re.compile(r"^(?:Args|Arguments|Parameters):[ \t]*$", re.MULTILINE)
_NUMPY = re.compile(r"^Parameters[ \t]*\n-{3,}[ \t]*$", re.MULTILINE)
_SPHINX = re.compile(r"^:(?:param|parameter|arg|argument)\s+(?:[^:\n]*\s)?\*{0,2}(\w+):", re.MULTILINE)


def read_docstring(text: str) -> tuple[str, dict[str, str]]:
    """The description, and what is said of parameters by name: in "Args:", as NumPy has it, or by ":param name:"."""
    if found := _GOOGLE.search(text):
        return text[: found.start()].strip(), _entries(text[found.end() :], r"(\w+)\s*(?:\([^)]*\))?:\s*(.*)")
    if found := _NUMPY.search(text):
        section = re.split(r"^\S.*\n-{3,}", text[found.end() :], maxsplit=1, flags=re.MULTILINE)[0]
        return text[: found.start()].strip(), _entries(section, r"(\w+)\s*(?::.*)?()$", indented=False)
    notes = {}
    for found in _SPHINX.finditer(text):
        said = re.split(r"^:|^\s*$", text[found.end() :], maxsplit=1, flags=re.MULTILINE)[0]
        notes[found[1]] = " ".join(said.split())
    return re.split(r"^:\w[^:\n]*:", text, maxsplit=1, flags=re.MULTILINE)[0].strip() if notes else text.strip(), notes


def _entries(section: str, pattern: str, indented: bool = True) -> dict[str, str]:
    """The entries of a section by name; what stands deeper goes on with the one before."""
    section = re.split(r"^\S", section, maxsplit=1, flags=re.MULTILINE)[0] if indented else section
    notes: dict[str, str] = {}
    indent, name = None, None
    for line in filter(str.strip, section.splitlines()):
        depth = len(line) - len(line.lstrip())
        indent = depth if indent is None else indent
        entry = re.match(pattern, line.strip()) if depth == indent else None
        if entry:
            name = entry[1]
            notes[name] = entry[2].strip()
        elif name:
            notes[name] = f"{notes[name]} {line.strip()}".strip()
    return notes
