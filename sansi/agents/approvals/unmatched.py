"""Rules that no call can be meant by: a slip in a name would forbid nothing, or approve nothing, without a word."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

from sansi.agents.approvals import patterns
from sansi.agents.approvals.policy import UnknownTool
from sansi.agents.approvals.rules import Described, Rule
from sansi.base.errors import did_you_mean


def unmatched(
    rules: Iterable[Rule],
    tools: Sequence[Described],
    off: Mapping[str, Sequence[str]],
    servers: Sequence[str] = (),
    complete: bool = True,
) -> Iterator[str]:
    """A sentence for each rule that speaks of no tool, or of an argument that its tool does not take.

    tools: those that are here. off: names of built-in tools that could be, by the name that turns them on. servers: MCP
    servers that are configured; complete: their tools are all here, so that a rule can not be meant for one to come.
    """
    known = [*tools, *(UnknownTool(name, "built-in") for names in off.values() for name in names)]
    for rule in rules:
        if not any(rule.means(tool) for tool in known):
            if complete or not _may_be_a_servers(rule, servers):
                yield f"the rule {rule.verdict} {rule} speaks of no tool{_hint(rule, known, off, servers)}"
            continue
        for tool in tools:
            if rule.means(tool) and (name := rule.unknown_argument(tool)):
                near = did_you_mean(name, tool.parameters["properties"])
                yield f'the rule {rule.verdict} {rule} speaks of "{name}", which {tool.name} does not take{near}'


def _may_be_a_servers(rule: Rule, servers: Sequence[str]) -> bool:
    origin = rule.origin
    return bool(servers) if origin is None else any(patterns.names(origin, f"mcp:{server}") for server in servers)


def _hint(rule: Rule, known: Sequence[Described], off: Mapping[str, Sequence[str]], servers: Sequence[str]) -> str:
    origin = rule.origin
    if origin is None:
        if rule.tool in off:
            return f"; the tools of {rule.tool} are {', '.join(off[rule.tool])}"
        return did_you_mean(rule.tool, {tool.name for tool in known})
    there = [tool for tool in known if patterns.names(origin, tool.origin)]
    if there:
        names = {tool.title or tool.name for tool in there}
        return f": {origin} has none of that name{did_you_mean(rule.tool.partition('/')[2], names)}"
    origins = {tool.origin for tool in known} | {f"mcp:{server}" for server in servers}
    return f": nothing is called {origin}{did_you_mean(origin, origins)}"
