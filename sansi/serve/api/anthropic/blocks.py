"""The messages of Anthropic's API, which are made of blocks, as the messages that the models know."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from sansi.base.errors import SansiError, did_you_mean
from sansi.base.shown import cut, show
from sansi.serve.api.fields import Reading, note_unread
from sansi.serve.api.placed_messages import PlacedMessages, string_of
from sansi.serve.api.sealed_thoughts import unseal

ROLES = ("user", "assistant", "system")
UNSIGNED = "unsigned"  # the signature of a thought whose text stands beside it
ERROR = "Error: "  # before a result that is one: the models know of no other way to say so
# What a block may say beside what is read: it changes no answer.
SILENT_KEYS = ("type", "cache_control", "citations", "caller", "toolset_name", "id")
_IMAGES = "only text can be read; describe the image in a text block"
_SEARCH = "leave it out; what was found belongs into a text block"
_INSTEAD = {
    "image": _IMAGES,
    "search_result": "send its text in a text block",
    "container_upload": "send the file's text in a text block",
    "server_tool_use": _SEARCH,
    "web_search_tool_result": _SEARCH,
    "web_fetch_tool_result": _SEARCH,
    "code_execution_tool_result": _SEARCH,
    "mcp_tool_use": "send tool_use",
    "mcp_tool_result": "send tool_result",
}


class Conversation(PlacedMessages):
    """The messages of a request."""

    @property
    def continued(self) -> Literal["answer", "thought"] | None:
        """Which part of the last message is to be gone on with: "answer" or "thought", if it is the assistant's."""
        last = self.messages[-1] if self.messages else {}
        if last.get("role") != "assistant" or last.get("tool_calls"):
            return None
        return "thought" if last.get("reasoning_content") and not last["content"] else "answer"


def read_messages(messages: list[Any], system: Any, reading: Reading) -> Conversation:
    """Raises SansiError, with `param`, for blocks that can not be read."""
    found = Conversation()
    if system:
        found.add("system", role="system", content=_text(system, "system", reading))
    for i, message in enumerate(messages):
        _read(message, f"messages[{i}]", found, reading)
    return found


def _read(message: Any, where: str, found: Conversation, reading: Reading) -> None:
    if not isinstance(message, Mapping):
        raise SansiError(f"{where} must be an object, not {show(message)}", param=where)
    role, content = message.get("role"), message.get("content")
    if role not in ROLES:
        near = did_you_mean(role if isinstance(role, str) else "", ROLES)
        raise SansiError(f"{where}.role is {show(role)}{near}", param=f"{where}.role")
    note_unread(message, ("role", "content", *SILENT_KEYS), where, "messages[]", reading)
    if isinstance(content, str):
        found.add(where, role=role, content=content)
    elif not isinstance(content, list):
        reason = f"{where}.content must be a string or an array of blocks, not {show(content)}"
        raise SansiError(reason, param=f"{where}.content")
    elif role == "assistant":
        _assistant(content, where, found, reading)
    else:
        _user(role, content, where, found, reading)


def _user(role: str, content: list[Any], where: str, found: Conversation, reading: Reading) -> None:
    """Results are messages of their own, before the text that came with them."""
    texts: list[str] = []
    for i, block in enumerate(content):
        place = f"{where}.content[{i}]"
        if _kind(block, place) == "tool_result" and role == "user":
            _result(block, place, found, reading)
        else:
            texts.append(_block_text(block, place, reading))
    if texts or not content:
        found.add(where, role=role, content="".join(texts))


def _result(block: Mapping[str, Any], where: str, found: Conversation, reading: Reading) -> None:
    call = string_of(block, "tool_use_id", where)
    if call not in found.calls:
        reason = f'{where} answers "{cut(call)}", which no tool_use before it has; send the assistant\'s message too'
        raise SansiError(reason, param=f"{where}.tool_use_id")
    note_unread(block, ("tool_use_id", "content", "is_error", *SILENT_KEYS), where, "tool_result", reading)
    text = _text(block.get("content"), f"{where}.content", reading)
    if block.get("is_error") and not text.startswith(ERROR.strip()):
        text = ERROR + text
    found.add(where, role="tool", tool_call_id=call, content=text)
    found.place("tool_call_id", f"{where}.tool_use_id")


