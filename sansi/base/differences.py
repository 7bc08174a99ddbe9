"""What differs between two records of settings: for an error that names every field, with what is there and here."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

ABSENT = "(absent)"
"""What stands for the value of a field that one of the two lacks."""


def flat(values: Mapping[str, Any], path: str = "") -> dict[str, Any]:
    """The values with those of nested mappings under their whole path, "schedule.final"; an empty one stays."""
    found: dict[str, Any] = {}
    for key, value in values.items():
        found |= flat(value, f"{path}{key}.") if isinstance(value, Mapping) and value else {f"{path}{key}": value}
    return found


def changes(there: Mapping[str, Any], here: Mapping[str, Any], shown: Callable[[Any], str] | None = None) -> list[str]:
    """'field: value there, value here' for each field that differs, by name. shown: how a value, or ABSENT, is told."""
    shown = shown or _described
    return [
        f"{name}: {shown(there.get(name, ABSENT))} there, {shown(here.get(name, ABSENT))} here"
        for name in sorted(there.keys() | here.keys())
        if (name in there) != (name in here) or there[name] != here[name]
    ]


def _described(value: Any) -> str:
    return ABSENT if value is ABSENT else repr(value)
