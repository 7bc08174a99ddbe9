"""Python values of annotations that JSON spells otherwise: an Enum's member, a dataclass, a date, a path, a tuple."""

from __future__ import annotations

import dataclasses
import enum
import functools
import inspect
import pathlib
import types
import typing
from collections.abc import Callable, Mapping, Sequence
from datetime import date, datetime, time
from typing import Any

from sansi.base import SansiError
from sansi.text.schema import tool_schema

FORMATS: dict[type, str] = {datetime: "date-time", date: "date", time: "time"}
COLLECTIONS = (tuple, set, frozenset)
PATHS = (pathlib.Path, pathlib.PurePath)


def typed_call(function: Callable[..., Any], hints: Mapping[str, Any], schemas: Callable[[Any], Any]) -> Any:
    """`function`, called with values of its annotations for those that JSON has. `schemas` is `schema_of`."""

    def read(given: Mapping[str, Any]) -> dict[str, Any]:
        return {
            name: value_of(hints[name], value, f'argument "{name}"', schemas) if name in hints else value
            for name, value in given.items()
        }

    @functools.wraps(function)
    async def later(**given: Any) -> Any:
        return await function(**read(given))

    @functools.wraps(function)
    def now(**given: Any) -> Any:
        return function(**read(given))

    return later if inspect.iscoroutinefunction(function) else now


def value_of(hint: Any, value: Any, where: str, schemas: Callable[[Any], Any]) -> Any:
    """The value of an annotation. Raises SansiError, which names `where`, for a date or member that there is not."""
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    inner = functools.partial(value_of, where=where, schemas=schemas)
    if origin in (typing.Annotated, typing.Required, typing.NotRequired):
        return inner(arguments[0], value)
    if origin in (typing.Union, types.UnionType):
        fitting = (option for option in arguments if _fits(schemas(option), value))
        return inner(next(fitting, Any), value)
    if dataclasses.is_dataclass(hint) or typing.is_typeddict(hint):
        hints = typing.get_type_hints(hint, include_extras=True)
        made = {key: inner(hints[key], each) for key, each in value.items()}
    elif origin in (dict, Mapping):
        return {key: inner(arguments[1], each) for key, each in value.items()}
    elif origin in (list, Sequence, *COLLECTIONS):
        items = [inner(arguments[0], each) for each in value]
        return origin(items) if origin in COLLECTIONS else items
    elif hint in COLLECTIONS or hint in PATHS or (isinstance(hint, type) and issubclass(hint, enum.Enum)):
        return hint(value)
    elif hint in FORMATS:
        return _moment(hint, value, where)
    else:
        return value
    try:
        return hint(**made)
    except (TypeError, ValueError) as error:
        raise SansiError(f"{where}: {error}") from error


def _fits(schema: Any, value: Any) -> bool:
    return not tool_schema({"type": "object", "properties": {"x": schema}}).problems({"x": value})


def _moment(hint: Any, value: str, where: str) -> Any:
    try:
        return hint.fromisoformat(value)
    except ValueError as error:
        raise SansiError(f'{where}: "{value}" is no {FORMATS[hint]} of ISO 8601: {error}') from error
