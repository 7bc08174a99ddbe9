"""What an approval for longer than once covers: a tool, a kind of command, or one call alone.

What is run is another thing each time, so no answer approves all commands or all code of a tool: of a plain command it
covers the program with its subcommand (`git status`, `npm run test`), or the program alone where it only looks (`ls`),
and of everything else the very text. To approve more takes a rule.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sansi.agents.approvals import patterns
from sansi.agents.approvals.questions import THIS_CALL
from sansi.agents.approvals.rules import Described

COMMANDS, TEXTS = ("command", "cmd"), ("command", "cmd", "code", "script")
"""Names of arguments that are run, whatever a tool says of its effects."""
_PLAIN = re.compile(r"[^;&|<>`$\n\r(){}\\\x00'\"*?\[\]~#!]+")
_WORD = re.compile(r"[A-Za-z][A-Za-z0-9:_-]*")
_LOOKING = "cat cut df diff du echo grep head ls nl pwd stat tail tr true wc which"
LOOKING = frozenset(_LOOKING.split())
"""Programs that change nothing and run nothing, whatever they are given."""
_WITH_SUBCOMMANDS = """
    apt brew bundle cargo composer conda dnf docker dotnet gem gh git go gradle helm hg just kubectl make mvn npm pip
    pip3 pnpm poetry rustup svn systemctl terraform uv yarn
"""
WITH_SUBCOMMANDS = frozenset(_WITH_SUBCOMMANDS.split())
RUNNING = frozenset(("compose", "exec", "run", "tool", "x"))
"""Subcommands that say with their next word what is run."""


@dataclass(frozen=True)
class Scope:
    """All calls of a tool, or those with these arguments, or commands that begin so."""

    exact: str | None = None
    """The arguments, as `canonical` writes them."""
    argument: str = ""
    begins: str = ""
    """The words that a command, given by `argument`, begins with."""

    def covers(self, tool: Described, arguments: Mapping[str, Any]) -> bool:
        """Whether a call of the tool that was approved is meant, too."""
        if self.exact is not None:
            return self.exact == canonical(arguments)
        if not self.begins:
            return not runs(tool, arguments)
        value = arguments.get(self.argument)
        if len(arguments) != 1 or not isinstance(value, str):
            return False
        return value == self.begins or patterns.approves(f"{patterns.escaped(self.begins)} *", value, command=True)

    def told(self, tool: str) -> str:
        """What it covers, in words that go on after "approve"."""
        if self.exact is not None:
            return f"{THIS_CALL} of {tool}, and no other"
        if self.begins:
            return f"commands that are, or begin with, “{self.begins} ”, without ; & | < > $ and the like"
        return f"every call of {tool}"

    def to_json(self) -> Any:
        return {self.argument: self.begins} if self.begins else self.exact

    @classmethod
    def from_json(cls, saved: Any) -> Scope:
        """What `to_json` wrote. Raises ValueError for anything else."""
        if saved is None or isinstance(saved, str):
            return cls(saved)
        if isinstance(saved, Mapping) and len(saved) == 1:
            [(argument, begins)] = saved.items()
            if isinstance(begins, str) and begins:
                return cls(None, str(argument), begins)
        raise ValueError(f"{saved!r:.60} is no scope of an approval")


EVERY = Scope()


def scope_of(tool: Described, arguments: Mapping[str, Any], exact: bool = False) -> Scope:
    """What an approval covers that is given to this call. exact: no other call."""
    if not exact and not runs(tool, arguments):
        return Scope()
    if not exact and len(arguments) == 1:
        [(name, value)] = arguments.items()
        if name in COMMANDS and isinstance(value, str) and (begins := beginning(value)):
            return Scope(None, name, begins)
    return Scope(canonical(arguments))


def runs(tool: Described, arguments: Mapping[str, Any]) -> bool:
    """Whether a call runs a command or code that stands in its arguments."""
    told = "execute" in tool.effects
    return told or (tool.effects != {"read"} and any(isinstance(arguments.get(name), str) for name in TEXTS))


def beginning(command: str) -> str:
    """The words of a plain command that say what it does; nothing where only all of it does."""
    if not _PLAIN.fullmatch(command) or command != command.strip():
        return ""
    program, *rest = command.split(" ")
    if program in LOOKING:
        return program
    if program not in WITH_SUBCOMMANDS or not rest or not _WORD.fullmatch(rest[0]):
        return ""
    if rest[0] not in RUNNING:
        return f"{program} {rest[0]}"
    return f"{program} {rest[0]} {rest[1]}" if len(rest) > 1 and _WORD.fullmatch(rest[1]) else ""


def canonical(arguments: Mapping[str, Any]) -> str:
    """The arguments as JSON text that is the same however they were ordered."""
    return json.dumps(arguments, sort_keys=True, ensure_ascii=False, default=str)
