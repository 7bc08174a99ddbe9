"""From the protocol's lists to plain values, each checked; what cannot be used is left out with its reason."""

from __future__ import annotations

from collections.abc import Sequence

import mcp_types as types

from sansi.agents.mcp.config import ServerConfig
from sansi.agents.mcp.definitions import Definition, Prompt, Resource
from sansi.agents.mcp.foreign import description, one_line
from sansi.base import SansiError
from sansi.text.schema import check_tool_schema


def definitions_of(config: ServerConfig, tools: Sequence[types.Tool]) -> tuple[dict[str, Definition], dict[str, str]]:
    """The tools by name that the configuration offers, and why others cannot be."""
    found: dict[str, Definition] = {}
    rejected: dict[str, str] = {}
    for tool in tools:
        if tool.name in config.exclude or (config.include is not None and tool.name not in config.include):
            continue
        if tool.name in found:
            rejected[tool.name] = "the server offers two tools of this name; the first is kept"
            continue
        try:
            found[tool.name] = _definition(config.name, tool)
        except SansiError as error:
            rejected[tool.name] = one_line(str(error))
    known = {tool.name for tool in tools}
    for key, names in (("pollingTools", config.polling), ("includeTools", config.include or ())):
        rejected |= {name: f"the server does not offer it ({key})" for name in names if name not in known}
    return found, rejected


def _definition(server: str, tool: types.Tool) -> Definition:
    if not tool.name.strip():
        raise SansiError("it has no name")
    schema = {"type": "object", **tool.input_schema}
    if schema["type"] != "object":
        raise SansiError(f"its arguments are of type {schema['type']!r}, and must be an object")
    check_tool_schema(schema, "inputSchema")
    hints = tool.annotations or types.ToolAnnotations()
    title = one_line(tool.title or hints.title or "") or None
    about = description(tool.description or "")
    return Definition(
        server=server,
        name=tool.name,
        title=title,
        description=about or f"{title or one_line(tool.name)} (the server says no more about it)",
        schema=schema,
        output_schema=tool.output_schema,
        read_only=hints.read_only_hint is True,
        idempotent=hints.idempotent_hint is True,
        open_world=hints.open_world_hint is not False,
    )


def resource_of(server: str, given: types.Resource) -> Resource:
    return Resource(
        server, str(given.uri), given.name, given.title, given.description or "", given.mime_type, given.size
    )


def template_of(server: str, given: types.ResourceTemplate) -> Resource:
    about = given.description or ""
    return Resource(server, given.uri_template, given.name, given.title, about, given.mime_type, None, template=True)


def prompt_of(server: str, given: types.Prompt) -> Prompt:
    arguments = tuple((each.name, each.description or "", bool(each.required)) for each in given.arguments or ())
    return Prompt(server, given.name, given.title, given.description or "", arguments)
