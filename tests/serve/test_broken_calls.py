"""A call that must not be executed, in every dialect: it is told, and not as one that may be."""

import dataclasses
import json

import pytest
from fake_chat import FakeChat
from live_server import http, running
from sansi.text import Message, ToolCall, ToolCallDelta

GOOD = ToolCall("call_0", "f", '{"a": "x"}')
BROKEN = ToolCall("call_1", "f", '{"a": ', error="truncated: the turn ended before </tool_call>")
WORDS = [{"role": "user", "content": "go"}]


class Caller(FakeChat):
    """Calls `f` twice; the second call is broken."""

    def __init__(self, calls):
        super().__init__()
        self.calls = calls

    async def _stream(self, options):
        for index, call in enumerate(self.calls):
            yield ToolCallDelta(index, call.id, call.name, "")
            yield ToolCallDelta(index, call.id, None, call.arguments)
        calls = any(call.executable for call in self.calls)
        result = self._result(options, False, [], False)
        message = Message("assistant", "", tool_calls=tuple(self.calls))
        yield dataclasses.replace(result, message=message, finish_reason="tool_calls" if calls else "stop")


@pytest.fixture(scope="module")
def urls():
    with running([Caller([GOOD, BROKEN])]) as both, running([Caller([BROKEN])]) as broken:
        yield both, broken


def post(url, path, **body):
    return http.post(url + path, json={"model": "fake", **body})


def test_responses(urls):
    for url, statuses in zip(urls, (["completed", "incomplete"], ["incomplete"]), strict=True):
        whole = post(url, "/v1/responses", input="go").json()
        text = post(url, "/v1/responses", input="go", stream=True).text
        last = json.loads(text.rstrip().split("data: ")[-1])["response"]
        for response in (whole, last):
            assert [item["status"] for item in response["output"]] == statuses
            assert response["output"][-1]["arguments"] == BROKEN.arguments
            assert "truncated" in response["sansi"]["tool_call_errors"]["call_1"]


def test_messages(urls):
    for url, reason in zip(urls, ("tool_use", "end_turn"), strict=True):
        whole = post(url, "/v1/messages", messages=WORDS, max_tokens=9).json()
        assert whole["stop_reason"] == reason
        assert whole["content"][-1]["input"] == {"INVALID_JSON": BROKEN.arguments}
        assert "truncated" in whole["sansi"]["tool_call_errors"]["call_1"]


def test_ollama(urls):
    for url, many in zip(urls, (1, 0), strict=True):
        whole = post(url, "/api/chat", messages=WORDS, stream=False).json()
        lines = [json.loads(line) for line in post(url, "/api/chat", messages=WORDS).text.splitlines()]
        assert len(whole["message"].get("tool_calls", [])) == many
        assert sum(len(line["message"].get("tool_calls", [])) for line in lines) == many
        for end in (whole, lines[-1]):
            (broken,) = end["broken_tool_calls"]
            assert broken["arguments"] == BROKEN.arguments and "truncated" in broken["error"]
