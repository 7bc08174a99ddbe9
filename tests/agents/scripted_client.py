"""A model that plays given replies, for the tests of the loop."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace

from sansi.client import AssistantReply, Usage
from sansi.text import Content, Message, Reasoning, ToolCall, ToolCallDelta, message_to_dict, read_messages

QUESTION = [{"role": "user", "content": "What is 17 * 23?"}]


class Script:
    """A client that plays given replies, and remembers what it was asked. A reply may be a function of the request."""

    def __init__(self, *replies):
        self.replies, self.seen = list(replies), []

    def complete(self, messages, tools, **options):
        read_messages([message_to_dict(m) for m in messages])  # what a server would refuse must not be sent
        self.seen.append((messages, tools, options))
        reply = self.replies.pop(0)
        if isinstance(reply, Exception):
            raise reply
        return reply(messages, tools, options) if callable(reply) else reply


class StreamedScript(Script):
    """The same as a stream, a few characters at a time. `closed`: how many streams were left before their end."""

    def __init__(self, *replies, delay=0.0, after=None):
        super().__init__(*replies)
        self.delay, self.closed, self.open, self.after = delay, 0, 0, after

    async def stream(self, messages, tools, **options):
        reply = self.complete(messages, tools, **options)
        whole = False
        self.open += 1
        try:
            for event in _pieces(reply.message):
                await asyncio.sleep(self.delay)
                yield event
            whole = True
            yield reply
        finally:
            self.open -= 1
            self.closed += not whole


def _pieces(message, size=4):
    for kind, text in ((Reasoning, message.reasoning_content or ""), (Content, message.content)):
        yield from (kind(text[i : i + size]) for i in range(0, len(text), size))
    for index, call in enumerate(message.tool_calls):
        yield ToolCallDelta(index, call.id, call.name, "")
        for i in range(0, len(call.arguments), size):
            yield ToolCallDelta(index, call.id, None, call.arguments[i : i + size])


def says(content, reason="stop", thought="Let me see.", usage=None):
    return AssistantReply(Message("assistant", content, thought), reason, usage or Usage(10, 5, 2))


def calls(*arguments, name="calculator", reason="tool_calls", usage=None):
    made = tuple(ToolCall(f"call_{i}", name, text) for i, text in enumerate(arguments))
    return AssistantReply(Message("assistant", "", "I need a tool.", made), reason, usage or Usage(10, 5, 2))


def several(*made, reason="tool_calls"):
    """Calls of several tools in one reply: (name, arguments) each."""
    found = tuple(ToolCall(f"call_{i}", name, json.dumps(arguments)) for i, (name, arguments) in enumerate(made))
    return AssistantReply(Message("assistant", "", "I need tools.", found), reason, Usage(10, 5, 2))


def compute(expression):
    return json.dumps({"expression": expression})


def with_ids(reply, *ids):
    made = tuple(replace(call, id=id_) for call, id_ in zip(reply.message.tool_calls, ids, strict=True))
    return replace(reply, message=replace(reply.message, tool_calls=made))
