"""Frozen dataclasses as configuration: loaded strictly, with every problem of a file reported at once.

A configuration class is a frozen dataclass. It may define `problems(self) -> list[str]`, which names the impossible
combinations of its values; `load_config` raises those together with unknown keys and wrong types.
"""

from __future__ import annotations

import dataclasses
import types
import typing
from collections.abc import Mapping
from typing import Any, TypeVar

from sansi.base.errors import ConfigError, did_you_mean

C = TypeVar("C")


def load_config(cls: type[C], values: Mapping[str, Any], where: str = "configuration") -> C:
    """Build the dataclass `cls` from `values`. Raises ConfigError that lists every problem found."""
    hints = typing.get_type_hints(cls)
    fields = {f.name: f for f in dataclasses.fields(cls) if f.init}  # type: ignore[arg-type]
    problems = [f'unknown key "{key}"{did_you_mean(key, fields)}' for key in values if key not in fields]
    arguments: dict[str, Any] = {}
    for name, field in fields.items():
        if name in values:
            try:
                arguments[name] = _coerce(hints[name], values[name], name)
            except (TypeError, ConfigError) as error:
                problems.append(str(error))
        elif field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING:
            problems.append(f'"{name}" is missing')
    if problems:
        raise ConfigError(where, problems)
    config = cls(**arguments)
    check_config(config, where)
    return config


def check_config(config: Any, where: str = "configuration") -> None:
    """Raise ConfigError if `config.problems()` names any."""
    found: list[str] = getattr(config, "problems", list)()
    if found:
        raise ConfigError(where, found)


def config_to_dict(config: Any) -> dict[str, Any]:
    """Plain JSON-ready values of a configuration, nested ones included."""
    return dataclasses.asdict(config)


def _coerce(hint: Any, value: Any, name: str) -> Any:
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if hint is Any:
        return value
    if origin in (typing.Union, types.UnionType):
        return _coerce_union(arguments, value, name)
    if origin is typing.Literal:
        if value in arguments:
            return value
        raise TypeError(f'"{name}" is {value!r}{did_you_mean(str(value), map(str, arguments))}')
    if dataclasses.is_dataclass(hint) and isinstance(hint, type):
        return value if isinstance(value, hint) else load_config(hint, _mapping(value, name), name)
    if origin in (tuple, list) and isinstance(value, list | tuple):
        item = arguments[0] if arguments else Any
        return origin(_coerce(item, v, f"{name}[{i}]") for i, v in enumerate(value))
    if origin is dict:
        return {k: _coerce(arguments[1], v, f"{name}.{k}") for k, v in _mapping(value, name).items()}
    if hint is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if isinstance(hint, type) and isinstance(value, hint) and (hint is bool or not isinstance(value, bool)):
        return value
    raise TypeError(f'"{name}" must be {getattr(hint, "__name__", hint)}, not {value!r}')


def _coerce_union(options: tuple[Any, ...], value: Any, name: str) -> Any:
    if value is None and type(None) in options:
        return None
    reasons = []
    for option in options:
        if option is not type(None):
            try:
                return _coerce(option, value, name)
            except (TypeError, ConfigError) as error:
                reasons.append(str(error))
    raise TypeError(reasons[0])


def _mapping(value: Any, name: str) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise TypeError(f'"{name}" must be a mapping, not {value!r}')
    return value
