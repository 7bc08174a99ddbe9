"""Sansi as an MCP server: its tools by the SDK's client and by ours, over stdio and HTTP, behind keys."""

import asyncio
import http.server
import json
import sys
import threading
from contextlib import contextmanager
from types import SimpleNamespace

import pytest

pytest.importorskip("mcp", reason="the extra `agents` is not installed")

import uvicorn
from mcp import Client
from mcp_faults import PATIENT
from sansi.agents.mcp import Caller, MCPServers, ServerConfig
from sansi.agents.mcp.serve import chat_server, http_app
from sansi.base import SansiError
from sansi.cli import mcp as mcp_command
from sansi.cli.app import app as command_line
from sansi.client import AssistantReply, Usage
from sansi.serve.http.launch import bind
from sansi.serve.http.mcp import guarded
from sansi.serve.http.settings import Keys, ServerSettings
from sansi.text import Content, Message, Reasoning


class Model:
    """Says what it was asked; remembers the options."""

    def __init__(self):
        self.seen, self.left, self.begun = [], threading.Event(), threading.Event()

    def complete(self, messages, tools, **options):
        raise AssertionError("it streams")

    async def stream(self, messages, tools, **options):
        self.seen.append(([(message.role, message.content) for message in messages], options))
        yield Reasoning("Hm.")
        try:
            if messages[-1].content == "for ever":
                self.begun.set()
                await asyncio.sleep(3600)
            if messages[-1].content == "bad":
                raise SansiError("the prompt is longer than the context")
        finally:
            self.left.set()
        cut = messages[-1].content == "cut"
        answer = "" if cut else messages[-1].content.upper()
        yield Content(answer)
        reply = Message("assistant", answer, "Hm.")
        yield AssistantReply(reply, "length" if cut else "stop", Usage(7, 3, 2))


def server_of(model, **options):
    async def look_up():
        return model

    return chat_server(look_up, "small", options)


def asked(model, **arguments):
    async def ask():
        async with Client(server_of(model, thinking_budget=64)) as client:
            return await client.call_tool("chat", arguments)

    return asyncio.run(ask())


def test_the_sdks_client_asks_with_a_budget():
    model = Model()
    result = asked(model, prompt="hello", system="Be loud.", thinking_budget=16, seed=3)
    assert result.content[0].text == "HELLO"
    assert result.meta["sansi"] == {
        "thinking": "Hm.",
        "finish_reason": "stop",
        "prompt_tokens": 7,
        "completion_tokens": 3,
        "thinking_tokens": 2,
    }
    assert model.seen == [([("system", "Be loud."), ("user", "hello")], {"thinking_budget": 16, "seed": 3})]


def test_what_the_operator_chose_holds_unless_the_call_says_otherwise():
    model = Model()
    history = [{"role": "user", "content": "a"}, {"role": "assistant", "content": "A"}]
    asked(model, prompt="b", history=history)
    assert model.seen == [([("user", "a"), ("assistant", "A"), ("user", "b")], {"thinking_budget": 64})]


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ({"prompt": "bad"}, "the prompt is longer than the context"),
        ({"prompt": "x", "history": [{"role": "robot", "content": "y"}]}, "history[0] must have a role"),
        ({"prompt": "x", "thinking_budget": -1}, '"chat": "thinking_budget": -1 is less than the minimum of 0'),
        ({"prompt": "x", "promt": "y"}, '"chat": unknown argument "promt"; did you mean "prompt"?'),
        ({"prompt": "x", "temperature": "hot"}, '"temperature" must be a number, not "hot"'),
        ({}, 'not called: the arguments of "chat": "prompt" is missing'),
        ({"prompt": "cut"}, "the reply was cut: allow more max_tokens or less thinking_budget"),
    ],
)
def test_mistakes_are_told(arguments, told):
    result = asked(Model(), **arguments)
    assert result.is_error and told in result.content[0].text


@contextmanager
def listening(model, **settings):
    listener = bind("127.0.0.1", 0)
    listener.listen(16)  # before the thread does: it may be late
    app = http_app(server_of(model))
    server = uvicorn.Server(uvicorn.Config(guarded(app, "127.0.0.1", ServerSettings(**settings)), log_level="error"))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}/mcp"
    finally:
        server.should_exit = True
        thread.join(30)
        listener.close()


def chat_of(servers):
    return next(each for each in servers.definitions() if each.name == "chat")


@pytest.mark.parametrize("era", ["modern", "legacy"])
def test_over_http(era):
    told = []
    with listening(Model()) as url, MCPServers([ServerConfig("sansi", url=url, era=era, **PATIENT)]) as servers:
        assert servers.wait().ready == 1, servers.status()
        assert servers.call(chat_of(servers), {"prompt": "hello"}, Caller(told.append)).text == "HELLO"
        calculate = next(each for each in servers.definitions() if each.name == "calculate")
        assert servers.call(calculate, {"expression": "2**70"}).text == str(2**70)
        assert servers.call(calculate, {"expression": "2 +"}).is_error
        assert json.loads(servers.read_resource("sansi", "sansi://model").text)["name"] == "small"
    assert told == ["thinking (1)"]