def _assistant(content: list[Any], where: str, found: Conversation, reading: Reading) -> None:
    message = found.add(where, role="assistant", content="")
    for i, block in enumerate(content):
        place = f"{where}.content[{i}]"
        kind = _kind(block, place)
        if kind in ("thinking", "redacted_thinking"):
            if thought := _thought(block, kind, place, reading):
                message["reasoning_content"] = message.get("reasoning_content", "") + thought
        elif kind == "tool_use":
            _call(block, place, message, found, reading)
        else:
            message["content"] += _block_text(block, place, reading)


def _thought(block: Mapping[str, Any], kind: str, where: str, reading: Reading) -> str | None:
    """The text; where there is none, what was sealed in the signature, or in the data of a redacted thought."""
    if kind == "thinking" and (text := string_of(block, "thinking", where)):
        return text
    key = "signature" if kind == "thinking" else "data"
    sealed = block.get(key)
    thought = unseal(sealed) if isinstance(sealed, str) else None
    if thought is None and sealed not in (None, "", UNSIGNED):
        reading.ignore_or_refuse(f"{where}.{key}", f"{kind}.{key}")
    return thought


def _call(block: Mapping[str, Any], where: str, message: dict[str, Any], found: Conversation, reading: Reading) -> None:
    note_unread(block, ("id", "name", "input", *SILENT_KEYS), where, "tool_use", reading)
    arguments = block.get("input")
    if not isinstance(arguments, Mapping):
        raise SansiError(f"{where}.input must be an object, not {show(arguments)}", param=f"{where}.input")
    id_, function = string_of(block, "id", where), {"name": string_of(block, "name", where), "arguments": arguments}
    calls = message.setdefault("tool_calls", [])
    calls.append({"id": id_, "type": "function", "function": function})
    path = f"tool_calls[{len(calls) - 1}]"
    for inner, outer in (("", ""), (".function", ""), (".function.arguments", ".input")):
        found.place(path + inner, where + outer)
    found.calls.add(id_)


# --- texts -----------------------------------------------------------------------------------------------------------


def _text(content: Any, where: str, reading: Reading) -> str:
    """A string, or blocks of text one after the other; null is no text."""
    if content is None or isinstance(content, str):
        return content or ""
    if not isinstance(content, list):
        raise SansiError(f"{where} must be a string or an array of blocks, not {show(content)}", param=where)
    return "".join([_block_text(block, f"{where}[{i}]", reading) for i, block in enumerate(content)])


def _block_text(block: Any, where: str, reading: Reading) -> str:
    kind = _kind(block, where)
    if kind == "document":
        return _document(block, where, reading)
    if kind != "text":
        instead = _INSTEAD.get(kind, "send its text in a text block")
        reason = f'{where} is of type "{cut(kind)}", which can not be read here; {instead}'
        raise SansiError(reason, param=f"{where}.type")
    note_unread(block, ("text", *SILENT_KEYS), where, "text", reading)
    return string_of(block, "text", where)


def _document(block: Mapping[str, Any], where: str, reading: Reading) -> str:
    """The text of a document that is text, under its title."""
    note_unread(block, ("source", "title", "context", *SILENT_KEYS), where, "document", reading)
    source = block.get("source")
    if not isinstance(source, Mapping):
        raise SansiError(f"{where}.source must be an object, not {show(source)}", param=f"{where}.source")
    kind = source.get("type")
    if kind not in ("text", "content"):
        reason = f"{where}.source is of type {show(kind)}; only text can be read; send the document's text"
        raise SansiError(reason, param=f"{where}.source")
    note_unread(
        source,
        ("media_type", "data" if kind == "text" else "content", *SILENT_KEYS),
        f"{where}.source",
        "source",
        reading,
    )
    if kind == "text":
        text = string_of(source, "data", f"{where}.source")
    else:
        text = _text(source.get("content"), f"{where}.source.content", reading)
    titles = [string_of(block, key, where) for key in ("title", "context") if block.get(key)]
    return "\n".join([*titles, text]) + "\n"


def _kind(block: Any, where: str) -> str:
    if not isinstance(block, Mapping):
        raise SansiError(f"{where} must be an object, not {show(block)}", param=where)
    return string_of(block, "type", where)
