"""Ollama's messages as those that the models know."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from sansi.base.errors import SansiError, did_you_mean
from sansi.base.shown import cut, show
from sansi.serve.api.fields import Reading, note_unread

ROLES = ("system", "user", "assistant", "tool")
READ_KEYS = {
    "system": ("content",),
    "user": ("content",),
    "assistant": ("content", "thinking", "tool_calls"),
    "tool": ("content", "tool_name", "tool_call_id", "name"),
}


@dataclass
class Conversation:
    """Messages, and where in the request each of them stands where that is elsewhere."""

    messages: list[dict[str, Any]] = field(default_factory=list)
    places: dict[str, str] = field(default_factory=dict)

    @property
    def continued(self) -> Literal["answer"] | None:
        """A last message of the assistant's is gone on with."""
        last = self.messages[-1]
        return "answer" if last["role"] == "assistant" and last["content"] and not last.get("tool_calls") else None


def read_messages(messages: list[Any], reading: Reading) -> Conversation:
    """Raises SansiError, with `param`, for messages that can not be read."""
    found = Conversation()
    for i, message in enumerate(messages):
        found.messages.append(_read(message, f"messages[{i}]", reading))
        if found.messages[-1].get("tool_calls"):
            path = f"messages[{i}].tool_calls"
            found.places |= {f"{path}[{j}].id": f"{path}[{j}]" for j in range(len(message["tool_calls"]))}
    return found


def _read(message: Any, where: str, reading: Reading) -> dict[str, Any]:
    if not isinstance(message, Mapping):
        raise SansiError(f"{where} must be an object, not {show(message)}", param=where)
    role = message.get("role")
    if role not in ROLES:
        near = did_you_mean(role if isinstance(role, str) else "", ROLES)
        raise SansiError(f"{where}.role is {show(role)}{near}", param=f"{where}.role")
    if message.get("images"):
        reason = f"{where}.images can not be read; say in words what they show"
        raise SansiError(reason, param=f"{where}.images")
    for key, value in message.items():
        if key not in READ_KEYS[role] and key != "role" and value not in (None, "", [], {}):
            reading.ignore_or_refuse(f"{where}.{cut(key)}", f"messages[].{key}")
    read: dict[str, Any] = {"role": role, "content": _text(message.get("content"), f"{where}.content")}
    if role == "assistant":
        if thought := _text(message.get("thinking"), f"{where}.thinking"):
            read["reasoning_content"] = thought
        if calls := message.get("tool_calls"):
            read["tool_calls"] = _calls(calls, f"{where}.tool_calls", reading)
    return read  # results belong to the calls before them in their order, as the models read them


def _calls(calls: Any, where: str, reading: Reading) -> list[dict[str, Any]]:
    if not isinstance(calls, list):
        raise SansiError(f"{where} must be an array, not {show(calls)}", param=where)
    return [_call(call, f"{where}[{i}]", f"call_{i}", reading) for i, call in enumerate(calls)]


def _call(call: Any, where: str, id_: str, reading: Reading) -> dict[str, Any]:
    function = call.get("function") if isinstance(call, Mapping) else None
    if not isinstance(function, Mapping):
        raise SansiError(f'{where} must be an object with a "function"', param=where)
    note_unread(call, ("id", "type", "index", "function"), where, "tool_calls[]", reading)
    known = ("name", "arguments", "index", "description")
    note_unread(function, known, f"{where}.function", "tool_calls[].function", reading)
    arguments = function.get("arguments")
    made = {"name": function.get("name"), "arguments": {} if arguments is None else arguments}
    return {"id": call.get("id") or id_, "type": "function", "function": made}


def _text(value: Any, where: str) -> str:
    if value is not None and not isinstance(value, str):
        raise SansiError(f"{where} must be a string, not {show(value)}", param=where)
    return value or ""
