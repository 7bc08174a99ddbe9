"""One loader for the files of many programs: every key is applied or named, one bad server does not lose the others."""

import json
import sys

import pytest
from sansi.agents.approvals import Approvals, Policy
from sansi.agents.mcp import MCPServers, load_servers, read_tool_list
from sansi.agents.mcp.config import ServerConfig
from sansi.agents.mcp.definitions import Definition
from sansi.agents.mcp.environment import environment_of
from sansi.agents.mcp.tools import tool_of
from sansi.agents.toolset import Toolset
from sansi.base import SansiError
from sansi.client import Server
from sansi.text import ToolCall


def load(entry, trusted=False, name="x"):
    (server,) = load_servers({"mcpServers": {name: entry}}, trusted=trusted)
    return server


def problem(entry):
    return load(entry).problem


def test_a_program_as_all_write_it():
    server = load({"command": "uvx", "args": ["mcp-server-time", "--local-timezone=Asia/Shanghai"]})
    assert (server.command, server.args) == ("uvx", ("mcp-server-time", "--local-timezone=Asia/Shanghai"))
    assert (server.transport, server.problem, server.notes) == ("stdio", None, ())
    assert (server.start_timeout, load({"url": "http://a/mcp"}).start_timeout) == (30, 10)


@pytest.mark.parametrize(
    ("entry", "transport"),
    [
        ({"url": "http://a/mcp"}, "auto"),  # Qwen-Agent and qwen-code mean SSE by it, others streamable HTTP
        ({"serverUrl": "http://a/mcp"}, "auto"),
        ({"httpUrl": "http://a/mcp"}, "http"),  # qwen-code, Gemini CLI
        ({"type": "streamable-http", "url": "http://a/mcp"}, "http"),  # Qwen-Agent
        ({"type": "http", "url": "http://a/mcp"}, "http"),  # Claude Code
        ({"type": "streamableHttp", "url": "http://a/mcp"}, "http"),  # Cline
        ({"type": "sse", "url": "http://a/sse"}, "sse"),
        ({"transportType": "sse", "url": "http://a/sse"}, "sse"),
        ({"transport": "http", "url": "http://a/mcp"}, "http"),
        ({"type": "stdio", "command": "x"}, "stdio"),
    ],
)
def test_transports_by_everybodys_word(entry, transport):
    assert (load(entry).transport, load(entry).problem) == (transport, None)


def test_headers_and_environment(monkeypatch):
    monkeypatch.setenv("TOKEN", "secret")
    monkeypatch.delenv("PORT", raising=False)
    remote = load({"url": "http://a:${PORT:-80}/mcp", "headers": {"Authorization": "Bearer ${TOKEN}"}})
    assert (remote.url, remote.headers) == ("http://a:80/mcp", {"Authorization": "Bearer secret"})
    local = load({"command": "x", "env": {"A": "$TOKEN", "B": "${env:TOKEN}", "C": "pa$word", "D": 5}})
    assert local.env == {"A": "secret", "B": "secret", "C": "pa$word", "D": "5"}


def test_a_variable_that_is_not_set_is_named(monkeypatch):
    monkeypatch.delenv("NO_SUCH_TOKEN", raising=False)
    for value in ("$NO_SUCH_TOKEN", "Bearer ${NO_SUCH_TOKEN}"):
        told = problem({"url": "http://a", "headers": {"Authorization": value}})
        assert told == '"headers.Authorization" needs the environment variable NO_SUCH_TOKEN, which is not set'
    assert "names no environment variable" in problem({"command": "x", "args": ["${input:key}"]})


def test_units_of_time():
    assert load({"command": "x", "timeout": 60}).call_timeout == 60  # Cline, Qwen-Agent: seconds
    many = load({"command": "x", "timeout": 600000})  # qwen-code: milliseconds
    assert (many.call_timeout, many.call_limit) == (600, 900)
    assert many.notes == ('"timeout": 600000 is read as milliseconds (600 s); "call_timeout_s" says which',)
    ours = load({"command": "x", "start_timeout_s": 5, "list_timeout_s": 6, "call_timeout_s": 2000, "timeout": 1})
    assert (ours.start_timeout, ours.list_timeout, ours.call_timeout, ours.call_limit) == (5, 6, 2000, 2000)
    assert load({"command": "x", "discoveryTimeoutMs": 2500}).start_timeout == 2.5
    assert load({"url": "http://a", "sse_read_timeout": 300, "timeout": 5}).call_timeout == 300


def test_a_file_does_not_raise_its_own_trust():
    entry = {"command": "x", "trust": True, "alwaysAllow": ["a"], "autoApprove": ["a", "b"]}
    server = load(entry)
    assert (server.trusted, server.allow) == (False, ())
    assert server.notes == ("trust, alwaysAllow, autoApprove: not followed, since a file cannot raise its own trust",)
    followed = load(entry, trusted=True)
    assert (followed.trusted, followed.allow, followed.notes) == (True, ("a", "b"), ())


