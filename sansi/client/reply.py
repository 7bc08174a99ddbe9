"""What a completion brings back, and how it is read from OpenAI's bodies: whole, or chunk by chunk."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from sansi.base import SansiError
from sansi.text import ClosingPhrase, Content, Event, Message, Reasoning, ToolCall, ToolCallDelta


@dataclass(frozen=True)
class Usage:
    """Tokens of one completion, or the sum of several. reasoning_tokens are part of completion_tokens."""

    prompt_tokens: int = 0
    completion_tokens: int = 0
    reasoning_tokens: int = 0

    def __add__(self, other: Usage) -> Usage:
        return Usage(*(a + b for a, b in zip(dataclasses.astuple(self), dataclasses.astuple(other), strict=True)))


@dataclass(frozen=True)
class AssistantReply:
    """One completion: the assistant's message, why it ended, and what the other side reported."""

    message: Message
    finish_reason: str
    """"stop", "tool_calls", "length" (cut: its tool calls must not run) or "abort"."""
    usage: Usage = Usage()
    report: Mapping[str, Any] = field(default_factory=dict)
    """What Sansi says it did: mode, budget, why thinking ended. Empty from other servers."""
    prompt_ids: tuple[int, ...] | None = field(default=None, compare=False, repr=False)
    """The ids that the model read, where they are known; those that it wrote are the message's `ids`."""


def read_reply(body: Any) -> AssistantReply:
    """The body of a chat completion. Raises KeyError, IndexError, TypeError or AttributeError where it is none."""
    choice = body["choices"][0]
    wire = choice["message"]
    report = body.get("sansi") or {}
    errors = report.get("tool_call_errors") or {}
    calls = tuple(_tool_call(call, i, errors) for i, call in enumerate(wire.get("tool_calls") or ()))
    thought = _text(wire, "reasoning_content")
    message = Message(
        role="assistant",
        content=_text(wire, "content") or "",
        reasoning_content=_text(wire, "reasoning") if thought is None else thought,
        tool_calls=calls,
    )
    reason = _text(choice, "finish_reason") or ("tool_calls" if calls else "stop")
    return AssistantReply(message, reason, read_usage(body.get("usage") or {}), report)


def read_usage(wire: Mapping[str, Any]) -> Usage:
    details = wire.get("completion_tokens_details") or {}
    return Usage(
        wire.get("prompt_tokens") or 0, wire.get("completion_tokens") or 0, details.get("reasoning_tokens") or 0
    )


@dataclass
class ReplyReader:
    """Chunks of a streamed completion to events; `reply` is what they make together."""

    thought: str | None = None
    content: str = ""
    calls: dict[int, ToolCall] = field(default_factory=dict)
    finish_reason: str | None = None
    usage: Mapping[str, Any] = field(default_factory=dict)
    report: Mapping[str, Any] = field(default_factory=dict)

    def feed(self, chunk: Mapping[str, Any]) -> list[Event]:
        """What a chunk adds. Raises SansiError for one that is no chunk of a chat completion."""
        try:
            self.usage = chunk.get("usage") or self.usage
            self.report = chunk.get("sansi") or self.report
            choices = chunk.get("choices") or ()
            return [event for choice in choices for event in self._of_choice(choice)]
        except (KeyError, TypeError, AttributeError, ValueError) as error:
            raise SansiError(f"the server sent something else than a chat completion ({error!r})") from error

    def _of_choice(self, choice: Mapping[str, Any]) -> list[Event]:
        self.finish_reason = _text(choice, "finish_reason") or self.finish_reason
        delta = choice.get("delta") or {}
        found: list[Event] = []
        thought = _text(delta, "reasoning_content")
        thought = _text(delta, "reasoning") if thought is None else thought
        if thought is not None:
            self.thought = (self.thought or "") + thought
        if thought:
            found.append((ClosingPhrase if delta.get("closing_phrase") else Reasoning)(thought))
        if content := _text(delta, "content"):
            self.content += content
            found.append(Content(content))
        return [*found, *(self._call(call) for call in delta.get("tool_calls") or ())]

    def _call(self, call: Mapping[str, Any]) -> Event:
        """A piece of a call. Servers that send whole calls may leave the index out; a new id is then a new call."""
        index, function = call.get("index"), call.get("function") or {}
        if index is None:
            known_ids = {known.id: i for i, known in self.calls.items()}
            index = known_ids.get(call.get("id") or "", len(self.calls))
        index, name, arguments = int(index), _text(function, "name"), _arguments(function)
        known = self.calls.get(index) or ToolCall(call.get("id") or f"call_{index}", name or "", "")
        self.calls[index] = dataclasses.replace(
            known, name=known.name or name or "", arguments=known.arguments + arguments
        )
        return ToolCallDelta(index, known.id, name, arguments)

    @property
    def message(self) -> Message:
        """The message so far; calls carry the errors that the server's report names."""
        errors = self.report.get("tool_call_errors") or {}
        calls = tuple(dataclasses.replace(call, error=errors.get(call.id)) for _, call in sorted(self.calls.items()))
        return Message("assistant", self.content, self.thought, calls)

    @property
    def reply(self) -> AssistantReply:
        """A stream that ended without a reason was broken off: its calls must not run."""
        return AssistantReply(self.message, self.finish_reason or "abort", read_usage(self.usage), self.report)


def _text(holder: Mapping[str, Any], key: str) -> str | None:
    value = holder.get(key)
    if value is not None and not isinstance(value, str):
        raise TypeError(f'"{key}" is not text')
    return value


def _arguments(function: Mapping[str, Any]) -> str:
    arguments = function.get("arguments") or ""
    # some servers send the object itself
    return arguments if isinstance(arguments, str) else json.dumps(arguments, ensure_ascii=False)


def _tool_call(call: Mapping[str, Any], index: int, errors: Mapping[str, str]) -> ToolCall:
    function = call["function"]
    if not isinstance(function["name"], str):
        raise TypeError('"name" is not text')
    id_ = call.get("id") or f"call_{index}"
    return ToolCall(id_, function["name"], _arguments(function), errors.get(id_))
