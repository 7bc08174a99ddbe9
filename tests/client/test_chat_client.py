import json
import socket
from dataclasses import dataclass, field

import httpx
import pytest
from sansi.base import SansiError
from sansi.client import HTTPChatClient, InProcessChatClient, Usage
from sansi.client.streaming import Server
from sansi.text import Message, ToolCall

URL = "http://model.test/v1/"
USER = Message("user", "2+2?")
TOOLS = [{"type": "function", "function": {"name": "calculator", "description": "Compute.", "parameters": {}}}]


def completion(finish_reason="stop", **message):
    return {
        "choices": [{"message": {"role": "assistant", "content": None, **message}, "finish_reason": finish_reason}],
        "usage": {
            "prompt_tokens": 5,
            "completion_tokens": 7,
            "completion_tokens_details": {"reasoning_tokens": 3},
        },
        "sansi": {"mode": "thinking"},
    }


def client(answer, seen=None, **fields):
    def handle(request: httpx.Request) -> httpx.Response:
        if seen is not None:
            seen.append(request)
        if isinstance(answer, Exception):
            raise answer
        return answer if isinstance(answer, httpx.Response) else httpx.Response(200, json=answer)

    return HTTPChatClient(URL, "nano", transport=httpx.MockTransport(handle), **fields)


def test_the_request_is_openai_s():
    seen = []
    call = ToolCall("call_1", "calculator", '{"expression": "2+2"}')
    messages = [USER, Message("assistant", "", "a sum", (call,)), Message("tool", "4", tool_call_id="call_1")]
    client(completion(content="4"), seen, api_key="key").complete(messages, TOOLS, thinking_budget=8, temperature=0)
    assert str(seen[0].url) == "http://model.test/v1/chat/completions"
    assert seen[0].headers["authorization"] == "Bearer key"
    body = json.loads(seen[0].content)
    assert body["messages"][1] == {
        "role": "assistant",
        "content": "",
        "reasoning_content": "a sum",
        "tool_calls": [
            {"id": "call_1", "type": "function", "function": {"name": "calculator", "arguments": call.arguments}}
        ],
    }
    assert body["messages"][2] == {"role": "tool", "content": "4", "tool_call_id": "call_1"}
    assert {k: v for k, v in body.items() if k != "messages"} == {
        "model": "nano",
        "tools": TOOLS,
        "thinking_budget": 8,
        "temperature": 0,
    }


def test_no_tools_and_no_key_are_not_sent():
    seen = []
    client(completion(content="4"), seen).complete([USER])
    assert "tools" not in json.loads(seen[0].content)
    assert "authorization" not in seen[0].headers


@pytest.mark.parametrize(
    ("reasoning_field", "sent"),
    [("reasoning_content", {"reasoning_content": "hm"}), ("reasoning", {"reasoning": "hm"}), (None, {})],
)
def test_thoughts_are_sent_back_under_the_name_asked_for(reasoning_field, sent):
    seen = []
    history = [USER, Message("assistant", "4", "hm"), USER]
    client(completion(content="4"), seen, reasoning_field=reasoning_field).complete(history)
    message = json.loads(seen[0].content)["messages"][1]
    assert message == {"role": "assistant", "content": "4", **sent}


@pytest.mark.parametrize("name", ["reasoning_content", "reasoning"])
def test_both_names_of_the_thought_are_understood(name):
    reply = client(completion(content="4", **{name: "two and two"})).complete([USER])
    assert reply.message == Message("assistant", "4", "two and two")
    assert (reply.finish_reason, reply.usage) == ("stop", Usage(5, 7, 3))
    assert reply.report == {"mode": "thinking"}


def test_tool_calls_are_read_in_every_spelling():
    calls = [
        {"id": "a", "type": "function", "function": {"name": "f", "arguments": '{"x": 1}'}},
        {"function": {"name": "f", "arguments": {"x": "é"}}},
        {"id": None, "function": {"name": "f", "arguments": None}},
    ]
    reply = client(completion("tool_calls", tool_calls=calls)).complete([USER])
    assert reply.message.content == ""
    assert reply.message.tool_calls == (
        ToolCall("a", "f", '{"x": 1}'),
        ToolCall("call_1", "f", '{"x": "é"}'),
        ToolCall("call_2", "f", ""),
    )


def test_why_a_call_must_not_run_comes_with_it():
    body = completion("stop", tool_calls=[{"id": "a", "function": {"name": "f", "arguments": "{"}}])
    body["sansi"]["tool_call_errors"] = {"a": "truncated: the turn ended"}
    reply = client(body).complete([USER])
    assert reply.message.tool_calls == (ToolCall("a", "f", "{", "truncated: the turn ended"),)