def test_what_is_offered():
    server = load({"command": "x", "includeTools": ["a"], "excludeTools": ["b"], "disabledTools": ["c"]})
    assert (server.include, server.exclude) == (("a",), ("b", "c"))
    assert load({"command": "x", "disabled": True}).disabled and load({"command": "x", "enabled": False}).disabled
    assert load({"command": "x", "versionNegotiation": "legacy"}).era == "legacy"


def test_unknown_keys_are_named_and_do_not_stop_a_server():
    server = load({"command": "x", "tiemout": 5, "icon": "a.png", "oauth": {"clientId": "1"}})
    assert server.problem is None
    assert server.notes == (
        'the key "tiemout" is not known and not applied; did you mean "timeout"?',
        'the key "icon" is not known and not applied',
        '"oauth" is not applied: signing in is not built; give a token in "headers"',
    )


@pytest.mark.parametrize(
    ("entry", "told"),
    [
        ("uvx", "it must be an object"),
        ({}, "neither a command nor a url"),
        ({"comand": "uvx"}, 'did you mean "command" by "comand"?'),
        ({"command": "x", "url": "http://a"}, "both a command and a url"),
        ({"url": "http://a", "httpUrl": "http://b"}, "name different addresses"),
        ({"url": "localhost:80"}, "must start with http:// or https://"),
        ({"url": "ftp://a"}, "must start with http:// or https://"),
        ({"type": "websocket", "url": "http://a"}, 'type "websocket" is not known'),
        ({"type": "stdio", "url": "http://a"}, 'type "stdio" needs a command'),
        ({"type": "sse", "command": "x"}, 'type "sse" needs a url'),
        ({"command": 5}, '"command" must be text, not 5'),
        ({"command": "x", "args": "a b"}, '"args" must be a list, not text'),
        ({"command": "x", "args": [["a"]]}, '"args" must hold text'),
        ({"command": "x", "env": ["A=1"]}, '"env" must be an object, not a list'),
        ({"command": "x", "headers": {"Authorization": ["s3cret"]}}, '"headers" must hold text, not a list'),
        ({"command": "x", "timeout": "60"}, '"timeout" must be a number'),
        ({"command": "x", "timeout": True}, '"timeout" must be a number'),
        ({"command": "x", "trust": "yes"}, '"trust" must be true or false'),
        ({"command": "x", "timeout": 0}, "call_timeout must be over 0"),
        ({"command": "x", "era": "medieval"}, 'era "medieval" is not known'),
    ],
)
def test_one_bad_server_is_told_and_the_others_load(entry, told):
    bad, good = load_servers({"mcpServers": {"bad": entry, "good": {"command": "x"}}})
    assert told in bad.problem and good.problem is None


def test_files(tmp_path):
    path = tmp_path / "mcp.json"
    path.write_text('\ufeff{"theme": "dark", "mcpServers": {"a": {"command": "x"}}}', encoding="utf-8")
    assert [server.name for server in load_servers(path)] == ["a"]
    path.write_text('{"mcpServers": {"a": {"command": "x"}, "b": {"command": "y", "env": {"K": 1, "K": 2}}, "a": {}}}')
    first, second = load_servers(path)
    assert (first.name, first.problem) == ("a", "two servers have this name; rename one of them")
    assert (second.name, second.problem) == ("b", 'the key "K" stands twice')


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("{", "is no JSON"),
        ("[]", 'must be an object with "mcpServers"'),
        ("{}", 'has no "mcpServers"; it has nothing'),
        ('{"mcpServer": {}}', 'did you mean "mcpServers" by "mcpServer"?'),
        ('{"mcpServers": []}', '"mcpServers" must be an object of servers by name'),
        ("[" * 100_000, "nested too deeply"),
    ],
)
def test_what_is_no_configuration_is_refused(tmp_path, text, told):
    path = tmp_path / "mcp.json"
    path.write_text(text)
    with pytest.raises(SansiError) as refused:
        load_servers(path)
    assert told in str(refused.value) and str(path) in str(refused.value)


def test_a_file_that_is_not_there():
    with pytest.raises(SansiError, match=r"/no/such\.json: No such file"):
        load_servers("/no/such.json")


def test_the_announcements_own_configuration_word_for_word():
    tools = [
        {
            "mcpServers": {
                "time": {"command": "uvx", "args": ["mcp-server-time", "--local-timezone=Asia/Shanghai"]},
                "fetch": {"command": "uvx", "args": ["mcp-server-fetch"]},
            }
        },
        "code_interpreter",
    ]
    found = read_tool_list(json.loads(json.dumps(tools)))
    assert found.names == ("code_interpreter",)
    assert [(server.name, server.command, server.problem) for server in found.servers] == [
        ("time", "uvx", None),
        ("fetch", "uvx", None),
    ]


def test_a_list_of_tools_holds_names_and_servers_alone():
    with pytest.raises(SansiError, match=r"tools\[0\] must be a tool's name or"):
        read_tool_list([5])


