"""The agent loop: the model calls tools and is told what came of it, until it answers or reaches a limit."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from sansi.agents.client import ChatClient, Usage
from sansi.agents.tools import Observation, Status, Tool
from sansi.base import SansiError
from sansi.base.errors import did_you_mean
from sansi.text import Message, ToolCall, read_messages
from sansi.text.messages import is_tool_name
from sansi.text.schema import parse_arguments

StoppedReason = Literal["answer", "max_calls", "length", "abort"]


@dataclass(frozen=True)
class CallRecord:
    """One tool call of a run: as the model wrote it, and what became of it."""

    call: ToolCall
    status: Status
    observation: str
    seconds: float


@dataclass(frozen=True)
class AgentRun:
    """A finished run. `messages` may be given to `Agent.run` again, with a next user message."""

    messages: tuple[Message, ...]
    """The messages given, then all that the run added; assistant messages carry their thoughts (reasoning_content)."""
    calls: tuple[CallRecord, ...]
    stopped_reason: StoppedReason
    """"answer"; "max_calls": calls were refused at the cap (it may have answered all the same); "length": a reply was
    cut; "abort": the other side ended it."""
    usage: Usage = field(default_factory=Usage)
    """Summed over the completions of the run."""

    @property
    def answer(self) -> str:
        """The text of the last assistant message; empty where it has none."""
        return next((m.content or "" for m in reversed(self.messages) if m.role == "assistant"), "")


class Agent:
    """A model with tools. `options` go to the client at each completion (thinking_budget, temperature, ...).

    Every call that the model writes gets an observation and counts towards `max_calls`, mistaken ones too, so that a
    run always ends. Beyond the cap the model is told so, and may answer once more. `on_message` sees each new message
    as it comes, so that a run which an unreachable server ends (SansiError) is not lost.
    """

    def __init__(
        self,
        client: ChatClient,
        tools: Iterable[Tool] = (),
        *,
        max_calls: int = 16,
        options: Mapping[str, Any] | None = None,
        on_message: Callable[[Message], None] | None = None,
    ):
        tools = list(tools)
        self.tools = {tool.name: tool for tool in tools}
        if len(self.tools) < len(tools):
            raise SansiError("two tools have the same name: " + ", ".join(tool.name for tool in tools), param="tools")
        if max_calls < 0:
            raise SansiError(f"max_calls must be at least 0, not {max_calls}", param="max_calls")
        self.client, self.max_calls, self.on_message = client, max_calls, on_message
        self.options = dict(options or {})

    def run(self, messages: Sequence[Message | Mapping[str, Any]]) -> AgentRun:
        """Complete, call tools, and so on until an answer or a limit. Raises SansiError only if the client does."""
        conversation = list(read_messages(messages))
        specs = [tool.spec for tool in self.tools.values()]
        calls: list[CallRecord] = []
        usage = Usage()
        while True:
            told_of_cap = len(calls) > self.max_calls
            reply = self.client.complete(tuple(conversation), specs, **self.options)
            usage += reply.usage
            self._add(conversation, _repeatable(reply.message))
            whole = reply.finish_reason in ("stop", "tool_calls")
            for call in reply.message.tool_calls:
                calls.append(self._answer(call, whole, len(calls)))
                self._add(conversation, _observation_message(calls[-1]))
            if not whole or not reply.message.tool_calls or told_of_cap:
                reason = self._stopped_reason(reply.finish_reason, whole, len(calls))
                return AgentRun(tuple(conversation), tuple(calls), reason, usage)

    def _add(self, conversation: list[Message], message: Message) -> None:
        conversation.append(message)
        if self.on_message is not None:
            self.on_message(message)

    def _stopped_reason(self, finish_reason: str, whole: bool, calls: int) -> StoppedReason:
        if not whole:
            return "length" if finish_reason == "length" else "abort"
        return "max_calls" if calls > self.max_calls else "answer"

    def _answer(self, call: ToolCall, whole: bool, made: int) -> CallRecord:
        start = time.perf_counter()
        result = self._observe(call, whole, made)
        return CallRecord(call, result.status, result.text, time.perf_counter() - start)

    def _observe(self, call: ToolCall, whole: bool, made: int) -> Observation:
        if not whole:  # any call of a cut reply may be the cut one
            return Observation("error: not executed: the reply that made this call was cut", "not_executed")
        if made >= self.max_calls:
            text = f"error: not executed: the limit of {self.max_calls} tool calls is reached; answer without tools"
            return Observation(text, "not_executed")
        tool = self.tools.get(call.name)
        if tool is None:
            known = did_you_mean(call.name, self.tools) + f" (tools: {', '.join(sorted(self.tools)) or 'none'})"
            return Observation(f'error: unknown tool "{call.name}"{known}', "unknown_tool")
        if not call.executable:  # the codec has found it truncated, malformed or not to fit the tool
            return Observation(f"error: not executed: {call.error}", "invalid_arguments")
        return tool.call(call.arguments)


def _observation_message(record: CallRecord) -> Message:
    return Message(role="tool", content=record.observation, tool_call_id=record.call.id, name=record.call.name)


def _repeatable(message: Message) -> Message:
    """`message` as it may be sent again: arguments that are no JSON object, or a name that no tool may have, would make
    every later request invalid.

    Such a call keeps its place with empty arguments, or as "unknown"; its observation quotes what the model wrote.
    """
    calls = tuple(call if _is_object(call.arguments) else replace(call, arguments="{}") for call in message.tool_calls)
    calls = tuple(call if is_tool_name(call.name) else replace(call, name="unknown") for call in calls)
    return replace(message, tool_calls=calls)


def _is_object(arguments: str) -> bool:
    try:
        parse_arguments(arguments)
    except SansiError:
        return False
    return True
