"""What servers offer in both eras of the protocol: tools, results, resources, prompts, progress, questions, changes."""

import json
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import SimpleNamespace

import pytest

pytest.importorskip("mcp", reason="the extra `agents` is not installed")

from mcp_faults import PATIENT
from sansi.agents import Agent, ToolContext
from sansi.agents.mcp import Caller, MCPFailure, MCPServers, Reply, ServerConfig, connection
from sansi.agents.mcp import servers as servers_module
from sansi.base import SansiError
from sansi.client import AssistantReply, Usage
from sansi.text import Message, ToolCall

SOUND = Path(__file__).with_name("mcp_sound.py")


def server(kind, name="sound", **fields):
    args = ("-I", "-S", str(SOUND), kind)
    return ServerConfig(name, command=sys.executable, args=args, transport="stdio", **PATIENT | fields)


@pytest.fixture(scope="module", params=["legacy", "modern"])
def servers(request):
    with MCPServers([server(request.param)]) as running:
        assert running.wait().ready == 1, running.status()
        yield running


def tool(servers, name):
    return next(each for each in servers.tools() if each.title == name or each.name.endswith(f"__{name}"))


def run(servers, name, **arguments):
    return tool(servers, name).call(json.dumps(arguments))


def test_every_page_of_tools_is_there_under_the_servers_name(servers):
    assert [each.name for each in servers.tools()][:3] == ["sound__echo", "sound__picture", "sound__ask"]
    assert {each.origin for each in servers.tools()} == {"mcp:sound"}
    assert servers.status()["sound"].instructions == "Be kind."


def test_a_call(servers):
    observation = run(servers, "echo", text="hé")
    assert (observation.text, observation.status) == ("hé", "ok")
    assert observation.origin == "mcp:sound" and observation.tainted


def test_arguments_are_checked_before_the_server_sees_them(servers):
    assert run(servers, "echo", texts="x").status == "invalid_arguments"


def test_what_is_no_text_becomes_attachments_and_links(servers):
    observation = run(servers, "picture")
    assert [(each.name, each.media_type) for each in observation.attachments] == [
        ("image-1.png", "image/png"),
        ("audio-2.wav", "audio/wav"),
    ]
    assert observation.attachments[0].data == b"\x89PNG not really"
    assert "[resource memo://a (a): a memo]" in observation.text
    assert observation.text.endswith("[resource memo://b]\ninside")


def test_a_structured_result_without_text_is_told(servers):
    assert run(servers, "sum").text == '{"sum": 3}'


def test_a_schema_that_refers_to_itself_is_kept_whole(servers):
    assert "$defs" in tool(servers, "tree").parameters
    assert run(servers, "tree", node={"name": "a", "children": [{"name": "b"}]}).text == "b"
    assert run(servers, "tree", node={"name": "a", "children": [{"nam": "b"}]}).status == "invalid_arguments"


def test_progress_is_told(servers):
    told = []
    observation = tool(servers, "steps").call("{}", ToolContext(progress=told.append))
    assert observation.text == "done"
    assert told == ["step 1 (1 of 2)", "step 2 (2 of 2)"]


def test_resources_and_templates(servers):
    found = servers.resources()
    assert [(each.uri, each.template, each.size) for each in found] == [
        ("memo://a", False, 5),
        ("memo://{name}", True, None),
    ]
    assert servers.read_resource("sound", "memo://a").text == "hello"
    assert servers.read_resource("sound", "memo://b.png").files[0].media_type == "image/png"


def test_resources_and_prompts_that_cannot_be_read_are_named(servers):
    servers.resources()
    servers.prompts()
    told = str(servers.status())
    assert 'MCP server "sound": its resource "no address" is left out: ' in told
    assert told.count('its prompt "odd" is left out: ') == 1


def test_prompts(servers):
    (prompt,) = servers.prompts("sound")
    assert prompt.arguments == (("name", "Whom", True),)
    got = servers.get_prompt("sound", "greet", {"name": "Ada"})
    assert (got.text, got.roles) == ("Greet Ada.", (("user", "Greet Ada."),))


def test_a_question_is_declined_where_nobody_is(servers):
    assert json.loads(run(servers, "ask").text) == {"action": "decline"}
    assert any("nobody is there" in note for note in servers.status()["sound"].notes)