def test_no_traceback_shows_what_is_secret_in_a_configuration():
    config = ServerConfig("a", url="https://a.example", env={"TOKEN": "s3cret"}, headers={"Authorization": "s3cret"})
    assert "s3cret" not in repr(config) and "s3cret" not in repr(Server("https://a.example/v1", "s3cret"))


def test_a_servers_entry_says_which_tools_are_polled():
    config = load({"command": "x", "pollingTools": ["look"]})
    made = {name: tool_of(None, config, Definition("a", name, None, "D", SCHEMA)).polling for name in NAMES}
    assert config.notes == () and made == {"look": True, "xy": False, "write": False}
    assert "pollingTools" in load({"command": "x", "pollingTools": "look"}).problem


def test_what_a_trusted_file_always_allows_runs_without_a_question():
    file = {"mcpServers": {"a": {"command": "true", "disabled": True, "alwaysAllow": ["look", "x*"]}}}
    with Toolset(mcp=[file]) as tools:
        policy = Policy("ask").with_rules(tools.rules)
    found = {
        name: tool_of(None, ServerConfig("a", command="x"), Definition("a", name, None, "D", SCHEMA)) for name in NAMES
    }
    actions = {
        name: Approvals(policy).decide(ToolCall("c", tool.name, "{}"), tool).action for name, tool in found.items()
    }
    assert actions == {"look": "allow", "xy": "ask", "write": "ask"}


NAMES, SCHEMA = ("look", "xy", "write"), {"type": "object", "properties": {}}


def environment(command="uvx", inherit=(), env=None, **own):
    config = ServerConfig("a", command=command, env=env or {}, inherit=tuple(inherit))
    return environment_of(config, {"PATH": "/bin", "LC_ALL": "C", **own})


def test_a_program_gets_the_usual_variables_and_no_secrets():
    own = {"GITHUB_TOKEN": "x", "OPENAI_API_KEY": "x", "https_proxy": "p", "XDG_CACHE_HOME": "c", "TERM": "() { :; }"}
    assert environment("python3", **own) == {"PATH": "/bin", "LC_ALL": "C", "https_proxy": "p", "XDG_CACHE_HOME": "c"}
    assert environment("python3", env={"GITHUB_TOKEN": "own"}, **own)["GITHUB_TOKEN"] == "own"


@pytest.mark.parametrize("command", ["uvx", "/usr/local/bin/uv", "uvx.exe"])
def test_an_installer_gets_its_own_settings(command):
    own = {"UV_INDEX_URL": "u", "UV_PUBLISH_TOKEN": "x", "npm_config_registry": "n"}
    assert set(environment(command, **own)) == {"PATH", "LC_ALL", "UV_INDEX_URL"}
    assert "npm_config_registry" in environment("npx", **own)


def test_what_else_a_program_gets_is_named():
    own = {"GITHUB_TOKEN": "x", "AWS_REGION": "r", "AWS_PROFILE": "p"}
    assert set(environment("x", ["AWS_*"], **own)) == {"PATH", "LC_ALL", "AWS_REGION", "AWS_PROFILE"}
    assert load({"command": "x", "inheritEnv": ["AWS_*", "GITHUB_TOKEN"]}).inherit == ("AWS_*", "GITHUB_TOKEN")
    assert load({"command": "x", "inheritEnv": True}).inherit == ("*",) and not load({"command": "x"}).inherit
    assert '"inheritEnv" must be a list of names, or true for all' in problem({"command": "x", "inheritEnv": "AWS_*"})


def test_a_variable_that_a_failing_program_speaks_of_is_named(monkeypatch):
    pytest.importorskip("mcp", reason="the extra `agents` is not installed")
    monkeypatch.setenv("WEATHER_API_KEY", "secret")
    code = "import sys; sys.exit('WEATHER_API_KEY is missing')"
    config = ServerConfig("weather", command=sys.executable, args=("-I", "-S", "-c", code), transport="stdio")
    with MCPServers([config]) as servers:
        told = str(servers.wait())
    assert "WEATHER_API_KEY is set here and was not passed on: name it in inheritEnv" in told and "secret" not in told


def test_servers_of_one_name_in_two_files_are_named_with_both(tmp_path):
    pytest.importorskip("mcp", reason="the extra `agents` is not installed")
    files = [tmp_path / "one.json", tmp_path / "two.json"]
    for file, more in zip(files, ("a", "b"), strict=True):
        entry = {"command": sys.executable, "disabled": True}
        file.write_text(json.dumps({"mcpServers": {"time": entry, more: entry}}))
    with Toolset(["calculator"], files) as tools:
        assert [tool.name for tool in tools.all()] == ["calculator"]
        status = tools.servers.wait()
    assert [server.name for server in status.servers] == ["time", "a", "b"]
    assert f"{files[0]} and {files[1]} have a server of this name; rename one of them" in status["time"].cause


def test_a_server_with_both_ways_is_told_in_a_whole_sentence():
    assert problem({"command": "x", "url": "https://x.example"}) == "it has both a command and a url; give one of them"
