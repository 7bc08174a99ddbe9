"""The policy: which calls run, which wait for the user and which are refused. The same call, the same decision."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, get_args

from sansi.agents.approvals import patterns
from sansi.agents.approvals.rules import VERDICTS, Described, Rule, Verdict
from sansi.base import SansiError
from sansi.base.errors import did_you_mean

Mode = Literal["plan", "ask", "auto", "yolo"]
Action = Literal["allow", "ask", "deny"]
MODES: tuple[Mode, ...] = get_args(Mode)
REFUSALS = 3
"""After so many refusals in a row every call is asked about."""
HOME_TOOLS = ("python", "built-in")
"""Origins of tools that whoever started the program chose by writing them or naming them."""

_CLAIMS = {
    "write": "it may change something",
    "network": "it uses the network",
    "execute": "it runs code or commands",
}


@dataclass(frozen=True)
class Ruling:
    """What is to be done with a call, and why: a sentence each."""

    action: Action
    reasons: tuple[str, ...] = ()
    each_time: bool = False
    """A rule wants to be asked each time, so that no answer holds for longer."""


@dataclass(frozen=True)
class Circumstances:
    """What else counts for a call, beside the tool and its arguments."""

    approved: bool = False
    """The user has approved such calls, for the session or for always."""
    changed: str = ""
    """Since when the tool's definition is another one: "it was approved", "you were asked"; else empty."""
    refused: int = 0
    """Refusals in a row up to now."""
    suspicions: tuple[str, ...] = ()
    """What `taint` finds in the call, a sentence each."""


@dataclass(frozen=True)
class UnknownTool:
    """Stands for a tool that nobody has: its name is all that is known."""

    name: str
    origin: str = "unknown"
    description: str = ""
    title: str | None = None
    parameters: Mapping[str, Any] = field(default_factory=dict)
    effects: frozenset[Any] = frozenset()
    tainted: bool = True
    show: Any = None


@dataclass(frozen=True)
class Policy:
    """A mode and rules.

    plan: only what reads runs, and what uses the network is asked about. ask: what reads runs, the rest is asked about
    unless a rule or an answer approves it. auto: all runs, unless a rule or text of strangers speaks against it. yolo:
    all runs but what a rule forbids. In each mode a rule that forbids wins over one that asks, and that over one that
    approves; arguments that could not be read are never approved.
    """

    mode: Mode = "ask"
    rules: tuple[Rule, ...] = ()

    def __post_init__(self) -> None:
        if self.mode not in MODES:
            raise SansiError(f"the mode of approval is {self.mode!r:.60}{did_you_mean(self.mode, MODES)}", param="mode")

    @classmethod
    def of(
        cls, mode: Mode = "ask", *, always: Sequence[str] = (), ask: Sequence[str] = (), never: Sequence[str] = ()
    ) -> Policy:
        """From rules as text: `Policy.of("auto", never=["shell(command=*sudo*)"])`. Raises SansiError for a bad one."""
        said: dict[Verdict, Sequence[str]] = {"always": always, "ask": ask, "never": never}
        for verdict in VERDICTS:
            if isinstance(said[verdict], str):
                raise SansiError(f'the rules under "{verdict}" are a list of texts, not one text', param=verdict)
        return cls(mode, tuple(Rule.parse(verdict, text) for verdict in VERDICTS for text in said[verdict]))

    def with_rules(self, rules: Iterable[Rule]) -> Policy:
        """The same with more rules."""
        return Policy(self.mode, (*self.rules, *rules))

    def decide(
        self, tool: Described, arguments: Mapping[str, Any] | None, around: Circumstances = Circumstances()
    ) -> Ruling:
        """arguments: typed by the tool's schema; None where they could not be read."""
        if arguments is None:
            return Ruling("deny", ("its arguments could not be read, and such a call is never approved",))
        covering = [rule for rule in self.rules if rule.covers(tool, arguments)]
        if forbidding := _first("never", covering):
            return Ruling("deny", (f"a rule of the user's forbids it: never {forbidding}",))
        if idle := _idle(self.rules, tool):
            return Ruling("deny", (idle,))
        known = not isinstance(tool, UnknownTool)
        if self.mode == "yolo" and known:
            return Ruling("allow")
        if self.mode == "plan" and known and (reason := _plan_refuses(tool)):
            return Ruling("deny", (reason,))
        asking = _first("ask", covering)
        reasons = self._reasons(tool, around, asking, _first("always", covering) is not None)
        return Ruling("ask", tuple(reasons), asking is not None) if reasons else Ruling("allow")

    def vouched(self, tool: Described, arguments: Mapping[str, Any]) -> frozenset[str]:
        """The arguments whose values the user approves by a pattern, so that they count as the user's words."""
        approving = (rule for rule in self.rules if rule.verdict == "always" and rule.covers(tool, arguments))
        named = ((name, pattern) for rule in approving for name, pattern in rule.arguments)
        return frozenset(name for name, pattern in named if name in arguments and pattern.strip("*"))

    def _reasons(self, tool: Described, around: Circumstances, asking: Rule | None, approved: bool) -> Iterable[str]:
        reasons = [f"a rule wants to be asked each time: ask {asking}"] if asking else []
        if around.refused >= REFUSALS:
            reasons.append(f"the last {around.refused} calls were refused")
        if around.changed:
            reasons.append(f"the definition of the tool has changed since {around.changed}")
        reasons += around.suspicions
        if not reasons and not approved and not around.approved:
            reasons += self._unapproved(tool)
        return reasons

    def _unapproved(self, tool: Described) -> list[str]:
        if isinstance(tool, UnknownTool):
            return [f'there is no tool "{tool.name}"']
        if not tool.effects:
            return ["it is not known what it may do"]
        if self.mode == "auto":
            return []
        claims = [claim for effect, claim in _CLAIMS.items() if effect in tool.effects]
        if not claims and not any(patterns.names(origin, tool.origin) for origin in HOME_TOOLS):
            claims = [f"it comes from {tool.origin}, and nobody has approved it yet"]
        return claims


def _first(verdict: Verdict, rules: Iterable[Rule]) -> Rule | None:
    return next((rule for rule in rules if rule.verdict == verdict), None)


def _idle(rules: Iterable[Rule], tool: Described) -> str | None:
    """A rule that was meant to forbid calls of this tool and, by a slip, forbids none."""
    for rule in rules:
        if rule.verdict == "never" and (name := rule.unknown_argument(tool)):
            near = did_you_mean(name, tool.parameters["properties"])
            return f'the rule never {rule} speaks of "{name}", which {tool.name} does not take{near}'
    return None


def _plan_refuses(tool: Described) -> str | None:
    beyond = sorted(tool.effects - {"read", "network"}) if tool.effects else ["unknown"]
    if not beyond:
        return None
    return f"the mode is plan, in which nothing is changed or run (effects of this tool: {', '.join(beyond)})"