@pytest.mark.parametrize("era", ["legacy", "modern"])
def test_a_question_reaches_the_user(era):
    asked = []

    def ask(question):
        asked.append(question)
        return Reply("accept", {"colour": "red"})

    with MCPServers([server(era)], ask=ask) as servers:
        assert json.loads(run(servers, "ask").text) == {"action": "accept", "content": {"colour": "red", "count": 3}}
    assert (asked[0].server, asked[0].message) == ("sound", "Which colour?")
    assert set(asked[0].schema["properties"]) == {"colour", "count"}


@pytest.mark.parametrize("era", ["legacy", "modern"])
def test_a_question_reaches_the_user_of_the_run_that_calls(era):
    calls = (ToolCall("c0", "sound__ask", "{}"),)
    replies = (
        AssistantReply(Message(role="assistant", content="", tool_calls=calls), "tool_calls", Usage()),
        AssistantReply(Message(role="assistant", content="ok"), "stop", Usage()),
    )
    asked = []

    def ask(question):
        asked.append((question.server, question.message))
        return Reply("accept", {"colour": "red"})

    script = iter(replies)
    with MCPServers([server(era)]) as servers:
        agent = Agent(SimpleNamespace(complete=lambda *_, **__: next(script)), servers.tools(), ask=ask)
        seen = agent.run([{"role": "user", "content": "Go"}]).calls[0].observation
    assert json.loads(seen) == {"action": "accept", "content": {"colour": "red", "count": 3}}
    assert asked == [("sound", "Which colour?")]


@pytest.mark.parametrize("era", ["legacy", "modern"])
def test_calls_of_several_conversations_never_ask_the_wrong_user(era):
    """Before 2026-07-28 a question does not say which call it is about: then nobody is asked."""

    asked = []

    async def ask(question):
        asked.append(question.server)
        return Reply("accept", {"colour": "red"})

    with MCPServers([server(era)]) as servers:
        found = {each.name: each for each in servers.definitions()}
        held = servers.submit(found["hold"], {}, Caller(ask=ask, conversation="a"))
        seen = servers.submit(found["ask"], {}, Caller(ask=ask, conversation="b")).result(20).text
        assert (json.loads(seen)["action"], len(asked)) == (("accept", 1) if era == "modern" else ("decline", 0))
        told = "which was declined as calls of several conversations run"
        assert (told in str(servers.status())) == (era == "legacy")
        held.cancel()


@pytest.mark.parametrize("kind", ["once more", "read-only"])
def test_a_server_that_can_ask_only_in_the_older_protocol_is_spoken_to_by_it(kind):
    asking = Path(__file__).with_name("mcp_asking.py")
    config = ServerConfig("asks", command=sys.executable, args=(str(asking), kind), transport="stdio", **PATIENT)
    with MCPServers([config], ask=lambda question: Reply("accept", {"colour": "red"})) as servers:
        paint = servers.tools()[0]
        first = paint.call("{}")
        if kind == "once more":
            assert first.status == "error" and "was not repeated" in first.text and "make it again" in first.text
            first = paint.call("{}")
        assert (first.status, "colour='red'" in first.text) == ("ok", True), first.text
        assert '"era": "legacy"' in str(servers.status()) and servers.status()["asks"].protocol == "2025-11-25"


def test_a_server_that_cannot_ask_and_is_to_speak_the_newer_protocol_is_told_what_to_write():
    asking = Path(__file__).with_name("mcp_asking.py")
    args = (str(asking), "once")
    config = ServerConfig("asks", command=sys.executable, args=args, transport="stdio", era="modern", **PATIENT)
    with MCPServers([config], ask=lambda question: Reply("cancel")) as servers:
        assert '"era": "legacy"' in servers.tools()[0].call("{}").text


@pytest.mark.parametrize("answer", ["accept", "decline"])
def test_a_page_that_has_to_be_visited_first_is_asked_for(answer):
    asked = []

    def ask(question):
        asked.append(question.url)
        return Reply(answer)

    with MCPServers([server("legacy")], ask=ask) as servers:
        seen = run(servers, "page")
    assert asked == ["https://example.com/connect"]
    assert seen.text == "visited" if answer == "accept" else "visit https://example.com/connect first" in seen.text


@pytest.mark.parametrize("era", ["legacy", "modern"])
def test_an_async_function_may_ask_too(era):
    async def ask(question):
        return Reply("cancel")

    with MCPServers([server(era)], ask=ask) as servers:
        assert json.loads(run(servers, "ask").text) == {"action": "cancel"}


