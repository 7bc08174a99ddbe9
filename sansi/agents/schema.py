"""The JSON Schema of Python annotations, and of a whole function. Checking by a schema is `sansi.text.schema`'s."""

from __future__ import annotations

import inspect
import json
import re
import types
import typing
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from sansi.agents.context import ToolContext
from sansi.base import SansiError

Schema = dict[str, Any]

_JSON_NAMES = {str: "string", int: "integer", float: "number", bool: "boolean", list: "array", dict: "object"}


def schema_of(hint: Any, where: str) -> Schema:
    """The schema of a Python annotation. Raises SansiError, which names `where`, for one that JSON can not carry."""
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if hint is Any:
        return {}
    if origin is typing.Annotated:
        notes = [note for note in arguments[1:] if isinstance(note, str)]
        return schema_of(arguments[0], where) | ({"description": " ".join(notes)} if notes else {})
    if typing.is_typeddict(hint):
        return _typed_dict(hint, where)
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
        'list[...], dict[str, ...], Literal[...], a TypedDict, Annotated[..., "text"], Any or a union of them'
    )


def _typed_dict(hint: Any, where: str) -> Schema:
    hints = typing.get_type_hints(hint, include_extras=True)
    fields = {name: _optional(inner) for name, inner in hints.items()}
    properties = {name: schema_of(inner, f'{where}, key "{name}"') for name, inner in fields.items()}
    required = [name for name in hints if name in hint.__required_keys__]
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


def read_docstring(text: str) -> tuple[str, dict[str, str]]:
    """The description, and the entries of the "Args:" section by name."""
    parts = re.split(r"^Args:\s*$", text, maxsplit=1, flags=re.MULTILINE)
    notes: dict[str, str] = {}
    section = re.split(r"^\S", parts[1], maxsplit=1, flags=re.MULTILINE)[0] if len(parts) > 1 else ""
    indent, name = None, None
    for line in filter(str.strip, section.splitlines()):
        depth = len(line) - len(line.lstrip())
        indent = depth if indent is None else indent
        entry = re.match(r"\s*(\w+)\s*(?:\([^)]*\))?:\s*(.*)", line) if depth == indent else None
        if entry:
            name = entry[1]
            notes[name] = entry[2].strip()
        elif name:
            notes[name] = f"{notes[name]} {line.strip()}".strip()
    return parts[0].strip(), notes
