"""Rules that speak of no tool are told, so that a slip in a name does not forbid nothing."""

import pytest
from made_tools import tool
from sansi.agents.approvals import Policy, Rule
from sansi.agents.approvals.unmatched import unmatched
from sansi.agents.toolset import BUILT_IN, NO_WAIT, TOOL_NAMES, Toolset
from sansi.base import SansiError

PATH = {"type": "object", "properties": {"path": {}, "content": {}}}
TOOLS = [
    tool("write_file", origin="built-in", parameters=PATH),
    tool("github_delete_repo", origin="mcp:github", title="delete_repo"),
]


def told(*rules, complete=True, servers=("github",), verdict="never"):
    return list(unmatched([Rule.parse(verdict, rule) for rule in rules], TOOLS, TOOL_NAMES, servers, complete))


@pytest.mark.parametrize("verdict", ["always", "ask", "never"])
def test_a_rule_that_speaks_of_no_tool_is_told_with_the_nearest(verdict):
    [sentence] = told("shel", verdict=verdict)
    assert sentence == f'the rule {verdict} shel speaks of no tool; did you mean "shell"?'
    assert 'write_file does not take; did you mean "path"?' in told("write_file(pth=*)", verdict=verdict)[0]


@pytest.mark.parametrize(
    ("rule", "hint"),
    [
        ("files", "the tools of files are list_files, read_file"),
        ("mcp:githup/delete_*", 'nothing is called mcp:githup; did you mean "mcp:github"?'),
        ("mcp:github/delete_rep", 'has none of that name; did you mean "delete_repo"?'),
        ("built-in/shel", 'did you mean "shell"?'),
        ("builtin/shell", 'did you mean "built-in"?'),
        ("wriet_*", "speaks of no tool"),
    ],
)
def test_what_is_meant_is_hinted_at(rule, hint):
    assert hint in told(rule)[0]


def test_rules_of_tools_that_are_here_or_could_be_are_fine():
    fine = [
        "shell(command=*sudo*)",
        "write_*",
        "*",
        "mcp:github",
        "mcp:github/delete_*",
        "mcp:*/delete_*",
        "read_result",
    ]
    fine += ["github_delete_repo", "built-in/shell", "write_file(path=x)", "write_file(*=x)", "memory_save"]
    assert [t for t in told(*fine) if "read_result" not in t] == []


def test_a_rule_that_may_mean_a_tool_to_come_waits_until_the_servers_are_ready():
    assert told("shel", "mcp:github/nothing", "gitub_x", complete=False) == []
    assert "mcp:other" in told("mcp:other/x", complete=False)[0] and len(told("mcp:github/nothing")) == 1
    assert len(told("shel", complete=False, servers=())) == 1


def test_a_toolset_checks_rules(tmp_path):
    with Toolset(["files"], folder=tmp_path) as tools:
        tools.check_rules(Policy.of(never=["shell", "write_file(path=x)", "read_result"]).rules)
        for rule in ("shel", "write_file(pth=x)", "mcp:x/y"):
            with pytest.raises(SansiError, match="speaks of"):
                tools.check_rules(Policy.of(never=[rule]).rules)


@pytest.mark.parametrize("rules", [(), Policy.of(never=["shell"]).rules])
def test_a_check_of_rules_waits_for_no_server(rules, monkeypatch):
    with Toolset(["calculator"]) as tools:
        here, waits = tools.all(), []
        monkeypatch.setattr(Toolset, "all", lambda self, wait=None: waits.append(wait) or here)
        tools.check_rules(rules)
    assert waits == [NO_WAIT]


@pytest.mark.parametrize("name", list(BUILT_IN))
def test_the_names_of_tools_are_those_that_are_turned_on(name, tmp_path):
    pytest.importorskip("sansi.agents.tools.fetch") if name == "fetch" else None
    with Toolset([name], folder=tmp_path) as tools:
        assert tuple(each.name for each in tools.all()) == TOOL_NAMES[name]
