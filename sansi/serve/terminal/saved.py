"""Conversations in files: as the chat page exports them, as OpenAI's messages, or as Markdown. No torch."""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sansi.base.errors import SansiError
from sansi.base.files import read_json, write_json, write_text
from sansi.base.shown import show
from sansi.base.strict_json import parse_json
from sansi.base.words import in_a_line
from sansi.serve.terminal.commands import SAMPLING
from sansi.serve.terminal.conversation import Conversation, Turn
from sansi.text import Message, ToolCall, read_messages
from sansi.text.fence import fenced

FORMAT, VERSION = "sansi-conversations", 1
ROOT = "root"  # the parent of the first message
TITLES = {"system": "System", "user": "User", "assistant": "Assistant", "tool": "Tool result"}
MODES = {True: "think", False: "direct", None: "auto"}
# What the page keeps of a message under names of its own; the rest of a node is a turn's `details`.
MESSAGE_FIELDS = ("id", "parent", "role", "text", "thought", "status", "calls", "results")
PAGE_SAMPLING = [name for name in SAMPLING if name != "seed"]


@dataclass(frozen=True)
class Saved:
    """What a file holds."""

    conversation: Conversation
    settings: dict[str, Any]
    """Fields of ChatOptions."""


def save(conversation: Conversation, file: Path, model: str, settings: Mapping[str, Any]) -> None:
    """Write the conversation: JSON to read it again, Markdown to show it. Raises SansiError for other endings."""
    try:
        if file.suffix == ".json":
            write_json(file, to_json(conversation, model, settings))
        elif file.suffix == ".md":
            write_text(file, to_markdown(conversation, model))
        else:
            raise SansiError(f"{file}: the name must end with .json (can be loaded again) or .md (to read)")
    except OSError as error:
        raise SansiError(f"{file}: cannot be written: {error.strerror or error}") from error


def load(file: Path, which: int | None = None) -> Saved:
    """The conversation in a file; `which`, from 1, where it holds several. Raises SansiError that names the place."""
    try:
        value = read_json(file)
    except OSError as error:
        raise SansiError(f"{file}: cannot be read: {error.strerror or error}") from error
    try:
        return from_json(value, which)
    except SansiError as error:
        raise SansiError(f"{file}: {error}", param=error.param) from error


# --- JSON ------------------------------------------------------------------------------------------------------------


def to_json(conversation: Conversation, model: str, settings: Mapping[str, Any]) -> dict[str, Any]:
    """What the page exports, and imports: a tree of nodes, here without branches.

    The page keeps mode and budget with each answer: `terminal` has all settings.
    """
    now = round(time.time() * 1000)
    nodes = list(_nodes(conversation.turns, now))
    tree = {
        "title": "",
        "named": False,
        "created": now,
        "updated": now,
        "model": model,
        "settings": _page_settings(conversation.system, settings),
        "nodes": {node["id"]: node for node in nodes},
        "chosen": {node["parent"]: node["id"] for node in nodes},
    }
    stamp = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(now / 1000))
    return {
        "format": FORMAT,
        "version": VERSION,
        "exported": stamp,
        "terminal": dict(settings),
        "conversations": [tree],
    }


def from_json(value: Any, which: int | None = None) -> Saved:
    """A conversation of the page's export, of {"messages": […]}, or of a bare list of messages."""
    if isinstance(value, Mapping) and value.get("format") == FORMAT:
        tree = _chosen(value, which)
        turns = _linear(tree)
        terminal = value.get("terminal")
        settings = _settings(tree, turns) if terminal is None else dict(_object(terminal, "terminal"))
        system = _text(_object(tree.get("settings", {}), "settings").get("system", ""), "settings.system")
        return Saved(Conversation(system, _checked(turns)), settings)
    messages = value.get("messages") if isinstance(value, Mapping) else value
    if not isinstance(messages, list):
        raise SansiError("neither an exported conversation nor a list of messages")
    turns = [Turn(message) for message in (read_messages(messages) if messages else ())]
    system = turns.pop(0).message.content if turns and turns[0].role == "system" else ""
    return Saved(Conversation(system, turns), {})