def test_a_plain_server_without_extras_will_do():
    body = {"choices": [{"message": {"role": "assistant", "content": "4"}}]}
    reply = client(body).complete([USER])
    assert (reply.message, reply.finish_reason, reply.usage, reply.report) == (
        Message("assistant", "4"),
        "stop",
        Usage(),
        {},
    )


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (httpx.Response(400, json={"error": {"message": "negative budget", "param": "thinking_budget"}}), "HTTP 400"),
        (httpx.Response(401, json={"error": {"message": "no key"}}), "no key (an API key is needed: --api-key-file or"),
        (httpx.Response(404, text="<html>"), 'usually ends in "/v1"'),
        (httpx.Response(500, json={"error": "out of memory"}), "out of memory"),
        (httpx.Response(503, json=["busy"]), "HTTP 503"),
        (httpx.Response(307, headers={"location": "http://elsewhere.test"}), "HTTP 307"),
        (httpx.Response(200, text="hello"), "not JSON"),
        (httpx.Response(200, json={"choices": []}), "not a chat completion"),
        (httpx.Response(200, json=["choices"]), "not a chat completion"),
        (httpx.Response(200, json=completion(content=["4"])), "not a chat completion"),
        (httpx.Response(200, json=completion(tool_calls=[{"function": {"name": None}}])), "not a chat completion"),
        (httpx.ReadTimeout("slow"), "no answer in time"),
        (httpx.ConnectError("refused"), "is the server running"),
        (httpx.RemoteProtocolError("gone"), "can not be reached"),
    ],
)
def test_whatever_the_server_does_is_a_user_error(answer, words):
    with pytest.raises(SansiError) as caught:
        client(answer, retries=0).complete([USER])
    assert words in str(caught.value)
    assert "http://model.test/v1/chat/completions" in str(caught.value)


def test_the_server_s_param_is_kept():
    answer = httpx.Response(400, json={"error": {"message": "negative", "param": "thinking_budget"}})
    with pytest.raises(SansiError) as caught:
        client(answer).complete([USER], thinking_budget=-1)
    assert caught.value.param == "thinking_budget"


def test_a_refused_key_is_told_apart_from_a_missing_one():
    with pytest.raises(SansiError, match="the API key was refused: --api-key-file"):
        client(httpx.Response(401, json={"error": "wrong"}), api_key="k", retries=0).complete([USER])


@pytest.mark.parametrize("end", ["chat/completions", "chat/completions/", "responses", "completions"])
def test_the_address_of_an_endpoint_is_not_that_of_the_api(end):
    with pytest.raises(SansiError, match=r"give that of the API: http://host:1/v1$"):
        Server.at(f"http://host:1/v1/{end}")


def test_nobody_listens():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with HTTPChatClient(f"http://127.0.0.1:{port}/v1", "nano") as http, pytest.raises(SansiError, match="running"):
        http.complete([USER])


def test_the_timeout_holds_on_a_socket_that_never_answers():
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        url = f"http://127.0.0.1:{silent.getsockname()[1]}/v1"
        with HTTPChatClient(url, "nano", timeout=0.1) as http, pytest.raises(SansiError, match="in time"):
            http.complete([USER])


def test_the_environment_changes_nothing(monkeypatch):
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv("OPENAI_API_KEY", "secret")
    seen = []
    client(completion(content="4"), seen).complete([USER])
    assert "authorization" not in seen[0].headers
    with HTTPChatClient(URL, "nano") as http:
        assert not http._http._mounts


@pytest.mark.parametrize(
    ("fields", "param"),
    [({"base_url": "model.test/v1"}, "base_url"), ({"base_url": URL, "reasoning_field": "thought"}, "reasoning_field")],
)
def test_bad_settings_are_named(fields, param):
    with pytest.raises(SansiError) as caught:
        HTTPChatClient(**fields, model="nano")
    assert caught.value.param == param


@pytest.mark.parametrize("options", [{"stream": True}, {"temperature": float("nan")}, {"seed": object()}])
def test_options_that_can_not_work_are_refused(options):
    with pytest.raises(SansiError, match=r"option"):
        client(completion(content="4")).complete([USER], **options)


@dataclass(frozen=True)
class Options:
    tools: list | None = None
    thinking_budget: int | None = None
    temperature: float | None = 0.6


@dataclass(frozen=True)
class ChatUsage:
    prompt_tokens: int = 5
    completion_tokens: int = 7
    reasoning_tokens: int = 3
    cached_tokens: int = 1


@dataclass(frozen=True)
class Report:
    mode: str = "thinking"


@dataclass(frozen=True)
class Result:
    message: Message
    finish_reason: str = "stop"
    usage: ChatUsage = ChatUsage()
    report: Report = Report()


@dataclass
class Chat:
    seen: list = field(default_factory=list)

    def complete(self, messages, options):
        self.seen.append((messages, options))
        return Result(Message("assistant", "4", "hm"))


def test_in_process_options_are_replaced_by_name():
    chat = Chat()
    reply = InProcessChatClient(chat, Options(temperature=0.0)).complete((USER,), TOOLS, thinking_budget=8)
    assert chat.seen == [([USER], Options(TOOLS, 8, 0.0))]
    assert reply.message == Message("assistant", "4", "hm")
    assert (reply.finish_reason, reply.usage, reply.report) == ("stop", Usage(5, 7, 3), {"mode": "thinking"})


def test_in_process_without_tools_passes_none():
    chat = Chat()
    InProcessChatClient(chat, Options()).complete([USER])
    assert chat.seen[0][1].tools is None


def test_in_process_unknown_option_is_named():
    with pytest.raises(SansiError, match='did you mean "thinking_budget"') as caught:
        InProcessChatClient(Chat(), Options()).complete([USER], thinking_buget=8)
    assert caught.value.param == "thinking_buget"
