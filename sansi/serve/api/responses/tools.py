"""The tools of OpenAI's responses as the chat model knows them, and their names on the way back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from sansi.base.errors import SansiError
from sansi.base.shown import show
from sansi.serve.api.fields import Reading, note_unread
from sansi.serve.api.placed_messages import CHOICES, PlacedTools
from sansi.serve.api.responses.items import full_name

CUSTOM_INPUT = {
    "type": "object",
    "properties": {"input": {"type": "string"}},
    "required": ["input"],
    "additionalProperties": False,
}
# What a function may say beside what is read; it changes no answer of a model that calls functions directly.
SILENT_KEYS = ("type", "allowed_callers", "defer_loading", "async", "cache_control", "output_schema")
READ_KEYS = ("name", "description", "parameters", "strict")


@dataclass(frozen=True)
class Origin:
    """A tool as the request knows it."""

    name: str
    namespace: str | None = None
    custom: bool = False
    """It takes a text, not arguments."""


@dataclass
class Toolbox(PlacedTools):
    """The tools of a request."""

    origins: dict[str, Origin] = field(default_factory=dict)
    """By what the model calls them."""

    def origin(self, name: str) -> Origin:
        return self.origins.get(name) or Origin(name)


def read_tools(tools: list[Any], reading: Reading) -> Toolbox:
    """Functions are offered; a namespace's as "namespace.name". Tools that run at the provider are named as ignored.

    Raises SansiError, with `param`, for what is no tool.
    """
    box = Toolbox()
    for i, tool in enumerate(tools):
        _read(tool, f"tools[{i}]", None, box, reading)
    return box


def _read(tool: Any, where: str, namespace: str | None, box: Toolbox, reading: Reading) -> None:
    if not isinstance(tool, Mapping):
        raise SansiError(f"{where} must be an object, not {show(tool)}", param=where)
    kind = tool.get("type")
    if kind == "function" and isinstance(tool.get("function"), Mapping):
        reason = f"{where} has the form of chat completions; here name, parameters and strict stand beside type"
        raise SansiError(reason, param=f"{where}.function")
    if kind in ("function", "custom"):
        _add(tool, where, namespace, box, reading)
    elif kind == "namespace" and namespace is None:
        name, inner = tool.get("name"), tool.get("tools")
        if not isinstance(name, str) or not isinstance(inner, list):
            raise SansiError(f'{where} is a namespace, which needs a "name" and "tools"', param=where)
        note_unread(tool, ("name", "description", "tools", *SILENT_KEYS), where, "tools[]", reading)
        for i, each in enumerate(inner):
            _read(each, f"{where}.tools[{i}]", name, box, reading)
    elif isinstance(kind, str):  # such as web_search: it would run at the provider, and there is none
        reading.ignore_or_refuse(where, f"tools[].type {kind}")
    else:
        raise SansiError(f'{where}.type must be a string, such as "function", not {show(kind)}', param=f"{where}.type")


def _add(tool: Mapping[str, Any], where: str, namespace: str | None, box: Toolbox, reading: Reading) -> None:
    name = tool.get("name")
    if not isinstance(name, str) or not name:
        raise SansiError(f"{where}.name must be a string, not {show(name)}", param=f"{where}.name")
    if tool["type"] == "custom":
        function = _custom(tool, where)
        note_unread(tool, ("name", "description", "format", *SILENT_KEYS), where, "tools[]", reading)
    else:
        function = {key: tool[key] for key in READ_KEYS if tool.get(key) is not None}
        note_unread(tool, (*READ_KEYS, *SILENT_KEYS), where, "tools[]", reading)
    function["name"] = full_name(name, namespace)
    box.origins[function["name"]] = Origin(name, namespace, tool["type"] == "custom")
    box.add(where, function)


def _custom(tool: Mapping[str, Any], where: str) -> dict[str, Any]:
    """A tool that takes a text, as a function that takes one string."""
    form = tool.get("format")
    if form is not None and (not isinstance(form, Mapping) or form.get("type") != "text"):
        place = f"{where}.format"
        reason = f"{place} is supported only as text; give a function whose parameters are a schema"
        raise SansiError(reason, param=place)
    described = {"description": tool["description"]} if tool.get("description") else {}
    return {**described, "parameters": CUSTOM_INPUT}


# --- which of them may be called -------------------------------------------------------------------------------------


def read_choice(choice: Any, box: Toolbox) -> str:
    """ "auto", "none", "required", or the name of a tool; tools that are not allowed leave the box."""
    if isinstance(choice, str):
        if choice not in CHOICES:
            raise SansiError(f'"tool_choice" must be {", ".join(CHOICES)} or an object', param="tool_choice")
        wanted = choice
    elif choice.get("type") == "allowed_tools":
        wanted = _allow(choice, box)
    else:
        wanted = _named(choice, box, "tool_choice")
    if wanted not in ("auto", "none") and not box.functions:
        raise SansiError('"tool_choice" asks for a call, but there are no functions in "tools"', param="tool_choice")
    return wanted


def _allow(choice: Mapping[str, Any], box: Toolbox) -> str:
    mode, tools = choice.get("mode", "auto"), choice.get("tools")
    if mode not in ("auto", "required"):
        raise SansiError(f'tool_choice.mode must be "auto" or "required", not {show(mode)}', param="tool_choice.mode")
    if not isinstance(tools, list) or not all(isinstance(tool, Mapping) for tool in tools):
        raise SansiError("tool_choice.tools must be an array of objects", param="tool_choice.tools")
    allowed = {_named(tool, box, f"tool_choice.tools[{i}]") for i, tool in enumerate(tools)}
    kept = [(i, tool) for i, tool in enumerate(box.functions) if tool["function"]["name"] in allowed]
    places = {f"tools[{at}]": box.places[f"tools[{i}]"] for at, (i, _) in enumerate(kept)}
    box.places = {**places, **{f"{path}.function": where for path, where in places.items()}}
    box.functions = [tool for _, tool in kept]
    return mode


def _named(choice: Mapping[str, Any], box: Toolbox, where: str) -> str:
    if choice.get("type") not in ("function", "custom"):
        reason = f"{where} is of type {show(choice.get('type'))}, and no such tool runs here; name a function"
        raise SansiError(reason, param=where)
    name = choice.get("name")
    full = full_name(name, choice.get("namespace")) if isinstance(name, str) else ""
    if full not in box.origins:
        raise SansiError(f"{where} names {show(name)}, which is not among the tools", param=where)
    box.refuse_word(full, where)
    return full