@pytest.mark.parametrize("era", ["legacy", "modern"])
def test_no_time_of_the_call_runs_while_the_user_is_asked(era, monkeypatch):
    made = []

    class Watched(connection.Deadline):
        def __init__(self, *limits):
            super().__init__(*limits)
            made.append(self)

    seen, told = [], []

    def ask(question):
        seen.extend(deadline.scope.deadline for deadline in made)
        return Reply("decline")

    monkeypatch.setattr(connection, "Deadline", Watched)
    with MCPServers([server(era)], ask=ask) as servers:
        tool(servers, "ask").call("{}", ToolContext(progress=told.append))
    assert seen == [float("inf")]
    assert told == ["waiting for the user's answer: Which colour?"]


@pytest.mark.parametrize("era", ["legacy", "modern"])
def test_a_changed_list_is_read_anew(era):
    seen = threading.Event()

    def told(status):
        if any(change.name == "grown" for change in status["sound"].changes):
            seen.set()

    with MCPServers([server(era)], on_change=told) as servers:
        before = servers.tools()
        run(servers, "grow")
        assert seen.wait(20)
        assert [each.name for each in servers.tools()] == [*(each.name for each in before), "sound__grown"]
        (change,) = servers.status()["sound"].changes
        assert str(change) == 'tool "grown" of MCP server "sound" is new'


def test_the_era_can_be_set():
    configs = [server("modern", "new", era="modern"), server("legacy", "old", era="legacy")]
    with MCPServers([*configs, server("modern", "wrong", era="legacy")]) as servers:
        status = servers.wait()
        assert (status["new"].protocol, status["old"].protocol) == ("2026-07-28", "2025-11-25")
        assert status["wrong"].state == "failed" and "Unsupported" in status["wrong"].cause


def test_effects_follow_annotations_only_of_trusted_servers():
    with MCPServers([server("legacy", "stranger"), server("legacy", "friend", trusted=True)]) as servers:
        tools = {each.name: each for each in servers.tools()}
    assert tools["stranger__echo"].effects == {"read", "write", "network"} and tools["stranger__echo"].tainted
    assert tools["friend__sum"].effects == {"read"} and not tools["friend__sum"].tainted
    assert tools["friend__echo"].effects == {"read", "network"}
    assert tools["friend__picture"].effects == {"read", "write", "network"}


def test_a_question_for_approval_shows_server_and_arguments():
    with MCPServers([server("legacy")]) as servers:
        shown = tool(servers, "echo").shown({"text": "x"})
    assert shown == 'MCP server "sound", tool "echo":\n{\n  "text": "x"\n}'


def test_tools_that_are_not_wanted_are_not_offered():
    with MCPServers([server("legacy", include=("echo", "sum", "no_such"), exclude=("sum",))]) as servers:
        assert [each.name for each in servers.tools()] == ["sound__echo"]
        assert servers.status()["sound"].rejected == (("no_such", "the server does not offer it (includeTools)"),)


def test_a_polled_tool_is_one_and_a_name_that_is_none_is_told():
    with MCPServers([server("legacy", polling=("echo", "ecko"))]) as servers:
        assert [each.title for each in servers.tools() if each.polling] == ["echo"]
        assert ("ecko", "the server does not offer it (pollingTools)") in servers.status()["sound"].rejected


def test_an_agent_calls_two_servers():
    calls = (ToolCall("1", "one__echo", '{"text": "a"}'), ToolCall("2", "two__echo", '{"text": "b"}'))
    replies = [
        AssistantReply(Message(role="assistant", content="", tool_calls=calls), "tool_calls", Usage()),
        AssistantReply(Message(role="assistant", content="ab"), "stop", Usage()),
    ]
    client = SimpleNamespace(complete=lambda messages, tools, **options: replies.pop(0))
    with MCPServers([server("legacy", "one"), server("modern", "two")]) as servers:
        done = Agent(client, servers.tools()).run([{"role": "user", "content": "Say a and b."}])
    assert [record.observation for record in done.calls] == ["a", "b"] and done.answer == "ab"


