"""Chat models whose answers are certain: one that calls tools, one that is always too busy at first."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import AsyncIterator, Callable
from typing import Any

from fake_chat import FakeChat  # tests/serve
from sansi.chat import ChatOptions
from sansi.text import Content, Message, Reasoning, ToolCall, ToolCallDelta, read_messages

PLACES = ({"city": "上海", "days": 2}, {"city": 'Fort "Wayne"', "days": 1})
CALLS = tuple(
    ToolCall(f"call_{number}", "get_weather", json.dumps(place, ensure_ascii=False))
    for number, place in enumerate(PLACES)
)
WEATHER = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "description": "Weather of the next days.",
        "parameters": {
            "type": "object",
            "properties": {"city": {"type": "string"}, "days": {"type": "integer"}},
            "required": ["city", "days"],
        },
    },
}


class Caller(FakeChat):
    """Calls `get_weather` for two places at once; when the results are there, repeats them."""

    def stream(self, messages: Any, options: ChatOptions) -> AsyncIterator[Any]:
        read = read_messages(messages)
        self.seen.append((messages, options))
        results = [message.content for message in read if message.role == "tool"]
        return self._repeat(results, options) if results else self._call(options)

    async def _repeat(self, results: list[str], options: ChatOptions) -> AsyncIterator[Any]:
        text = " and ".join(results)
        yield Content(text)
        result = self._result(options, False, [], False)
        yield dataclasses.replace(result, message=Message("assistant", text))

    async def _call(self, options: ChatOptions) -> AsyncIterator[Any]:
        yield Reasoning("Look it up.")
        for index, call in enumerate(CALLS):
            yield ToolCallDelta(index, call.id, call.name, "")
            for character in call.arguments:
                yield ToolCallDelta(index, call.id, None, character)
        message = Message("assistant", "", reasoning_content="Look it up.", tool_calls=CALLS)
        result = self._result(options, True, ["Look ", "it ", "up."], False)
        yield dataclasses.replace(result, message=message, finish_reason="tool_calls")


class Played(FakeChat):
    """Says what a part says, given the whole conversation: a call, or a text that ends the turn."""

    def __init__(self, name: str, part: Callable[[tuple[Message, ...]], tuple[str, dict[str, Any]] | str]):
        super().__init__(name)
        self.part = part

    async def stream(self, messages: Any, options: ChatOptions) -> AsyncIterator[Any]:
        planned = self.part(read_messages(messages))
        result = self._result(options, False, [], False)
        if isinstance(planned, str):
            yield Content(planned)
            yield dataclasses.replace(result, message=Message("assistant", planned))
            return
        call = ToolCall("call_0", planned[0], json.dumps(planned[1]))
        yield ToolCallDelta(0, call.id, call.name, call.arguments)
        message = Message("assistant", "", tool_calls=(call,))
        yield dataclasses.replace(result, message=message, finish_reason="tool_calls")


class Planned(Played):
    """Says what a plan says, given the tools' results so far."""

    def __init__(self, name: str, plan: Callable[[list[str]], tuple[str, dict[str, Any]] | str]):
        super().__init__(name, lambda chat: plan([message.content for message in chat if message.role == "tool"]))
