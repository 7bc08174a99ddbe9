"""Rules: which calls run, which are asked about and which are refused, by tool and by argument."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal, Protocol

from sansi.agents.approvals import patterns
from sansi.base import SansiError

Verdict = Literal["always", "ask", "never"]
VERDICTS: tuple[Verdict, ...] = ("always", "ask", "never")
"""From the boldest to the most careful."""
ANY_ARGUMENT = "*"

_RULE = re.compile(r"\s*([^\s(]+)\s*(?:\((.*)\))?\s*", re.DOTALL)
_ARGUMENT = re.compile(r'\s*([\w.*-]+)\s*=\s*("(?:[^"\\]|\\.)*"|[^,"]*?)\s*(?:,|$)', re.DOTALL)


class Described(Protocol):
    """What approvals need to know of a tool; `sansi.agents.Tool` is one."""

    @property
    def name(self) -> str: ...
    @property
    def description(self) -> str: ...
    @property
    def parameters(self) -> Mapping[str, Any]: ...
    @property
    def effects(self) -> frozenset[Any]: ...
    @property
    def origin(self) -> str: ...
    @property
    def title(self) -> str | None: ...
    @property
    def tainted(self) -> bool: ...
    @property
    def show(self) -> Any: ...


@dataclass(frozen=True)
class Rule:
    """What to do with the calls that fit. Read from text by `Rule.parse`, for example `shell(command=git status*)`."""

    verdict: Verdict
    tool: str
    """A pattern of names (`files_*`), or of an origin and, after a slash, the name there (`mcp:github/delete_*`)."""
    arguments: tuple[tuple[str, str], ...] = ()
    """Names of arguments and patterns of their values; all have to fit. The name `*` stands for any of them."""

    def __post_init__(self) -> None:
        if self.verdict not in VERDICTS:
            raise SansiError(f'a rule says "always", "ask" or "never", not {self.verdict!r:.60}', param="verdict")
        for name, pattern in self.arguments:
            if problem := patterns.problem_of(pattern):
                raise SansiError(f'rule "{self}": the pattern of "{name}": {problem}', param="rules")

    @classmethod
    def parse(cls, verdict: Verdict, text: str) -> Rule:
        """`TOOL` or `TOOL(ARGUMENT=PATTERN, …)`; a pattern with a comma or a quote is written as a JSON string.

        Raises SansiError that quotes the text where it is something else.
        """
        found = _RULE.fullmatch(text) if isinstance(text, str) else None
        if found is None:
            raise SansiError(f"rule {text!r:.100}: write TOOL or TOOL(ARGUMENT=PATTERN, …)", param="rules")
        return cls(verdict, found[1], tuple(_read_arguments(found[2], text)) if found[2] is not None else ())

    def __str__(self) -> str:
        inside = ", ".join(f"{name}={json.dumps(pattern, ensure_ascii=False)}" for name, pattern in self.arguments)
        return f"{self.tool}({inside})" if self.arguments else self.tool

    def covers(self, tool: Described, arguments: Mapping[str, Any]) -> bool:
        """Whether the rule speaks of this call. One that approves wants all of a value to fit, others any part."""
        if not self.means(tool):
            return False
        command = "execute" in tool.effects
        return all(self._fits(arguments, name, pattern, command) for name, pattern in self.arguments)

    def unknown_argument(self, tool: Described) -> str | None:
        """An argument that the rule names and the one tool that it is for does not take: it would never speak."""
        known = tool.parameters.get("properties") or {}
        if not known or patterns.has_stars(self.tool) or not self.means(tool):
            return None
        return next((name for name, _ in self.arguments if name != ANY_ARGUMENT and name not in known), None)

    @property
    def origin(self) -> str | None:
        """The pattern of origins, of a rule that names one."""
        return self.tool.partition("/")[0] if ":" in self.tool or "/" in self.tool else None

    def means(self, tool: Described) -> bool:
        """Whether the rule speaks of this tool, with whatever arguments."""
        known_as = {tool.name, *((tool.title,) if tool.title else ())}
        if self.origin is None:
            return patterns.names(self.tool, tool.name)
        origin, _, name = self.tool.partition("/")
        return patterns.names(origin, tool.origin) and any(patterns.names(name or "*", known) for known in known_as)

    def _fits(self, arguments: Mapping[str, Any], name: str, pattern: str, command: bool) -> bool:
        if name != ANY_ARGUMENT and name not in arguments:
            return False
        values = list(leaves(list(arguments.values()) if name == ANY_ARGUMENT else arguments[name]))
        if self.verdict == "always":
            return bool(values) and all(patterns.approves(pattern, value, command) for value in values)
        return any(patterns.stops(pattern, value, command) for value in values)


def leaves(value: Any) -> Iterator[str]:
    """The texts and numbers in a value of JSON, the keys of its objects too, each as text."""
    if isinstance(value, Mapping):
        for key, inner in value.items():
            yield str(key)
            yield from leaves(inner)
    elif isinstance(value, list | tuple):
        for inner in value:
            yield from leaves(inner)
    else:
        yield value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)


def _read_arguments(inside: str, text: str) -> Iterator[tuple[str, str]]:
    at = 0
    while at < len(inside):
        found = _ARGUMENT.match(inside, at)
        if found is None:
            reason = f"after ({inside[:at]:.60} an argument and its pattern are expected, as in command=git status*"
            raise SansiError(f"rule {text!r:.100}: {reason}", param="rules")
        yield found[1], _unquoted(found[2], text)
        at = found.end()


def _unquoted(pattern: str, text: str) -> str:
    if not pattern.startswith('"'):
        return pattern
    try:
        return str(json.loads(pattern, strict=False))
    except ValueError as error:
        raise SansiError(f"rule {text!r:.100}: {pattern:.60} is no JSON string ({error})", param="rules") from error
