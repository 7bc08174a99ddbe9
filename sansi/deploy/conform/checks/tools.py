"""Tool calls, streamed and whole, and structured answers."""

from __future__ import annotations

import json
from typing import Any

import jsonschema_rs

from sansi.deploy.conform.endpoint import Answer, Stream
from sansi.deploy.conform.probe import TAGS, Probe, user
from sansi.deploy.conform.registry import Failed, NotOffered, check, offered
from sansi.text.tokenizer import CONTROL_TEXT

WEATHER = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "description": "The weather in a city.",
        "parameters": {
            "type": "object",
            "properties": {"city": {"type": "string", "maxLength": 24}, "days": {"type": "integer", "maximum": 30}},
            "required": ["city"],
        },
    },
}
ASKED = user("What is the weather in Paris for 2 days? Call get_weather.")
FORCED: dict[str, Any] = {"tools": [WEATHER], "tool_choice": {"type": "function", "function": {"name": "get_weather"}}}
SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {"city": {"type": "string", "maxLength": 24}, "population": {"type": "integer"}},
    "required": ["city", "population"],
    "additionalProperties": False,
}


@check("tool-call", "a tool that must be called is called, with arguments of its schema")
def tool_call(probe: Probe) -> str:
    found = _call(probe)
    call = found.calls[0]
    function: dict[str, Any] = call.get("function") or {}
    _check_call(str(function.get("name")), function.get("arguments"), found)
    if not isinstance(call.get("id"), str) or not call["id"] or call.get("type", "function") != "function":
        raise Failed("a call without an id, or of another type than function", found)
    if found.finish not in ("tool_calls", "stop"):
        raise Failed(f"finish_reason is {found.finish!r} after a call", found)
    if inside := [tag for tag in TAGS if tag in found.content]:
        raise Failed(f"{inside[0]} stands in the content beside the call", found)
    return str(function.get("arguments"))


@check("tool-stream", "a streamed call adds up: id and name once, arguments in pieces, no tag in between")
def tool_stream(probe: Probe) -> str:
    _call(probe)
    found = probe.stream(ASKED, False, **FORCED)
    if found.status != 200:
        raise Failed(f"status {found.status} for a streamed call", found.error)
    if "<tool" in found.content or "</tool" in found.content:
        raise Failed("a part of a tag is in the streamed content", found)
    pieces = [piece for delta in found.deltas for piece in delta.get("tool_calls") or []]
    if not pieces:
        raise Failed("the whole answer has a call, the stream has none", found)
    first = [piece for piece in pieces if piece.get("index", 0) == 0]
    names = [n for piece in first if (n := (piece.get("function") or {}).get("name"))]
    ids = {piece["id"] for piece in first if piece.get("id")}
    if len(names) != 1 or len(ids) != 1:
        raise Failed(f"a call has {len(names)} names and {len(ids)} ids in its pieces; one each is right", pieces)
    arguments = "".join((piece.get("function") or {}).get("arguments") or "" for piece in first)
    _check_call(names[0], arguments, found)
    return f"{len(first)} pieces"


@check("tool-result", "a result is read, and the answer goes on")
def tool_result(probe: Probe) -> str:
    call = _call(probe).calls[0]
    talk = [
        *ASKED,
        {"role": "assistant", "content": None, "tool_calls": [call]},
        {"role": "tool", "tool_call_id": call.get("id"), "content": "Sunny, 21 degrees."},
    ]
    found = probe.chat(talk, False, tools=[WEATHER])
    if found.status != 200:
        raise Failed(f"status {found.status} for a conversation with a tool's result", found)
    if not found.content.strip() and not found.calls:
        raise Failed("neither text nor a call after a tool's result", found)
    return "goes on"


@check("no-tool", 'tool_choice "none" calls nothing')
def no_tool(probe: Probe) -> str:
    found = offered(probe.chat(ASKED, False, tools=[WEATHER], tool_choice="none"))
    if found.calls or CONTROL_TEXT["tool_call"] in found.content:
        raise Failed("a call in spite of tool_choice none", found)
    return "no call"


@check("schema", "response_format json_schema holds, with and without a thought")
def schema(probe: Probe) -> str:
    named = {"name": "city", "schema": SCHEMA, "strict": True}
    asked = {"response_format": {"type": "json_schema", "json_schema": named}}
    modes = (False, True) if probe.thinks else (False,)
    for thinking in modes:
        found = offered(probe.ask("Name a city and its population.", thinking, **asked))
        if found.finish == "length":
            continue
        _check_json(found, thinking)
        if thinking and not found.reasoning.strip():
            raise Failed("with a schema the model no longer thinks, and says nothing of it", found)
    return "valid in " + ("both modes" if len(modes) == 2 else "the one mode that there is")


def _call(probe: Probe) -> Answer:
    found = probe.chat(ASKED, False, **FORCED)
    if found.is_refused:
        found = probe.chat(ASKED, False, tools=[WEATHER], tool_choice="required")
    if found.is_refused:
        raise NotOffered(f"tools are refused with status {found.status}")
    if not found.calls:
        raise Failed("tool_choice names a function, and the answer has no tool_calls", found)
    return found


def _check_call(name: str, arguments: Any, found: Answer | Stream) -> None:
    if name != "get_weather":
        raise Failed(f"a call of {name!r}, which was not offered", found)
    try:
        values = json.loads(arguments) if isinstance(arguments, str) else None
    except ValueError:
        values = None
    if not isinstance(values, dict):
        raise Failed(f"arguments are no JSON object in a string: {arguments!r}", found)
    if not jsonschema_rs.is_valid(WEATHER["function"]["parameters"], values):  # type: ignore[index]
        raise Failed(f"arguments do not fit the schema: {arguments}", found)


def _check_json(found: Answer, thinking: bool) -> None:
    mode = "with" if thinking else "without"
    try:
        value = json.loads(found.content)
    except ValueError:
        raise Failed(f"{mode} thinking the content is no JSON", found) from None
    if not jsonschema_rs.is_valid(SCHEMA, value):
        raise Failed(f"{mode} thinking the content does not fit the schema", found)
