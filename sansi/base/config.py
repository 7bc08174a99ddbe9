"""Frozen dataclasses as configuration: loaded strictly, with every problem of a file reported at once.

A configuration class is a frozen dataclass. It may define `problems(self) -> list[str]`, which names the impossible
combinations of its values; `load_config` raises those together with unknown keys and wrong types.
"""

from __future__ import annotations

import dataclasses
import types
import typing
from collections.abc import Iterable, Mapping
from typing import Any, TypeVar

from sansi.base.errors import ConfigError, did_you_mean

C = TypeVar("C")


def load_config(cls: type[C], values: Mapping[str, Any], where: str = "configuration") -> C:
    """Build the dataclass `cls` from `values`. Raises ConfigError that lists every problem found."""
    if not isinstance(values, Mapping):
        raise ConfigError(where, [f"must be a mapping of keys to values, not {values!r}"])
    hints = typing.get_type_hints(cls)
    fields = {f.name: f for f in dataclasses.fields(cls) if f.init}  # type: ignore[arg-type]
    unknown = [f'unknown key "{key}"{did_you_mean(str(key), fields)}' for key in values if key not in fields]
    unusable: list[str] = []
    arguments: dict[str, Any] = {}
    for name, field in fields.items():
        if name in values:
            try:
                arguments[name] = _coerce(hints[name], values[name], name)
            except (TypeError, ConfigError) as error:
                unusable.extend(error.args)
        elif field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING:
            unusable.append(f'"{name}" is missing')
    if unusable:  # without all its values there is nothing whose combinations could be looked at
        raise ConfigError(where, unknown + unusable)
    config = cls(**arguments)
    problems = unknown + _combinations(config)
    if problems:
        raise ConfigError(where, problems)
    return config


def check_config(config: Any, where: str = "configuration") -> None:
    """Raise ConfigError if `config.problems()` names any."""
    found = _combinations(config)
    if found:
        raise ConfigError(where, found)


def config_to_dict(config: Any) -> dict[str, Any]:
    """Plain JSON-ready values of a configuration, nested ones included."""
    return dataclasses.asdict(config)


def _combinations(config: Any) -> list[str]:
    problems = getattr(config, "problems", None)
    return list(problems()) if callable(problems) else []  # a field may have that name too


def _coerce(hint: Any, value: Any, name: str) -> Any:
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if hint is Any:
        return value
    if origin in (typing.Union, types.UnionType):
        return _coerce_union(arguments, value, name)
    if origin is typing.Literal:
        if any(type(value) is type(choice) and value == choice for choice in arguments):  # True == 1 in Python
            return value
        raise TypeError(f'"{name}" is {value!r}{did_you_mean(str(value), map(str, arguments))}')
    if dataclasses.is_dataclass(hint) and isinstance(hint, type):
        return value if isinstance(value, hint) else load_config(hint, _mapping(value, name), name)
    if origin in (tuple, list) and isinstance(value, list | tuple):
        items = _item_hints(origin, arguments, value, name)
        return origin(_coerce_all((h, v, f"{name}[{i}]") for i, (h, v) in enumerate(zip(items, value, strict=True))))
    if origin is dict:
        parts = _mapping(value, name)
        typed = _coerce_all((arguments[1], v, f"{name}.{k}") for k, v in parts.items())
        return dict(zip(parts, typed, strict=True))
    if hint is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if isinstance(hint, type) and isinstance(value, hint) and (hint is bool or not isinstance(value, bool)):
        return value
    raise TypeError(f'"{name}" must be {getattr(hint, "__name__", hint)}, not {value!r}')


def _item_hints(origin: Any, arguments: tuple[Any, ...], value: Any, name: str) -> tuple[Any, ...]:
    if origin is list or arguments[-1] is Ellipsis:
        return arguments[:1] * len(value)
    if len(value) != len(arguments):
        raise TypeError(f'"{name}" must have {len(arguments)} values, not {len(value)}')
    return arguments


def _coerce_all(parts: Iterable[tuple[Any, Any, str]]) -> list[Any]:
    """Every (hint, value, name) typed. Raises TypeError whose `args` are the problems of all of them."""
    typed: list[Any] = []
    problems: list[str] = []
    for hint, value, name in parts:
        try:
            typed.append(_coerce(hint, value, name))
        except (TypeError, ConfigError) as error:
            problems.extend(error.args)
    if problems:
        raise TypeError(*problems)
    return typed


def _coerce_union(options: tuple[Any, ...], value: Any, name: str) -> Any:
    if value is None and type(None) in options:
        return None
    reasons = []
    for option in options:
        if option is not type(None):
            try:
                return _coerce(option, value, name)
            except (TypeError, ConfigError) as error:
                reasons.append("; ".join(error.args))
    raise TypeError(", or ".join(reasons))


def _mapping(value: Any, name: str) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise TypeError(f'"{name}" must be a mapping, not {value!r}')
    return value
