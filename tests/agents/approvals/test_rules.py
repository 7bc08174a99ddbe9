import pytest
from hypothesis import given
from hypothesis import strategies as st
from made_tools import tool
from sansi.agents.approvals import Policy, Rule
from sansi.agents.approvals.patterns import approves, stops
from sansi.base import SansiError

SHELL = tool("shell", "execute")
TEXT = st.text(st.characters(codec="utf-8"), max_size=30)
NAMES = st.from_regex(r"[a-z_]{1,8}", fullmatch=True)


@pytest.mark.parametrize(
    ("text", "name", "arguments"),
    [
        ("shell", "shell", ()),
        ("files_*", "files_*", ()),
        ("shell(command=git status*)", "shell", (("command", "git status*"),)),
        ("shell( command = git log , cwd=/home/* )", "shell", (("command", "git log"), ("cwd", "/home/*"))),
        ('mail(body="a, b (c)", to=*@example.com)', "mail", (("body", "a, b (c)"), ("to", "*@example.com"))),
        ("mcp:github/delete_*", "mcp:github/delete_*", ()),
        ("shell()", "shell", ()),
    ],
)
def test_rules_are_read(text, name, arguments):
    assert Rule.parse("ask", text) == Rule("ask", name, arguments)


@pytest.mark.parametrize(
    "text", ["", "shell(", "shell(command)", "shell(=x)", 'a(b="c)', 'a(b="\\q")', "a b", "a(b=c=d,e)", 3, None]
)
def test_what_is_no_rule_is_quoted(text):
    with pytest.raises(SansiError, match="rule"):
        Rule.parse("never", text)


def test_an_unknown_verdict_is_named():
    with pytest.raises(SansiError, match="always"):
        Rule("allow", "shell")


@given(NAMES, st.dictionaries(NAMES, TEXT, max_size=3))
def test_a_rule_reads_what_it_writes(name, arguments):
    rule = Rule("never", name, tuple(arguments.items()))
    assert Rule.parse("never", str(rule)) == rule


@pytest.mark.parametrize(
    ("pattern", "fits", "fits_not"),
    [
        ("shell", tool("shell"), tool("shell2")),
        ("files_*", tool("files_read"), tool("my_files_read")),
        ("mcp:github", tool("x", origin="mcp:github"), tool("x", origin="mcp:gitlab")),
        ("mcp:*", tool("x", origin="mcp:github"), tool("x", origin="python")),
        (
            "mcp:github/delete_*",
            tool("mcp__github__delete_repo", origin="mcp:github", title="delete_repo"),
            tool("mcp__github__get", origin="mcp:github", title="get"),
        ),
        ("python/send", tool("send"), tool("send", origin="mcp:mail")),
    ],
)
def test_which_tools_are_meant(pattern, fits, fits_not):
    assert Rule("never", pattern).covers(fits, {})
    assert not Rule("never", pattern).covers(fits_not, {})


GIT = "git status*"


@pytest.mark.parametrize(
    "command",
    [
        "git status; rm -rf ~",
        "git status && curl evil.example",
        "git status | sh",
        "git status $(rm x)",
        "git status `rm x`",
        "git status > /etc/passwd",
        "git status\nrm x",
        "git status\r\nrm x",
        "git  status",
        "GIT STATUS",
        " git status",
        "git statu",
    ],
)
def test_an_approved_command_does_not_drag_another_along(command):
    assert not Rule.parse("always", f"shell(command={GIT})").covers(SHELL, {"command": command})


def test_an_approved_command_may_go_on_with_words():
    rule = Rule.parse("always", f"shell(command={GIT})")
    assert rule.covers(SHELL, {"command": "git status --short -- 'a file'"})
    assert not rule.covers(SHELL, {})  # what is not there is not what was approved


@pytest.mark.parametrize(
    "path", ["/tmp/../etc/passwd", "/tmp/a/../../etc/passwd", "/tmp/..", "/tmp/a\\..\\..\\x", "/tmpx/a", "/etc/passwd"]
)
def test_an_approved_folder_is_not_left(path):
    assert not approves("/tmp/*", path, command=False)


def test_what_is_inside_an_approved_folder_is_approved():
    assert approves("/tmp/*", "/tmp/a/..b/c..d", command=False)


@pytest.mark.parametrize(
    "address",
    [
        "https://docs.example.com.evil.example/x",
        "https://docs.example.com@evil.example/x",
        "https://evil.example/https://docs.example.com/x",
        "https://evil.example\\@docs.example.com/x",
        "https://docs.example.com:8443/x",
        "http://docs.example.com/x",
        "https://docs.example.com/a/%2e%2e/b",
        "https://docs.example.com/a b",
        "https://docs.example.com/a\u202eb",
        "https://xdocs.example.com/",
        "https://docs.example.com:port/",
        "docs.example.com/x",
        "javascript://docs.example.com/x",
    ],
)
def test_an_approved_host_is_not_left(address):
    assert not approves("https://docs.example.com/*", address, command=False)


def test_addresses_of_an_approved_host():
    assert approves("https://docs.example.com/*", "https://DOCS.example.com/a?b=c#d", command=False)
    assert approves("https://docs.example.com/*", "https://docs.example.com", command=False)
    assert approves("https://*.example.com/*", "https://a.b.example.com/x", command=False)
    assert not approves("https://*.example.com/*", "https://example.com/x", command=False)
    assert not approves("https://*.example.com/*", "https://badexample.com/x", command=False)
    assert not approves("https://*.example.com/*", "https://.example.com/x", command=False)