def test_a_cancelled_call_frees_the_model():
    model = Model()
    with listening(model) as url, MCPServers([ServerConfig("sansi", url=url, **PATIENT)]) as servers:
        calling = servers.submit(chat_of(servers), {"prompt": "for ever"})
        assert model.begun.wait(60)
        calling.cancel()
        assert model.left.wait(60)


def test_keys_and_origins():
    with listening(Model(), keys=Keys(["secret"])) as url:
        configs = [
            ServerConfig("without", url=url, **PATIENT),
            ServerConfig("with", url=url, headers={"Authorization": "Bearer secret"}, **PATIENT),
            ServerConfig(
                "page", url=url, headers={"Authorization": "Bearer secret", "Origin": "http://evil.example"}, **PATIENT
            ),
        ]
        with MCPServers(configs) as servers:
            status = servers.wait()
    assert status["with"].state == "ready"
    assert "HTTP 401" in status["without"].cause and "HTTP 403" in status["page"].cause


class Endpoint(http.server.BaseHTTPRequestHandler):
    """An OpenAI-compatible server of one model that answers "42"."""

    def log_message(self, *_):
        pass

    def do_GET(self):
        self.answer("application/json", json.dumps({"data": [{"id": "tiny"}]}))

    def do_POST(self):
        delta = {"choices": [{"index": 0, "delta": {"content": "42"}}]}
        end = {"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}
        chunks = "".join(f"data: {json.dumps(chunk)}\n\n" for chunk in (delta, end))
        self.answer("text/event-stream", chunks + "data: [DONE]\n\n")

    def answer(self, kind, text):
        self.send_response(200)
        self.send_header("content-type", kind)
        self.send_header("content-length", str(len(text)))
        self.end_headers()
        self.wfile.write(text.encode())


def test_the_command_over_stdio():
    endpoint = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Endpoint)
    threading.Thread(target=endpoint.serve_forever, daemon=True).start()
    url = f"http://127.0.0.1:{endpoint.server_address[1]}"
    config = ServerConfig(
        "sansi", command=sys.executable, args=("-m", "sansi.cli", "mcp", "--url", url), transport="stdio", **PATIENT
    )
    try:
        with MCPServers([config]) as servers:
            assert servers.wait().ready == 1, servers.status()
            assert servers.status()["sansi"].server.startswith("sansi ")
            assert servers.call(chat_of(servers), {"prompt": "hello"}).text == "42"
            assert servers.status()["sansi"].notes == ()  # nothing else on stdout
    finally:
        endpoint.shutdown()
        endpoint.server_close()


def test_clients_that_show_a_servers_log_see_no_line_for_what_goes_well():
    assert server_of(Model()).settings.log_level == "WARNING"


def test_a_model_that_cannot_be_loaded_is_told_to_the_operator_and_to_who_asks(monkeypatch, capsys):
    @contextmanager
    def fails(*_):
        raise MemoryError("no room for 8 GiB")
        yield

    monkeypatch.setattr(mcp_command, "loaded", fails)
    monkeypatch.setattr(mcp_command, "find_model", lambda *_, **__: SimpleNamespace(name="big"))
    with mcp_command._client("big", None, None, "huggingface", "auto", None) as (_, look_up):

        async def ask():
            async with Client(chat_server(look_up, "big")) as client:
                return await client.call_tool("chat", {"prompt": "x"})

        result = asyncio.run(ask())
    assert result.is_error and "could not be loaded: MemoryError: no room for 8 GiB" in result.content[0].text
    assert "the model big could not be loaded: MemoryError: no room for 8 GiB" in capsys.readouterr().err


def test_the_command_refuses_what_does_not_fit_together(monkeypatch):
    with pytest.raises(
        SansiError, match="--quantize: for a model that is loaded here; --url asks a server that has its own"
    ):
        command_line(["mcp", "--url", "http://x", "--quantize", "int8"], standalone_mode=False)
    with pytest.raises(SansiError, match="--hub: for a model that is loaded here"):
        command_line(["mcp", "--url", "http://x", "--hub", "modelscope"], standalone_mode=False)
    with pytest.raises(SansiError, match="--url-key-env: for the server of --url; give --url with it"):
        command_line(["mcp", "--url-key-env", "HOME"], standalone_mode=False)
    for variable, value in (("NO_SUCH_KEY", None), ("BLANK_KEY", "  ")):
        if value is not None:
            monkeypatch.setenv(variable, value)
        with pytest.raises(SansiError, match=f"{variable}: that environment variable is not set"):
            command_line(["mcp", "--url", "http://x", "--url-key-env", variable], standalone_mode=False)
    with pytest.raises(SansiError, match="--port, --allow-host: for an address to listen on; give --http with it"):
        command_line(["mcp", "--port", "8001", "--allow-host", "x"], standalone_mode=False)
