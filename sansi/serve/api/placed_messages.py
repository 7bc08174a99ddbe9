"""Messages that a dialect made of its own kind of conversation, and where in the request each part of them stood."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from sansi.base.errors import SansiError
from sansi.base.shown import show


@dataclass
class PlacedMessages:
    """Messages while they are read."""

    messages: list[dict[str, Any]] = field(default_factory=list)
    places: dict[str, str] = field(default_factory=dict)
    """Path in the messages -> path in the request."""
    calls: set[str] = field(default_factory=set)
    """Ids of the calls so far."""

    def add(self, where: str, **message: Any) -> dict[str, Any]:
        self.places[f"messages[{len(self.messages)}]"] = where
        self.messages.append(message)
        return message

    def place(self, path: str, where: str) -> None:
        """`path`: in the last message."""
        self.places[f"messages[{len(self.messages) - 1}].{path}"] = where


def string_of(item: Mapping[str, Any], key: str, where: str) -> str:
    """The string that must stand there; `where`: the item. Raises SansiError with `param`."""
    value = item.get(key)
    if not isinstance(value, str):
        found = f"must be a string, not {show(value)}" if key in item else "is required"
        raise SansiError(f"{where}.{key} {found}", param=f"{where}.{key}")
    return value
