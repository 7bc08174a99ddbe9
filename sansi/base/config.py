"""Configuration: frozen dataclasses that check themselves when they are made, with every problem reported at once.

A class of configuration is a frozen dataclass below `Config`. Whoever makes one, a program or a file (`load_config`),
gets values of the declared types or one ConfigError that names each field at fault, its value and what to do. It may
define `problems(self) -> list[str]`, which names the impossible combinations of its values.
"""

from __future__ import annotations

import collections.abc
import dataclasses
import functools
import math
import numbers
import types
import typing
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, TypeVar

from sansi.base.errors import ConfigError, did_you_mean
from sansi.base.shown import show

C = TypeVar("C")
_PLAIN = {int: "a whole number", float: "a number", bool: "true or false", str: "a text", Path: "a path"}


class _Checked(type):
    """Turns the TypeError of a wrong keyword into the ConfigError that a file with that key gets."""

    if not typing.TYPE_CHECKING:  # type checkers read the signature of the dataclass itself

        def __call__(cls, *args: Any, **kwargs: Any) -> Any:
            try:
                return super().__call__(*args, **kwargs)
            except TypeError:
                names = [f.name for f in dataclasses.fields(cls) if f.init]
                if len(args) <= len(names):
                    load_config(cls, {**dict(zip(names, args, strict=False)), **kwargs}, cls.__name__)
                raise


class Config(metaclass=_Checked):
    """Base of a frozen dataclass of configuration: its constructor checks it, and so does `dataclasses.replace`.

    A whole number is taken for a float, a list for a tuple, a text for a Path, a mapping for a nested configuration.
    Nothing else is converted. Raises ConfigError that lists every problem.
    """

    def __post_init__(self) -> None:
        problems: list[str] = []
        for name, field in _fields(type(self)).items():
            value = getattr(self, name)
            if type(value) is field.hint and field.hint is not float:
                continue
            typed = field.typed(value, problems)
            if typed is not value:
                object.__setattr__(self, name, typed)
        if problems := problems or self.problems():  # combinations of values that have the right types
            raise ConfigError(type(self).__name__, problems)

    def problems(self) -> list[str]:
        """Impossible values and combinations, a sentence each; their types are right already."""
        return []


def load_config(cls: type[C], values: Mapping[str, Any], where: str = "configuration") -> C:
    """Build the dataclass `cls` from `values`. Raises ConfigError that lists every problem found."""
    if not isinstance(values, Mapping):
        raise ConfigError(where, [f"must be a mapping of keys to values, not {show(values)}"])
    fields = {name: field for name, field in _fields(cls).items() if field.init}  # type: ignore[arg-type]
    unknown = [f'unknown key "{key}"{did_you_mean(str(key), fields)}' for key in values if key not in fields]
    unusable: list[str] = []
    arguments: dict[str, Any] = {}
    for name, field in fields.items():
        if name in values:
            arguments[name] = field.typed(values[name], unusable)
        elif field.required:
            unusable.append(f'"{name}" is missing')
    if unusable:  # without all its values there is nothing whose combinations could be looked at
        raise ConfigError(where, unknown + unusable)
    try:
        config = cls(**arguments)
    except ConfigError as error:
        raise ConfigError(where, unknown + error.problems) from None
    if problems := unknown + ([] if isinstance(config, Config) else _combinations(config)):
        raise ConfigError(where, problems)
    return config


def as_config(cls: type[C], value: Any, where: str = "configuration") -> C:
    """`value` if it is a `cls`, or one made of it if it is a mapping. Raises ConfigError for anything else."""
    if isinstance(value, cls):
        check_config(value, where)
        return value
    if isinstance(value, Mapping):
        return load_config(cls, value, where)
    raise ConfigError(where, [f"must be of type {cls.__name__}, or a mapping of its fields, not {show(value)}"])


def check_config(config: Any, where: str = "configuration") -> None:
    """Raise ConfigError if `config.problems()` names any."""
    found = _combinations(config)
    if found:
        raise ConfigError(where, found)


def too_small(config: Any, least: float, *names: str) -> list[str]:
    """A sentence for each of the fields that is below `least`; None is not."""
    values = {name: getattr(config, name) for name in names}
    return [f'"{name}" must be at least {least}, not {v}' for name, v in values.items() if v is not None and v < least]


def not_among(config: Any, name: str, choices: Iterable[Any]) -> list[str]:
    """A sentence where the field is none of the choices."""
    value, known = getattr(config, name), list(choices)
    return [] if value in known else [f'"{name}" must be one of {", ".join(map(str, known))}, not {show(value)}']


def idle(config: Any, reason: str, *names: str) -> list[str]:
    """A sentence for each of the fields that was given a value of its own and that nothing reads, with the reason."""
    cls: type = type(config)
    return [f'"{name}" {reason}' for name in names if not _fields(cls)[name].is_default(getattr(config, name))]


