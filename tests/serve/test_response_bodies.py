"""What the server says of tool calls: OpenAI's shape in the message, Sansi's words in its own block."""

import json
from dataclasses import replace

from fake_chat import FakeChat
from sansi.chat import ChatOptions, Tokens
from sansi.serve.api.framing import EVENTS
from sansi.serve.api.openai_chat import ChatReply
from sansi.serve.api.requests import ChatRequest
from sansi.serve.api.response_bodies import Done, Timing
from sansi.text import Content, Message, ToolCall, ToolCallDelta


def reply() -> ChatReply:
    return ChatReply(FakeChat(), ChatRequest("fake", ChatOptions()))


def test_a_call_that_must_not_run_is_openai_s_shape_and_the_reason_stands_beside():
    result = FakeChat()._result(ChatOptions(), True, [], False)
    calls = (ToolCall("a", "f", "{}"), ToolCall("b", "f", '{"x', "truncated: the turn ended before </tool_call>"))
    result = replace(result, message=Message("assistant", "", None, calls), problems=("truncated_call",))
    body = reply().whole([Done(0, 0, result, Timing(0.0, None, 1.0))], [[]])
    wire = body["choices"][0]["message"]["tool_calls"]
    assert [set(call) for call in wire] == [{"id", "type", "function"}] * 2
    assert body["sansi"]["problems"] == ["truncated_call"]
    assert body["sansi"]["tool_call_errors"] == {"b": calls[1].error}
    json.dumps(body)


def test_deltas_of_a_call_add_up_as_openai_s_clients_add_them():
    replies = reply()
    events = [ToolCallDelta(0, "a", "f", ""), ToolCallDelta(0, "a", None, '{"x"'), ToolCallDelta(0, "a", None, ": 1}")]
    deltas = [replies.chunk(0, event, ())["choices"][0]["delta"]["tool_calls"][0] for event in events]
    assert deltas[0] == {"index": 0, "id": "a", "type": "function", "function": {"name": "f", "arguments": ""}}
    assert deltas[1:] == [
        {"index": 0, "function": {"arguments": '{"x"'}},
        {"index": 0, "function": {"arguments": ": 1}"}},
    ]


def test_a_chunk_is_one_line_to_every_reader_of_lines():
    said = {"text": "a\u2028b\u2029c\x85d\n你"}
    event = EVENTS.chunk(said).decode()
    assert len(event.strip().splitlines()) == 1 and json.loads(event.removeprefix("data: ")) == said
    assert "你" in event and r"\u2028" in event


def test_running_usage_grows_with_the_tokens_of_each_chunk():
    replies = ChatReply(FakeChat(), ChatRequest("fake", ChatOptions(), stream=True, running_usage=True))
    pieces = [
        Tokens((5,), ("content",), prompt_ids=(1, 2, 3)),
        Tokens((6, 7), ("content",) * 2),
        Tokens((8,), ("content",)),
    ]
    told = [replies.chunks(0, Content("a"), [piece])[0]["usage"] for piece in pieces]
    assert [one["completion_tokens"] for one in told] == [1, 3, 4]
    assert [one["total_tokens"] for one in told] == [4, 6, 7]