def _nodes(turns: list[Turn], created: int) -> Iterator[dict[str, Any]]:
    """Nodes of the page's tree, each the child of the one before; the results of one answer's calls are one node."""
    parent, i = ROOT, 0
    while i < len(turns):
        taken = [turns[i]]
        while turns[i].role == "tool" and i + len(taken) < len(turns) and turns[i + len(taken)].role == "tool":
            taken.append(turns[i + len(taken)])
        node = {**turns[i].details, "id": uuid.uuid4().hex[:12], "parent": parent, "role": turns[i].role}
        node.setdefault("created", created + i)
        yield node | _content(taken)
        parent, i = node["id"], i + len(taken)


def _content(turns: list[Turn]) -> dict[str, Any]:
    message = turns[0].message
    if message.role == "tool":
        results = [{"tool_call_id": t.message.tool_call_id or "", "content": t.message.content} for t in turns]
        return {"text": "", "results": results}
    content: dict[str, Any] = {"text": message.content}
    if message.role == "assistant":
        content["status"] = "stopped" if turns[0].stopped else "done"
        if message.reasoning_content is not None:
            content["thought"] = message.reasoning_content
        if message.tool_calls:
            content["calls"] = [_call_to_json(call) for call in message.tool_calls]
    return content


def _call_to_json(call: ToolCall) -> dict[str, Any]:
    error = {} if call.error is None else {"error": call.error}
    return {"id": call.id, "name": call.name, "arguments": call.arguments, **error}


