"""Streams of any endpoint as deltas, and the same reply at their end as without streaming."""

import asyncio
import json

import httpx
import pytest
from sansi.base import SansiError
from sansi.client import AssistantReply, HTTPChatClient, InProcessChatClient, Usage, deltas_of
from sansi.text import Content, Message, Reasoning, ToolCall, ToolCallDelta

USER = Message("user", "2+2?")


def sse(*chunks, done=True):
    lines = [f"data: {json.dumps(chunk)}\n\n" for chunk in chunks]
    return "".join([": open\n\n", *lines, "data: [DONE]\n\n" if done else ""])


def delta(finish=None, **fields):
    return {"choices": [{"index": 0, "delta": fields, "finish_reason": finish}]}


def client(text, seen=None, status=200):
    def handle(request):
        if seen is not None:
            seen.append(json.loads(request.content))
        return httpx.Response(status, text=text)

    return HTTPChatClient("http://model.test/v1", "nano", transport=httpx.MockTransport(handle))


def streamed(made, **options):
    async def collect():
        return [d async for d in made.stream([USER], (), **options)]

    return asyncio.run(collect())


def test_thought_content_and_calls_come_as_deltas_and_the_reply_last():
    seen = []
    usage = {"prompt_tokens": 5, "completion_tokens": 7, "completion_tokens_details": {"reasoning_tokens": 3}}
    text = sse(
        delta(role="assistant", content=""),
        delta(reasoning_content="two "),
        delta(reasoning="and two"),
        delta(content="So: "),
        delta(tool_calls=[{"index": 0, "id": "a", "function": {"name": "f", "arguments": ""}}]),
        delta(tool_calls=[{"index": 0, "function": {"arguments": '{"x":'}}]),
        delta(tool_calls=[{"index": 0, "function": {"arguments": " 1}"}}]),
        delta(tool_calls=[{"index": 1, "id": "b", "function": {"name": "g", "arguments": "{"}}]),
        delta("tool_calls"),
        {"choices": [], "usage": usage, "sansi": {"mode": "thinking", "tool_call_errors": {"b": "truncated"}}},
    )
    *deltas, reply = streamed(client(text, seen), thinking_budget=8)
    assert deltas[:4] == [Reasoning("two "), Reasoning("and two"), Content("So: "), ToolCallDelta(0, "a", "f", "")]
    calls = (ToolCall("a", "f", '{"x": 1}'), ToolCall("b", "g", "{", "truncated"))
    assert reply.message == Message("assistant", "So: ", "two and two", calls)
    assert (reply.finish_reason, reply.usage, reply.report["mode"]) == ("tool_calls", Usage(5, 7, 3), "thinking")
    assert seen[0]["stream"] is True and seen[0]["thinking_budget"] == 8
    assert seen[0]["stream_options"] == {"include_usage": True}


def test_calls_without_an_index_are_told_apart_by_their_ids():
    text = sse(
        delta(tool_calls=[{"id": "a", "function": {"name": "f", "arguments": {"x": 1}}}]),
        delta(tool_calls=[{"id": "b", "function": {"name": "f", "arguments": {"x": 2}}}]),
        delta("tool_calls"),
    )
    reply = streamed(client(text))[-1]
    assert [(c.id, c.arguments) for c in reply.message.tool_calls] == [("a", '{"x": 1}'), ("b", '{"x": 2}')]


def test_a_stream_that_breaks_off_is_no_whole_reply():
    reply = streamed(client(sse(delta(content="4"), done=False)))[-1]
    assert (reply.message.content, reply.finish_reason) == ("4", "abort")


@pytest.mark.parametrize(
    ("text", "status", "words"),
    [
        (sse({"error": {"message": "out of memory"}}), 200, "out of memory"),
        ("data: {\n\n", 200, "something else than JSON"),
        (sse({"choices": [{"delta": {"content": 4}}]}), 200, "something else than a chat completion"),
        (json.dumps({"error": {"message": "too long", "code": "context_length_exceeded"}}), 400, "HTTP 400: too long"),
    ],
)
def test_what_goes_wrong_in_a_stream_is_a_user_error(text, status, words):
    with pytest.raises(SansiError, match=words) as caught:
        streamed(client(text, status=status))
    assert caught.value.code == ("context_length_exceeded" if status == 400 else None)


def test_acomplete_is_complete():
    reply = asyncio.run(client(sse(delta("stop", content="4"))).acomplete([USER]))
    assert reply.message == Message("assistant", "4")


