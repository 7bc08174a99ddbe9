"""Tools, calls and messages for tests of approvals."""

import json
from dataclasses import dataclass, field
from typing import Any

from sansi.text import Message, ToolCall


@dataclass(frozen=True)
class MadeTool:
    name: str = "send"
    effects: frozenset = frozenset({"write"})
    description: str = "Send a message."
    parameters: dict = field(default_factory=lambda: {"type": "object"})
    origin: str = "python"
    title: str | None = None
    tainted: bool = False
    show: Any = None


def tool(name="send", *effects, **fields):
    return MadeTool(name, frozenset(effects or ("write",)), **fields)


def call(name="send", id_="call_0", error=None, **arguments):
    return ToolCall(id_, name, json.dumps(arguments), error)


def user(text):
    return Message("user", text)


def strangers(text, origin="mcp:mail"):
    text = text if isinstance(text, str) else json.dumps(text)
    return Message("tool", text, tool_call_id="call_0", name="read", origin=origin, tainted=True)
