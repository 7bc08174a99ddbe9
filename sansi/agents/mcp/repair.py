"""One bad item of a list loses itself alone: what a server's answer holds is checked item by item.

The SDK validates an answer as a whole, so that one tool with a wrong schema would lose three hundred.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from mcp.shared.inbound import find_invalid_x_mcp_header
from mcp_types import methods
from mcp_types.version import MODERN_PROTOCOL_VERSIONS
from pydantic import ValidationError

from sansi.agents.mcp.foreign import one_line

LISTS = {
    "tools/list": "tools",
    "resources/list": "resources",
    "resources/templates/list": "resourceTemplates",
    "prompts/list": "prompts",
}
CONTENTS = {"tools/call": "content", "prompts/get": "messages", "resources/read": "contents"}
Rejected = Callable[[str, str], None]
"""Called with an item's name and why it was left out."""


def repaired(method: str, version: str, raw: Any, rejected: Rejected) -> Any:
    """The answer without the items that no client could read; the same answer where it needs no repair."""
    key = LISTS.get(method) or CONTENTS.get(method)
    items = raw.get(key) if key and isinstance(raw, dict) else None
    if key is None or not isinstance(items, list):
        return raw
    if method == "tools/list" and version in MODERN_PROTOCOL_VERSIONS:
        items = _with_sound_headers(items, rejected)
        raw = {**raw, key: items}
    if _texts_alone(method, items) or _problem(method, version, raw) is None:
        return raw
    if _problem(method, version, {**raw, key: []}) is not None:
        return raw  # the answer around the items is wrong: that is said by whoever reads it
    kept = []
    for position, item in enumerate(items):
        item = _with_type(item) if method == "tools/list" else item
        problem = _problem(method, version, {**raw, key: [item]})
        if problem is None:
            kept.append(item)
        else:
            rejected(_name(item, position), problem)
            if method in CONTENTS:
                kept += _stand_in(method, position, problem)
    return {**raw, key: kept}


def _texts_alone(method: str, items: list[Any]) -> bool:
    """Whether a call gave what most calls give, in which there is nothing to repair: looked at twice, it would cost."""
    return method == "tools/call" and all(
        isinstance(item, dict) and item.get("type") == "text" and isinstance(item.get("text"), str) for item in items
    )


def _with_sound_headers(tools: list[Any], rejected: Rejected) -> list[Any]:
    """Those whose `x-mcp-header` annotations are valid: others must not be offered, and the SDK drops them unsaid."""
    kept = []
    for position, tool in enumerate(tools):
        schema = tool.get("inputSchema") if isinstance(tool, dict) else None
        why = find_invalid_x_mcp_header(schema) if isinstance(schema, dict) else None
        if why is None:
            kept.append(tool)
        else:
            rejected(_name(tool, position), f"its x-mcp-header is not valid: {why}")
    return kept


def _with_type(tool: Any) -> Any:
    """A tool whose schema leaves out that arguments are an object: there is nothing else that they could be."""
    schema = tool.get("inputSchema") if isinstance(tool, dict) else None
    if isinstance(schema, dict) and "type" not in schema:
        return {**tool, "inputSchema": {"type": "object", **schema}}
    return tool


def _problem(method: str, version: str, raw: dict[str, Any]) -> str | None:
    try:
        methods.parse_server_result(method, version, raw)
    except ValidationError as error:
        return problem_of(error)
    except (KeyError, ValueError) as error:
        return str(error)
    return None


def problem_of(error: ValidationError) -> str:
    """The first thing that does not fit, and where."""
    first = error.errors(include_url=False, include_input=False)[0]
    where = ".".join(str(part) for part in first["loc"] if not isinstance(part, int) or part)
    return f"{where}: {first['msg']}" if where else first["msg"]


def _name(item: Any, position: int) -> str:
    told = f"number {position + 1}"
    name = item.get("name") if isinstance(item, dict) else None
    return one_line(name[:128]) or told if isinstance(name, str) else told


def _stand_in(method: str, position: int, problem: str) -> list[dict[str, Any]]:
    text = f"[part {position + 1} of the result cannot be read: {problem}]"
    part = {"type": "text", "text": text}
    if method == "tools/call":
        return [part]
    return [{"role": "user", "content": part}] if method == "prompts/get" else [{"uri": "", "text": text}]
