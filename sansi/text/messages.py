"""Messages: frozen dataclasses, and the OpenAI-shaped dictionaries they are read from and written to."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from sansi.base.errors import SansiError, did_you_mean
from sansi.base.strict_json import parse_json

ROLES = ("system", "user", "assistant", "tool")
FIELDS = {
    "system": ("role", "content", "name"),
    "user": ("role", "content", "name"),
    "assistant": ("role", "content", "name", "reasoning_content", "reasoning", "tool_calls"),
    "tool": ("role", "content", "name", "tool_call_id"),
}


@dataclass(frozen=True)
class ToolCall:
    """One call of a function by the assistant; `arguments` is JSON text, kept as it was written."""

    id: str
    name: str
    arguments: str
    error: str | None = None
    """Why the call must not be executed, in one sentence; None: whole, well-formed, typed and known."""

    @property
    def executable(self) -> bool:
        return self.error is None


@dataclass(frozen=True)
class Message:
    """One turn. `reasoning_content` is None where there was no thought, "" where the thought was left empty."""

    role: str
    content: str = ""
    reasoning_content: str | None = None
    tool_calls: tuple[ToolCall, ...] = ()
    tool_call_id: str | None = None
    name: str | None = None
    ids: tuple[int, ...] | None = field(default=None, compare=False, repr=False)
    """The ids that the model wrote for this turn, without the one that ended it; never in dictionaries."""


AssistantMessage = Message  # with role "assistant"


def read_messages(messages: Sequence[Message | Mapping[str, Any]]) -> tuple[Message, ...]:
    """Validate a conversation. Raises SansiError that names the message's index and the field."""
    if isinstance(messages, str | Mapping | Message) or not isinstance(messages, Sequence):
        raise SansiError("messages must be a list of messages", param="messages")
    if not messages:
        raise SansiError("messages is empty; give at least one message", param="messages")
    return tuple(_read_message(message, f"messages[{i}]") for i, message in enumerate(messages))


def read_tools(tools: Sequence[Mapping[str, Any]] | None) -> tuple[Mapping[str, Any], ...]:
    """Validate tool definitions: OpenAI's {"type": "function", "function": {...}}, or the bare function."""
    if tools is None:
        return ()
    if isinstance(tools, str | Mapping) or not isinstance(tools, Sequence):
        raise SansiError("tools must be a list of tool definitions", param="tools")
    for i, tool in enumerate(tools):
        where = f"tools[{i}]"
        function, where = _function(tool, where) if isinstance(tool, Mapping) else (tool, where)
        if not isinstance(function, Mapping):
            raise _wrong(where, "an object", function)
        _string(function.get("name"), f"{where}.name")
        _json_text(tool, f"tools[{i}]")
    return tuple(tools)


def message_to_dict(message: Message) -> dict[str, Any]:
    """The OpenAI-shaped dictionary; fields that are not set are left out."""
    out: dict[str, Any] = {"role": message.role, "content": message.content}
    for key in ("reasoning_content", "tool_call_id", "name"):
        if getattr(message, key) is not None:
            out[key] = getattr(message, key)
    if message.tool_calls:
        out["tool_calls"] = [
            {"id": call.id, "type": "function", "function": {"name": call.name, "arguments": call.arguments}}
            for call in message.tool_calls
        ]
    return out


def _read_message(message: Message | Mapping[str, Any], where: str) -> Message:
    if isinstance(message, Message):
        read = _read_message(message_to_dict(message), where)
        return replace(read, ids=message.ids, tool_calls=message.tool_calls)
    if not isinstance(message, Mapping):
        raise _wrong(where, "an object", message)
    role = message.get("role")
    if role not in ROLES:
        raise SansiError(f"{where}.role is {role!r}{did_you_mean(str(role), ROLES)}", param=f"{where}.role")
    for key, value in message.items():
        # Clients send back whole messages: an unused field that holds nothing is fine, one that says something is not.
        if key not in FIELDS[role] and value not in (None, [], {}, ""):
            known = did_you_mean(str(key), FIELDS[role])
            raise SansiError(f'{where}.{key} is not a field of a "{role}" message{known}', param=f"{where}.{key}")
    return Message(
        role=role,
        content=_content(message, role, f"{where}.content"),
        reasoning_content=_reasoning(message, where) if role == "assistant" else None,
        tool_calls=_tool_calls(message.get("tool_calls"), f"{where}.tool_calls") if role == "assistant" else (),
        tool_call_id=_optional(message.get("tool_call_id"), f"{where}.tool_call_id") if role == "tool" else None,
        name=_optional(message.get("name"), f"{where}.name"),
    )