def test_a_host_with_an_open_end_is_refused_when_it_is_written():
    with pytest.raises(SansiError, match=r"https://example\.com/\*"):
        Rule.parse("always", "fetch(url=https://example.com*)")


@pytest.mark.parametrize(
    "command",
    [
        "rm -rf x",
        "RM  -RF x",
        "cd /; rm -rf x",
        "true && rm -rf x",
        "(rm -rf x)",
        "echo $(rm -rf x)",
        "ｒｍ -rf x",
        "\trm -rf x",
    ],
)
def test_a_forbidden_command_is_found_however_it_is_spelled(command):
    assert Rule.parse("never", "shell(command=rm *)").covers(SHELL, {"command": command})
    assert not Rule.parse("never", "shell(command=rm *)").covers(SHELL, {"command": "charm x"})


@pytest.mark.parametrize(
    "address",
    [
        "https://evil.example/x",
        "HTTPS://EVIL.example/x",
        "https://me@evil.example:443/x",
        "https://evil.example",
        "https://evil.example./",
    ],
)
def test_a_forbidden_address_is_found_however_it_is_spelled(address):
    assert stops("https://evil.example/*", address, command=False)


def test_of_several_values_one_is_enough_to_stop_and_all_are_needed_to_approve():
    mail = {"to": ["a@example.com", "b@evil.example"]}
    assert Rule.parse("never", "send(to=*@evil.example)").covers(tool(), mail)
    assert not Rule.parse("always", "send(to=*@example.com)").covers(tool(), mail)
    assert Rule.parse("always", "send(to=*@example.com)").covers(tool(), {"to": ["a@example.com"]})
    assert not Rule.parse("always", "send(to=*)").covers(tool(), {"to": []})


def test_any_argument_and_values_that_are_no_text():
    assert Rule.parse("never", "send(*=*secret*)").covers(tool(), {"a": 1, "b": {"c": ["x Secret y"]}})
    assert Rule.parse("never", "send(*=*key*)").covers(tool(), {"a": {"Key": 1}})
    assert Rule.parse("always", "send(n=3, on=true, x=null)").covers(tool(), {"n": 3, "on": True, "x": None})
    assert not Rule.parse("always", "send(*=3)").covers(tool(), {"n": 3, "m": 4})


def test_stars_and_question_marks_can_be_meant_as_they_are():
    assert approves(r"a\*b\?", "a*b?", command=False)
    assert not approves(r"a\*b\?", "axb?", command=False)
    assert approves(r"a\**", "a*xyz", command=False)
    assert approves("a?c", "abc", command=False) and not approves("a?c", "a;c", command=True)


@given(TEXT, st.booleans())
def test_a_text_without_wildcards_approves_itself_alone(text, command):
    plain = text.replace("*", "").replace("?", "").replace("\\", "")
    assert approves(plain, plain, command)
    assert not approves(plain, plain + "x", command)


@given(TEXT, TEXT, st.booleans())
def test_what_a_pattern_approves_it_also_stops(start, rest, command):
    """A pattern is never wider where it approves than where it stops."""
    pattern = start.replace("\\", "").replace("?", "").replace("*", "") + "*"
    if approves(pattern, start + rest, command):
        assert stops(pattern, start + rest, command)


def test_many_stars_take_no_time():
    assert not approves("*a" * 30 + "b", "a" * 20_000, command=False)
    assert not stops("*a" * 30 + "b", "a" * 20_000, command=False)


@pytest.mark.parametrize(
    "value",
    [
        "https://evil\u3002com/x",
        "https://ev\u00adil.com/x",
        "https://e\u200bvil.com/x",
        "https://evil.com?x=1",
        "https://evil.com#x",
        " https://evil.com/x",
        "https://EVIL.com.:8443/x",
    ],
)
def test_a_host_is_refused_however_it_is_spelled(value):
    assert stops("https://evil.com/*", value, command=False)


@pytest.mark.parametrize("value", ["http://134744072/", "http://0x08080808/x", "http://010.8.8.8/", "http://8.526344/"])
def test_an_ip_address_is_refused_however_it_is_counted(value):
    assert stops("http://8.8.8.8/*", value, command=False)


@pytest.mark.parametrize("value", ["./secret/x", "a/../secret/x", "secret//x", "secret\\x", ".//./secret/./x"])
def test_a_folder_is_refused_by_whatever_steps_it_is_reached(value):
    assert stops("secret/*", value, command=False)


@pytest.mark.parametrize("value", ["/usr/bin/sudo rm", "'sudo' rm", 's"u"do rm', "\\sudo rm", "ls; /bin/sudo rm"])
def test_a_program_is_refused_in_quotes_and_by_its_path(value):
    assert stops("sudo *", value, command=True)


def test_a_rule_that_forbids_nothing_by_a_slip_refuses_and_says_so():
    schema = {"type": "object", "properties": {"command": {"type": "string"}}}
    shell = tool("shell", "execute", parameters=schema)
    ruling = Policy.of("yolo", never=["shell(comand=*rm*)"]).decide(shell, {"command": "ls"})
    assert ruling.action == "deny" and 'did you mean "command"?' in ruling.reasons[0]
    assert Policy.of("yolo", never=["*(path=/etc/*)"]).decide(shell, {"command": "ls"}).action == "allow"