def test_a_client_that_can_not_stream_gives_its_deltas_at_once():
    class Whole:
        def complete(self, messages, tools, **options):
            call = ToolCall("a", "f", "{}")
            return AssistantReply(Message("assistant", "4", "hm", (call,)), "tool_calls")

    async def collect():
        return [d async for d in deltas_of(Whole(), [USER], (), {})]

    *deltas, reply = asyncio.run(collect())
    kinds = [type(d).__name__ for d in deltas]
    assert kinds == ["Reasoning", "Content", "ToolCallDelta", "ToolCallDelta"]
    assert reply.message.tool_calls[0].id == "a"


def test_tokens_are_counted_by_the_endpoint_where_it_can():
    asked = []

    def handle(request):
        asked.append((request.url.path, json.loads(request.content)))
        return httpx.Response(200, json={"count": 12, "max_model_len": 4096, "tokens": []})

    http = HTTPChatClient("http://model.test/v1", "nano", transport=httpx.MockTransport(handle))
    count = http.count_tokens([USER], [{"type": "function"}], temperature=0, enable_thinking=False)
    assert (count.tokens, count.source, str(count)) == (12, "endpoint", "12")
    assert asked[0][0] == "/tokenize" and set(asked[0][1]) == {"model", "messages", "tools", "enable_thinking"}
    assert http.context_length == 4096


def test_an_endpoint_without_a_tokenizer_is_asked_once():
    asked = []

    def handle(request):
        asked.append(request.url.path)
        cards = {"data": [{"id": "nano", "max_model_len": 2048}]}
        return httpx.Response(200, json=cards) if request.method == "GET" else httpx.Response(404, text="?")

    http = HTTPChatClient("http://model.test/v1", "nano", transport=httpx.MockTransport(handle))
    assert http.count_tokens([USER]) is None and http.count_tokens([USER]) is None
    assert http.context_length == 2048 and asked == ["/tokenize", "/v1/models"]


def test_in_process_tokens_are_counted_by_the_codec():
    class Chat:
        context_length = 64

        def prompt_ids(self, messages, options):
            return [1] * len(messages)

    from sansi.chat import ChatOptions

    made = InProcessChatClient(Chat(), ChatOptions())
    assert (made.count_tokens([USER]).tokens, made.count_tokens([USER]).source) == (1, "codec")
    assert made.context_length == 64


class Busy:
    """A server that refuses the first requests."""

    def __init__(self, *answers):
        self.answers, self.asked = list(answers), 0

    def __call__(self, request):
        self.asked += 1
        if len(self.answers) > 1:
            return self.answers.pop(0)
        if json.loads(request.content).get("stream"):
            return httpx.Response(200, text=sse(delta("stop", content="4")))
        return httpx.Response(200, json={"choices": [{"message": {"content": "4"}, "finish_reason": "stop"}]})


def ways(busy, **fields):
    http = HTTPChatClient("http://model.test/v1", "nano", transport=httpx.MockTransport(busy), **fields)
    return {"whole": lambda: http.complete([USER]), "streamed": lambda: asyncio.run(http.acomplete([USER]))}


@pytest.mark.parametrize("way", ["whole", "streamed"])
def test_a_busy_server_is_asked_again_when_it_says(way):
    soon = {"retry-after": "0.01"}
    busy = Busy(httpx.Response(429, headers=soon), httpx.Response(503, headers=soon), None)
    assert ways(busy)[way]().message.content == "4" and busy.asked == 3


@pytest.mark.parametrize("way", ["whole", "streamed"])
@pytest.mark.parametrize(
    ("status", "headers", "fields"),
    [(400, {}, {}), (500, {}, {}), (429, {"retry-after": "3600"}, {}), (503, {}, {"retries": 0})],
)
def test_what_is_no_use_is_not_tried_again(way, status, headers, fields):
    busy = Busy(httpx.Response(status, headers=headers), None)
    with pytest.raises(SansiError, match=f"HTTP {status}"):
        ways(busy, **fields)[way]()
    assert busy.asked == 1


def test_an_error_that_is_null_is_none():
    chunk = delta("stop", content="4") | {"error": None}
    assert streamed(client(sse(chunk)))[-1].message.content == "4"


def test_retries_are_checked():
    with pytest.raises(SansiError, match="retries must be"):
        HTTPChatClient("http://model.test/v1", "nano", retries=-1)
