"""The tools of Anthropic's messages as the chat model knows them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sansi.base.errors import SansiError
from sansi.base.shown import show
from sansi.serve.api.fields import Reading, note_unread
from sansi.serve.api.placed_messages import PlacedTools

CHOICES = {"auto": "auto", "any": "required", "none": "none"}
# The API's own tools whose calls the client executes: a model would have to know them by heart.
CLIENT_TOOLS = ("bash_", "text_editor_", "computer_", "memory_", "browser_")
SILENT_KEYS = ("type", "cache_control", "allowed_callers", "defer_loading", "eager_input_streaming")
READ_KEYS = ("name", "description", "input_schema", "strict")


def read_tools(tools: list[Any], reading: Reading) -> PlacedTools:
    """Tools that would run at the provider are named as ignored. Raises SansiError, with `param`, for what is none."""
    box = PlacedTools()
    for i, tool in enumerate(tools):
        _read(tool, f"tools[{i}]", box, reading)
    return box


def _read(tool: Any, where: str, box: PlacedTools, reading: Reading) -> None:
    if not isinstance(tool, Mapping):
        raise SansiError(f"{where} must be an object, not {show(tool)}", param=where)
    kind = tool.get("type") or "custom"
    if kind == "custom":
        _add(tool, where, box, reading)
    elif not isinstance(kind, str) or kind == "function" or kind.startswith(CLIENT_TOOLS):
        reason = f"{where} is of type {show(kind)}, which is not supported; give it a name and an input_schema"
        raise SansiError(reason, param=f"{where}.type")
    else:  # such as web_search_20250305: it would run at the provider, and there is none
        reading.ignore_or_refuse(where, f"tools[].type {kind}")


def _add(tool: Mapping[str, Any], where: str, box: PlacedTools, reading: Reading) -> None:
    note_unread(tool, (*READ_KEYS, *SILENT_KEYS), where, "tools[]", reading)
    if not isinstance(tool.get("name"), str):
        raise SansiError(f"{where}.name must be a string, not {show(tool.get('name'))}", param=f"{where}.name")
    function = {key: tool[key] for key in ("name", "description") if tool.get(key) is not None}
    if tool.get("input_schema") is not None:
        function["parameters"] = tool["input_schema"]
    if tool.get("strict") is not None:
        function["strict"] = tool["strict"]
    box.places[f"{box.add(where, function)}.function.parameters"] = f"{where}.input_schema"


def read_choice(choice: Mapping[str, Any], box: PlacedTools) -> str:
    """ "auto", "none", "required", or the name of a tool."""
    if choice["type"] != "tool":
        wanted = CHOICES[choice["type"]]
        if wanted == "required" and not box.functions:
            raise SansiError('"tool_choice" asks for a call, but there are no "tools"', param="tool_choice")
        return wanted
    name = choice.get("name")
    if not isinstance(name, str) or name not in [tool["function"]["name"] for tool in box.functions]:
        raise SansiError(f"tool_choice names {show(name)}, which is not among the tools", param="tool_choice.name")
    box.refuse_word(name, "tool_choice.name")
    return name