def config_to_dict(config: Any) -> dict[str, Any]:
    """Plain JSON-ready values of a configuration, nested ones included."""
    return {name: _plain(value) for name, value in dataclasses.asdict(config).items()}


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _plain(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(_plain(each) for each in value)
    return str(value) if isinstance(value, Path) else value


@dataclasses.dataclass(frozen=True)
class _Field:
    """A field of a configuration, with its type looked up."""

    name: str
    hint: Any
    init: bool
    required: bool
    secret: bool
    """Its value is shown nowhere, in no message either."""
    declared: dataclasses.Field[Any]

    def is_default(self, value: Any) -> bool:
        """Whether it is what the field has when nobody gives it; never of a required one."""
        declared = self.declared
        factory = declared.default_factory
        return bool(value == (declared.default if factory is dataclasses.MISSING else factory()))

    def typed(self, value: Any, problems: list[str]) -> Any:
        """The value as the type asks for it; what is wrong with it is added to `problems`."""
        try:
            return _coerce(self.hint, value, self.name)
        except (TypeError, ConfigError) as error:
            problems += [f'"{self.name}" is not of the type {_words(self.hint)}'] if self.secret else error.args
            return value


def field_names(cls: type) -> list[str]:
    """Of a class of configuration, in order."""
    return list(_fields(cls))


@functools.cache
def _fields(cls: type) -> dict[str, _Field]:
    """The fields by name; found out once for a class, since annotations are texts that have to be evaluated."""
    hints, missing = typing.get_type_hints(cls), dataclasses.MISSING
    found = {}
    for f in dataclasses.fields(cls):
        required = f.default is missing and f.default_factory is missing
        found[f.name] = _Field(f.name, hints[f.name], f.init, required, not f.repr, f)
    return found


def _combinations(config: Any) -> list[str]:
    problems = getattr(config, "problems", None)
    return list(problems()) if callable(problems) else []  # a field may have that name too


def _coerce(hint: Any, value: Any, name: str) -> Any:
    """The value as the type asks for it. Raises TypeError whose `args` are what is wrong with it."""
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if hint is Any:
        return value
    if hint in _PLAIN:
        return _coerce_plain(hint, value, name)
    if origin in (typing.Union, types.UnionType):
        return _coerce_union(arguments, value, name)
    if origin is typing.Literal:
        if any(type(value) is type(choice) and value == choice for choice in arguments):  # True == 1 in Python
            return value
        raise TypeError(f'"{name}" is {show(value)}{did_you_mean(str(value), map(str, arguments))}')
    if dataclasses.is_dataclass(hint) and isinstance(hint, type):
        return value if isinstance(value, hint) else _nested(hint, value, name)
    if origin in (tuple, list) and isinstance(value, list | tuple):
        items = _item_hints(origin, arguments, value, name)
        return origin(_coerce_all((h, v, f"{name}[{i}]") for i, (h, v) in enumerate(zip(items, value, strict=True))))
    if origin in (dict, collections.abc.Mapping):
        parts = _mapping(value, name)
        typed = _coerce_all((arguments[1], v, f"{name}.{k}") for k, v in parts.items())
        return dict(zip(parts, typed, strict=True))
    return _instance(hint, origin or hint, value, name)


def _instance(hint: Any, kind: Any, value: Any, name: str) -> Any:
    """The value of a type that is only looked at; a text is no list of letters."""
    looked_at = isinstance(kind, type) and not getattr(kind, "_is_protocol", False)
    if not looked_at or (isinstance(value, kind) and not (isinstance(value, str) and kind is not str)):
        return value
    raise TypeError(f'"{name}" must be {_words(hint)}, not {show(value)}')


def _coerce_plain(hint: Any, value: Any, name: str) -> Any:
    if hint is Path and isinstance(value, str):
        return Path(value)
    if hint in (int, float) and not isinstance(value, bool):
        whole = isinstance(value, numbers.Integral)  # numpy's numbers too
        if hint is int and whole:
            return int(value)
        if hint is float and (whole or isinstance(value, numbers.Real)):
            return _finite(value, name)
    elif hint not in (int, float) and isinstance(value, hint):
        return value
    raise TypeError(f'"{name}" must be {_PLAIN[hint]}, not {show(value)}{_advice(hint, value)}')


def _finite(value: Any, name: str) -> float:
    try:
        number = value if type(value) is float else float(value)
    except OverflowError:
        number = math.inf
    if not math.isfinite(number):
        raise TypeError(f'"{name}" must be a finite number, not {show(value)}')
    return number


def _advice(hint: Any, value: Any) -> str:
    """What to do about a number in quotation marks, the most common mistake."""
    if hint is int and isinstance(value, float) and value.is_integer():
        return f"; write {int(value)}"
    try:
        number = hint(value.strip()) if hint in (int, float) and isinstance(value, str) else None
    except ValueError:
        return ""
    return "" if number is None else f"; write {number}, without quotation marks"


def _words(hint: Any) -> str:
    origin = typing.get_origin(hint)
    if origin in (tuple, list, collections.abc.Sequence, collections.abc.Collection):
        return "a list"
    return "a function" if origin is collections.abc.Callable else str(getattr(hint, "__name__", hint))


def _nested(hint: type, value: Any, name: str) -> Any:
    if not isinstance(value, Mapping):
        raise TypeError(f'"{name}" must be of type {hint.__name__}, or a mapping of its fields, not {show(value)}')
    return load_config(hint, value, name)


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
    reasons: list[str] = []
    for option in options:
        if option is not type(None):
            try:
                return _coerce(option, value, name)
            except (TypeError, ConfigError) as error:
                reasons.append("; ".join(error.args))
    raise TypeError(", or ".join(reasons))


def _mapping(value: Any, name: str) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise TypeError(f'"{name}" must be a mapping, not {show(value)}')
    return value