def _content(message: Mapping[str, Any], role: str, where: str) -> str:
    content = message.get("content")
    if content is None and role == "assistant":
        return ""
    if isinstance(content, Sequence) and not isinstance(content, str | bytes):
        return "".join(_part(part, f"{where}[{i}]") for i, part in enumerate(content))
    return _string(content, where)


def _part(part: Any, where: str) -> str:
    if not isinstance(part, Mapping):
        raise _wrong(where, "an object", part)
    if part.get("type") != "text":
        raise SansiError(f'{where}.type is {part.get("type")!r}; only "text" parts can be read', param=f"{where}.type")
    return _string(part.get("text"), f"{where}.text")


def _reasoning(message: Mapping[str, Any], where: str) -> str | None:
    """Servers disagree on the name of this field, so both are read."""
    for key in ("reasoning_content", "reasoning"):
        if message.get(key) is not None:
            return _string(message[key], f"{where}.{key}")
    return None


def _tool_calls(calls: Any, where: str) -> tuple[ToolCall, ...]:
    if calls is None:
        return ()
    if isinstance(calls, str | Mapping) or not isinstance(calls, Sequence):
        raise _wrong(where, "a list", calls)
    return tuple(_tool_call(call, f"{where}[{i}]", i) for i, call in enumerate(calls))


def _tool_call(call: Any, where: str, index: int) -> ToolCall:
    if isinstance(call, ToolCall):
        call = {"id": call.id, "name": call.name, "arguments": call.arguments}
    if not isinstance(call, Mapping):
        raise _wrong(where, "an object", call)
    function, inner = _function(call, where)
    if not isinstance(function, Mapping):
        raise _wrong(inner, "an object", function)
    return ToolCall(
        id=_optional(call.get("id"), f"{where}.id") or f"call_{index}",
        name=_string(function.get("name"), f"{inner}.name"),
        arguments=_arguments(function.get("arguments"), f"{inner}.arguments"),
    )


def _arguments(value: Any, where: str) -> str:
    """JSON text of an object. Text is kept as it is, so that what the model wrote is what it reads again."""
    if value is None or value == "":
        return "{}"
    if isinstance(value, Mapping):
        return _json_text(value, where)
    text = _string(value, where)
    try:
        parsed = parse_json(text)
    except ValueError as error:
        raise SansiError(f"{where} is not JSON ({error}); send an object", param=where) from error
    if not isinstance(parsed, Mapping):
        raise SansiError(f"{where} must be a JSON object, not {text}", param=where)
    return text


def _function(holder: Mapping[str, Any], where: str) -> tuple[Any, str]:
    return (holder["function"], f"{where}.function") if holder.get("function") else (holder, where)


def _json_text(value: Any, where: str) -> str:
    try:
        return _string(json.dumps(value, ensure_ascii=False, allow_nan=False), where)
    except (TypeError, ValueError, RecursionError) as error:
        raise SansiError(f"{where} cannot be written as JSON ({error})", param=where) from error


def _optional(value: Any, where: str) -> str | None:
    return None if value is None else _string(value, where)


def _string(value: Any, where: str) -> str:
    if not isinstance(value, str):
        raise _wrong(where, "text", value)
    if any(0xD800 <= ord(char) < 0xE000 for char in value) if not value.isascii() else False:
        raise SansiError(f"{where} holds half of a surrogate pair, which is not Unicode text", param=where)
    return value


def _wrong(where: str, wanted: str, value: Any) -> SansiError:
    found = "missing" if value is None else f"not {type(value).__name__}"
    return SansiError(f"{where} must be {wanted}, {found}" if value is not None else f"{where} is missing", param=where)
