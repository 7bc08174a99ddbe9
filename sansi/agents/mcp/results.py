"""Results as text and files: everything that a server may send in one, nothing dropped unsaid."""

from __future__ import annotations

import base64
import binascii
import json
import mimetypes
from collections.abc import Iterable
from typing import Any

import mcp_types as types

from sansi.agents.mcp.definitions import CallResult, Definition
from sansi.agents.mcp.foreign import one_line
from sansi.agents.observation import Attachment
from sansi.base import SansiError
from sansi.base.words import count
from sansi.text.schema import tool_schema

PROBLEMS_TOLD, LONGEST_NAME = 3, 128
ENDINGS = {"image/png": ".png", "image/jpeg": ".jpg", "audio/wav": ".wav", "audio/mpeg": ".mp3", "audio/ogg": ".ogg"}
"""Of files without a name, where systems differ or know none."""


def call_result(result: types.CallToolResult, definition: Definition | None = None) -> CallResult:
    """The result of a tool, checked against the schema that the tool declares for it."""
    parts = _Parts()
    parts.add_all(result.content)
    structured = result.structured_content
    if structured is not None and not _says_the_same(parts.texts, structured):
        parts.texts.append(json.dumps(structured, ensure_ascii=False, indent=None))
    problem = _misfit(result, definition) if definition else None
    if problem:
        came = f"\nWhat came: {parts.text}" if parts.text else ""
        return CallResult(
            f"the result does not fit the schema that its server declares: {problem}{came}", is_error=True
        )
    text = parts.text or ("" if parts.files else "(the tool gave an empty result)")
    return CallResult(text, tuple(parts.files), is_error=bool(result.is_error))


def resource_result(result: types.ReadResourceResult) -> CallResult:
    parts = _Parts()
    for content in result.contents:
        parts.add_resource(content, headed=len(result.contents) > 1)
    return CallResult(parts.text, tuple(parts.files))


def prompt_result(result: types.GetPromptResult) -> CallResult:
    roles, files = [], []
    for message in result.messages:
        parts = _Parts()
        parts.add(message.content)
        roles.append((str(message.role), parts.text))
        files += parts.files
    return CallResult("\n\n".join(text for _, text in roles if text), tuple(files), roles=tuple(roles))


class _Parts:
    """Texts and files of a result while they are gathered."""

    def __init__(self) -> None:
        self.texts: list[str] = []
        self.files: list[Attachment] = []

    @property
    def text(self) -> str:
        return "\n".join(self.texts)

    def add_all(self, contents: Iterable[Any]) -> None:
        for content in contents:
            self.add(content)

    def add(self, content: Any) -> None:
        match content:
            case types.TextContent():
                self.texts.append(content.text)
            case types.ImageContent() | types.AudioContent():
                self._add_file("", content.mime_type, content.data)
            case types.EmbeddedResource():
                self.add_resource(content.resource)
            case types.ResourceLink():
                about = f": {content.description}" if content.description else ""
                self.texts.append(f"[resource {content.uri} ({content.title or content.name}){about}]")
            case _:
                self.texts.append(f"[a part of type {getattr(content, 'type', type(content).__name__)} is not shown]")

    def add_resource(self, resource: Any, headed: bool = True) -> None:
        if isinstance(resource, types.TextResourceContents):
            head = f"[resource {resource.uri}]\n" if headed and resource.uri else ""
            self.texts.append(head + resource.text)
        else:
            name = str(resource.uri).rstrip("/").rpartition("/")[2]
            self._add_file(name, resource.mime_type or "application/octet-stream", resource.blob)

    def _add_file(self, name: str, media_type: str, data: str) -> None:
        name, media_type = (one_line(text)[:LONGEST_NAME] for text in (name, media_type))
        try:
            content = base64.b64decode(data, validate=False)
        except (binascii.Error, ValueError) as error:
            self.texts.append(f"[a part of type {media_type} cannot be read: {error}]")
            return
        kind = media_type.partition(";")[0].strip().lower()
        ending = ENDINGS.get(kind) or mimetypes.guess_extension(kind) or ""
        name = name if name.strip(".") else f"{media_type.partition('/')[0] or 'file'}-{len(self.files) + 1}{ending}"
        self.files.append(Attachment(name, media_type, content))
        self.texts.append(f"[{name}: {media_type}, {count(len(content), 'byte')}]")


def _says_the_same(texts: list[str], structured: Any) -> bool:
    """Whether a text is the structured result, as the protocol recommends for clients that read only texts."""
    for text in texts:
        try:
            if json.loads(text) == structured:
                return True
        except (ValueError, RecursionError):
            continue
    values = list(structured.values()) if isinstance(structured, dict) else [structured]
    return len(values) == 1 and len(texts) == 1 and texts[0] == str(values[0])  # {"result": "text"}


def _misfit(result: types.CallToolResult, definition: Definition) -> str | None:
    """Why the structured result does not fit; None where it does or nothing was declared."""
    if definition.output_schema is None or result.is_error:
        return None
    if result.structured_content is None:
        return "it has no structured content"
    try:
        problems = tool_schema(definition.output_schema, "output schema").problems(result.structured_content)
    except SansiError:  # a schema out of bounds; it is told where tools are listed
        return None
    return "; ".join(problems[:PROBLEMS_TOLD]) or None