def test_statuses_are_told_in_one_sentence_each(monkeypatch):
    monkeypatch.setenv("PATH", "/nowhere")
    configs = [
        server("legacy"),
        ServerConfig("time", command="uvx", args=("mcp-server-time",), transport="stdio"),
        ServerConfig("off", command="uvx", disabled=True, transport="stdio"),
        ServerConfig("lost", url="http://127.0.0.1:1/mcp"),
        ServerConfig("joined", command='python3 "my srv.py"', args=("-v",), transport="stdio"),
    ]
    with MCPServers(configs) as servers:
        lines = str(servers.wait()).split("\n")
    assert lines[0] == "1 of 4 MCP servers ready"
    assert lines[3] == (
        'MCP server "joined" did not start: its command "python3 "my srv.py"" is a program with arguments: write '
        '"command": "python3", "args": ["my srv.py", "-v"]'
    )
    assert lines[1] == (
        'MCP server "time" did not start: its program "uvx" is not installed; install uv (pip install uv) '
        "(looked in its PATH, 1 folder)"
    )
    assert lines[2].startswith('MCP server "lost" did not start: its address cannot be reached')


@pytest.mark.parametrize("transport", ["auto", "http"])
@pytest.mark.parametrize(
    ("path", "status", "hint"), [("", 404, True), ("/", 405, True), ("/other", 404, False), ("/", 200, True)]
)
def test_an_address_without_a_path_gets_the_usual_one_suggested(path, status, hint, transport):
    class Page(BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(status)
            self.send_header("Content-Type", "text/html")
            self.send_header("Content-Length", "0")
            self.end_headers()

        do_POST = do_GET

        def log_message(self, *args):
            pass

    page = ThreadingHTTPServer(("127.0.0.1", 0), Page)
    threading.Thread(target=page.serve_forever, daemon=True).start()
    address = f"http://127.0.0.1:{page.server_address[1]}"
    try:
        with MCPServers([ServerConfig("one", url=address + path, transport=transport)]) as servers:
            [told] = str(servers.wait()).split("\n")[1:]
    finally:
        page.shutdown()
        page.server_close()
    assert (f"try {address}/mcp" in told) == hint, told


def test_two_servers_of_one_name_are_refused():
    with pytest.raises(SansiError, match='two MCP servers are called "sound"; rename one of them'):
        MCPServers([server("legacy"), server("modern")])


def test_closed_servers_take_no_calls():
    with MCPServers([server("legacy")]) as servers:
        (definition, *_) = servers.definitions()
    with pytest.raises(SansiError, match="the MCP servers were closed"):
        servers.call(definition, {"text": "x"})
    servers.close()


def test_whoever_does_not_want_to_wait_does_not():
    """Not even for the SDK's import, which is held here."""
    held = threading.Event()
    import_of = servers_module.begin

    async def begin(config):
        held.wait(60)
        return await import_of(config)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(servers_module, "begin", begin)
        servers = MCPServers([server("legacy")])
        assert servers.tools(0) == [] and servers.wait(0.01).starting == 1
        held.set()
    assert len(servers.tools()) == 9
    servers.close()
    assert servers.wait()["sound"].state == "closed"


def test_an_unknown_server_is_named():
    with MCPServers([server("legacy")]) as servers, pytest.raises(SansiError, match='did you mean "sound"'):
        servers.read_resource("soun", "memo://a")


def test_a_failed_server_can_be_started_again(tmp_path):
    script = tmp_path / "later.py"
    config = ServerConfig("later", command=sys.executable, args=("-I", "-S", str(script), "legacy"), transport="stdio")
    with MCPServers([config]) as servers:
        assert servers.wait()["later"].state == "failed"
        with pytest.raises(MCPFailure, match="did not start"):
            servers.read_resource("later", "memo://a")
        script.write_text(SOUND.read_text())
        servers.restart("later")
        assert servers.read_resource("later", "memo://a").text == "hello"


def test_a_server_that_is_late_is_told_with_what_it_wrote_to_stderr():
    code = "import sys, time; print('loading 40 GB of data', file=sys.stderr, flush=True); time.sleep(60)"
    config = ServerConfig(
        "slow", command=sys.executable, args=("-I", "-S", "-c", code), transport="stdio", start_timeout=1.5
    )
    with MCPServers([config]) as servers:
        cause = servers.wait()["slow"].cause
    assert "no answer within 1.5 s (start_timeout_s)" in cause and cause.count("loading 40 GB of data") == 1