def _page_settings(system: str, settings: Mapping[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = {name: settings[name] for name in PAGE_SAMPLING if settings.get(name) is not None}
    if system:
        found["system"] = system
    if settings.get("history", "official") != "official":
        found["history"] = settings["history"]
    if settings.get("seed") is not None:
        found["seed"] = str(settings["seed"])
    if settings.get("tools"):
        found["tools"] = json.dumps(settings["tools"], ensure_ascii=False)
    return found


def _chosen(value: Mapping[str, Any], which: int | None) -> Mapping[str, Any]:
    trees = value.get("conversations")
    if not isinstance(trees, list) or not trees:
        raise SansiError("it holds no conversations", param="conversations")
    if isinstance(value.get("version"), int) and value["version"] > VERSION:
        raise SansiError(f"version {value['version']} is newer than this program, which reads {VERSION}")
    if which is None and len(trees) > 1:
        listed = "; ".join(f"{i} {_title(tree)}" for i, tree in enumerate(trees, 1))
        raise SansiError(f"it holds {len(trees)} conversations; say which by its number: {listed}")
    if not 1 <= (which or 1) <= len(trees):
        raise SansiError(f"it holds {len(trees)} conversations, and no number {which}")
    return _object(trees[(which or 1) - 1], f"conversations[{(which or 1) - 1}]")


def _title(tree: Any) -> str:
    title = tree.get("title") if isinstance(tree, Mapping) else None
    if not title and isinstance(tree, Mapping) and isinstance(tree.get("nodes"), Mapping):
        first = next(iter(tree["nodes"].values()), None)
        title = first.get("text") if isinstance(first, Mapping) else None
    return in_a_line(str(title or "without a title"), 40)


def _linear(tree: Mapping[str, Any]) -> list[Turn]:
    """The turns of the branch that the page shows."""
    nodes, chosen = _object(tree.get("nodes", {}), "nodes"), _object(tree.get("chosen", {}), "chosen")
    children: dict[Any, list[str]] = {}
    for id_, node in nodes.items():
        children.setdefault(_text(_object(node, f"nodes.{id_}").get("parent"), f"nodes.{id_}.parent"), []).append(id_)
    turns, at = [], ROOT
    while at in children:  # each node has one parent, so that none is met twice
        wanted = chosen.get(at)
        at = wanted if wanted in children[at] else children[at][-1]
        turns += _turns(nodes[at], f"nodes.{at}")
    return turns


def _turns(node: Mapping[str, Any], where: str) -> list[Turn]:
    details = {key: value for key, value in node.items() if key not in MESSAGE_FIELDS}
    role = node.get("role")
    if role not in TITLES:
        raise SansiError(f"{where}.role is {show(role)}, not one of {', '.join(TITLES)}", param=where)
    if role == "tool":
        return [Turn(message, details=details) for message in _list(node, "results", where, _result)]
    message = Message(role, _text(node.get("text"), f"{where}.text"))
    if role == "assistant":
        thought = node.get("thought")
        thought = None if thought is None else _text(thought, f"{where}.thought")
        calls = tuple(_list(node, "calls", where, _call))
        message = Message(role, message.content, reasoning_content=thought, tool_calls=calls)
    return [Turn(message, stopped=node.get("status") in ("stopped", "running"), details=details)]


def _result(value: Mapping[str, Any], where: str) -> Message:
    id_ = _text(value.get("tool_call_id"), f"{where}.tool_call_id")
    return Message("tool", _text(value.get("content"), f"{where}.content"), tool_call_id=id_ or None)


def _call(value: Mapping[str, Any], where: str) -> ToolCall:
    id_, name, arguments = (_text(value.get(key), f"{where}.{key}") for key in ("id", "name", "arguments"))
    error = value.get("error")
    return ToolCall(id_, name, arguments, None if error is None else _text(error, f"{where}.error"))


def _checked(turns: list[Turn]) -> list[Turn]:
    """Raises SansiError for what no conversation can be: results without calls, calls that are none, …"""
    if turns:
        read_messages([turn.message for turn in turns])
    return turns


def _settings(tree: Mapping[str, Any], turns: list[Turn]) -> dict[str, Any]:
    """What the page would ask the next answer with."""
    page = _object(tree.get("settings", {}), "settings")
    found: dict[str, Any] = {name: page[name] for name in (*PAGE_SAMPLING, "history") if page.get(name) is not None}
    if seed := page.get("seed"):
        found["seed"] = _parsed(seed, "settings.seed")
    if tools := page.get("tools"):
        found["tools"] = _parsed(tools, "settings.tools")
    asks = [turn.details["ask"] for turn in turns if isinstance(turn.details.get("ask"), Mapping)]
    if asks:
        mode, budget = asks[-1].get("mode"), asks[-1].get("budget")
        found["enable_thinking"] = {name: value for value, name in MODES.items()}.get(mode)
        found["thinking_budget"] = budget
    return {name: value for name, value in found.items() if value is not None}


def _parsed(text: Any, where: str) -> Any:
    try:
        return parse_json(_text(text, where))
    except ValueError as error:
        raise SansiError(f"{where} is not valid JSON: {error}", param=where) from error


def _list(node: Mapping[str, Any], key: str, where: str, read: Callable[[Mapping[str, Any], str], Any]) -> list[Any]:
    values = node.get(key) or []
    if not isinstance(values, list):
        raise SansiError(f"{where}.{key} must be a list, not {show(values)}", param=f"{where}.{key}")
    return [read(_object(value, f"{where}.{key}[{i}]"), f"{where}.{key}[{i}]") for i, value in enumerate(values)]


def _object(value: Any, where: str) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise SansiError(f"{where} must be an object, not {show(value)}", param=where)
    return value


def _text(value: Any, where: str) -> str:
    if not isinstance(value, str):
        raise SansiError(f"{where} must be a text, not {show(value)}", param=where)
    return value


# --- Markdown --------------------------------------------------------------------------------------------------------


def to_markdown(conversation: Conversation, model: str) -> str:
    """The conversation as a document; thoughts are folded away."""
    parts = [f"# Conversation with {model}"]
    parts += [f"## System\n\n{conversation.system}"] if conversation.system else []
    parts += [_turn_to_markdown(turn) for turn in conversation.turns]
    return "\n\n".join(parts) + "\n"


def _turn_to_markdown(turn: Turn) -> str:
    message = turn.message
    parts = [f"## {TITLES[turn.role]}" + (" (stopped)" if turn.stopped else "")]
    if message.reasoning_content:
        parts.append(f"<details>\n<summary>Thought</summary>\n\n{message.reasoning_content}\n\n</details>")
    if message.content:
        parts.append(message.content)
    parts += [fenced(f"{call.name} {call.arguments}") for call in message.tool_calls]
    return "\n\n".join(parts)
