"""`sansi chat --url`: the terminal chat with a server, Sansi's own and any other that speaks OpenAI's API."""

from __future__ import annotations

import asyncio
import json
import sys
import threading
import types
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from fake_chat import FakeChat
from live_server import running
from sansi.base.errors import SansiError
from sansi.chat import ChatOptions, ChatResult
from sansi.serve.http.settings import Keys
from sansi.serve.terminal.remote import RemoteChat
from sansi.text import Content, Message, Reasoning, ToolCallDelta

KEY = "0123456789abcdef"


@pytest.fixture
def served():
    chat = FakeChat("fake")
    with running([chat, FakeChat("other", content="Another")]) as url:
        yield types.SimpleNamespace(url=url, chat=chat)


@pytest.fixture
def other_server():
    """A server of another kind, which sends `lines` to whoever asks, and keeps what it was asked."""
    kept = types.SimpleNamespace(lines=[], status=200, bodies=[], models={"data": [{"id": "theirs"}]})

    class Handler(BaseHTTPRequestHandler):
        def log_message(self, *_):
            pass

        def do_GET(self):
            self._send(json.dumps(kept.models).encode())

        def do_POST(self):
            kept.bodies.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self._send("".join(f"{line}\n\n" for line in kept.lines).encode())

        def _send(self, body):
            self.send_response(kept.status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
    kept.url = f"http://127.0.0.1:{server.server_address[1]}"
    yield kept
    server.shutdown()
    server.server_close()


def ask(remote, options=None, text="Hi"):
    """Events and result of one answer."""

    async def all_of_it():
        return [item async for item in remote.stream([Message("user", text)], options or ChatOptions())]

    *events, result = asyncio.run(all_of_it())
    assert isinstance(result, ChatResult)
    return events, result


def chunk(**delta):
    return "data: " + json.dumps({"choices": [{"index": 0, "delta": delta}]})


def test_an_answer_is_the_one_that_the_server_gave(served):
    events, result = ask(RemoteChat.of(served.url), ChatOptions(thinking_budget=3, seed=5))
    assert (
        result.message.content == "It is 42" and "".join(e.text for e in events if isinstance(e, Content)) == "It is 42"
    )
    thought = "".join(e.text for e in events if isinstance(e, Reasoning))
    assert result.message.reasoning_content == thought and "12" in thought
    assert (result.report.mode, result.report.thinking_end_reason) == ("thinking", "budget")
    assert result.report.closing_phrase_tokens == 4 and any(getattr(event, "closing", False) for event in events)
    _, options = served.chat.seen[-1]
    assert (options.thinking_budget, options.seed) == (3, 5)


def test_the_mode_is_the_users(served):
    _, result = ask(RemoteChat.of(served.url), ChatOptions(enable_thinking=False))
    assert result.message.reasoning_content is None and result.report.mode == "non-thinking"


def test_the_first_model_or_the_one_that_is_named(served):
    assert RemoteChat.of(served.url).name == "fake" and RemoteChat.of(served.url).context_length == 1024
    assert RemoteChat.of(f"{served.url}/v1/", "other").name == "other"
    with pytest.raises(SansiError, match='no model "othr"; did you mean "other"'):
        RemoteChat.of(served.url, "othr")


def test_a_server_of_another_kind_tells_less_and_nothing_is_made_up(other_server):
    other_server.lines = [
        ": a comment",
        chunk(role="assistant"),
        chunk(reasoning="Hm. "),
        chunk(content="It is "),
        chunk(content="42"),
        'data: {"choices": [{"index": 0, "delta": {}, "finish_reason": "length"}]}',
        'data: {"choices": [], "usage": {"prompt_tokens": 7, "completion_tokens": 5}}',
        "data: [DONE]",
    ]
    remote = RemoteChat.of(other_server.url)
    events, result = ask(remote, ChatOptions(enable_thinking=True, temperature=0.5))
    assert remote.context_length == 0 and events == [Reasoning("Hm. "), Content("It is "), Content("42")]
    assert (result.message.content, result.message.reasoning_content) == ("It is 42", "Hm. ")
    assert (result.finish_reason, result.usage.completion_tokens) == ("length", 5)
    (body,) = other_server.bodies
    assert body["chat_template_kwargs"] == {"enable_thinking": True} and body["temperature"] == 0.5
    assert body["stream"] is True and "thinking_budget" not in body and "history" not in body


def test_calls_come_in_pieces(other_server):
    first = {"index": 0, "id": "a", "function": {"name": "add", "arguments": '{"a": '}}
    other_server.lines = [chunk(tool_calls=[first]), chunk(tool_calls=[{"index": 0, "function": {"arguments": "1}"}}])]
    events, result = ask(RemoteChat.of(other_server.url))
    assert events == [ToolCallDelta(0, "a", "add", '{"a": '), ToolCallDelta(0, "a", None, "1}")]
    (call,) = result.message.tool_calls
    assert (call.id, call.name, call.arguments) == ("a", "add", '{"a": 1}')


@pytest.mark.parametrize(
    ("lines", "words"),
    [
        (['data: {"error": {"message": "the model fell over"}}'], "the model fell over"),
        (["data: {"], "something else than JSON"),
        (['data: {"choices": [3]}'], "something else than a chat completion"),
    ],
)
def test_a_stream_that_can_not_go_on_says_why(other_server, lines, words):
    other_server.lines = lines
    with pytest.raises(SansiError, match=words):
        ask(RemoteChat.of(other_server.url))


# --- the command ---------------------------------------------------------------------------------------------------


@pytest.fixture
def sansi(sansi, monkeypatch, tmp_path):
    def run(*arguments, typed=""):
        (tmp_path / "typed").write_text(typed)
        monkeypatch.setattr(sys, "stdin", (tmp_path / "typed").open())
        return sansi(*arguments)

    return run


def test_a_chat_with_a_server(sansi, served):
    done = sansi("chat", "--url", served.url, typed="/budget 3\nHi\n/stats\n/quit\n")
    assert done.code == 0 and not done.err
    assert "fake · 1,024 tokens of context" in done.out and "It is 42" in done.out and "cut at the budget" in done.out


def test_a_chat_with_a_server_that_wants_a_key(sansi, monkeypatch, tmp_path):
    (tmp_path / "key").write_text(f"{KEY}\n")
    monkeypatch.setenv("THE_KEY", KEY)
    with running([FakeChat()], keys=Keys([KEY])) as url:
        assert "401" in sansi("chat", "--url", url).err
        for flags in (("--api-key-file", tmp_path / "key"), ("--api-key-env", "THE_KEY")):
            assert "It is 42" in sansi("chat", "--url", url, *flags, typed="Hi\n").out


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--url", "127.0.0.1:8000"], "http://HOST:PORT"),
        (["--url", "http://127.0.0.1:9"], "is the server running?"),
        (["--api-key-env", "X"], "--url"),
        (["--url", "http://127.0.0.1:9", "--api-key-env", "NO_SUCH_VARIABLE"], "NO_SUCH_VARIABLE"),
        (["--url", "http://127.0.0.1:9", "--api-key-file", "no/key"], "no/key"),
    ],
)
def test_a_mistake_is_one_line(sansi, arguments, words):
    done = sansi("chat", *arguments)
    assert done.code == 1 and words in done.err and done.err.count("\n") == 1
