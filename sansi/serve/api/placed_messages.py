"""Messages and tools that a dialect made of its own kind, and where in the request each of them stood."""

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


@dataclass
class PlacedTools:
    """The same of tools."""

    functions: list[dict[str, Any]] = field(default_factory=list)
    """In the form of chat completions."""
    places: dict[str, str] = field(default_factory=dict)
    """Path in the functions -> path in the request."""

    def add(self, where: str, function: dict[str, Any]) -> str:
        """The path of the function among them; `where` it stood in the request."""
        path = f"tools[{len(self.functions)}]"
        self.places |= {path: where, f"{path}.function": where}
        self.functions.append({"type": "function", "function": function})
        return path

    def refuse_word(self, name: str, param: str) -> None:
        """Raise SansiError for a tool that would be chosen by a name that says something else."""
        if name in CHOICES:
            raise SansiError(f'a tool named "{name}" can not be chosen by its name; rename it', param=param)


CHOICES = ("auto", "none", "required")


def string_of(item: Mapping[str, Any], key: str, where: str) -> str:
    """The string that must stand there; `where`: the item. Raises SansiError with `param`."""
    value = item.get(key)
    if not isinstance(value, str):
        found = f"must be a string, not {show(value)}" if key in item else "is required"
        raise SansiError(f"{where}.{key} {found}", param=f"{where}.{key}")
    return value
