"""Messages: frozen dataclasses, and the OpenAI-shaped dictionaries they are read from and written to."""

from __future__ import annotations

import functools
import json
import marshal
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from sansi.base.errors import SansiError, did_you_mean
from sansi.base.shown import show
from sansi.base.strict_json import parse_json
from sansi.text.schema import check_tool_schema

ROLES = ("system", "user", "assistant", "tool")
FIELDS = {
    "system": ("role", "content", "name"),
    "user": ("role", "content", "name"),
    "assistant": ("role", "content", "name", "reasoning_content", "reasoning", "tool_calls"),
    "tool": ("role", "content", "name", "tool_call_id"),
}
UNUSED: tuple[Any, ...] = (None, [], {}, "")
MAX_SHOWN = 60  # characters of what an error quotes
MAX_CACHED_TOOLS = 1_000_000  # bytes
MAX_CACHED_ARGUMENTS = 2_000  # characters

_JSON = json.JSONEncoder(ensure_ascii=False, allow_nan=False).encode
_PLAIN = {
    "system": {"role", "content"},
    "user": {"role", "content"},
    "assistant": {"role", "content", "reasoning_content", "tool_calls"},
    "tool": {"role", "content", "tool_call_id"},
}


@dataclass(frozen=True)
class ToolCall:
    """One call of a function by the assistant; `arguments` is JSON text, kept as it was written."""

    id: str
    name: str
    arguments: str
    error: str | None = None
    """Why the call must not be executed, in one sentence; None: whole, well-formed, typed and known."""

    @property
    def executable(self) -> bool:
        return self.error is None


@dataclass(frozen=True)
class Message:
    """One turn. `reasoning_content` is None where there was no thought, "" where the thought was left empty."""

    role: str
    content: str = ""
    reasoning_content: str | None = None
    tool_calls: tuple[ToolCall, ...] = ()
    tool_call_id: str | None = None
    name: str | None = None
    ids: tuple[int, ...] | None = field(default=None, compare=False, repr=False)
    """The ids that the model wrote for this turn, without the one that ended it; never in dictionaries."""
    prefill: tuple[int, ...] | None = field(default=None, compare=False, repr=False)
    """The ids that the prompt had already written of this turn: an open or an empty think block, or nothing."""
    origin: str | None = field(default=None, compare=False, repr=False)
    """Where text came from that neither user nor model wrote ("mcp:github", an address); never in dictionaries."""
    tainted: bool = field(default=False, compare=False, repr=False)
    """It is text of strangers, which may hold orders that nobody gave; never in dictionaries."""


AssistantMessage = Message  # with role "assistant"


def read_messages(messages: Sequence[Message | Mapping[str, Any]]) -> tuple[Message, ...]:
    """Validate a conversation. Raises SansiError that names the message's index and the field."""
    if type(messages) is not list and (isinstance(messages, _NO_LISTS) or not isinstance(messages, Sequence)):
        raise SansiError("messages must be a list of messages", param="messages")
    if not messages:
        raise SansiError("messages is empty; give at least one message", param="messages")
    chat = tuple([_plain_message(m) or _read_message(m, f"messages[{i}]") for i, m in enumerate(messages)])
    open_calls: tuple[ToolCall, ...] = ()  # of the assistant's turn that tool messages may answer
    for i, message in enumerate(chat):
        if message.role == "tool":
            _check_result(message, open_calls, f"messages[{i}]")
        else:
            open_calls = message.tool_calls
    return chat


def read_tools(tools: Sequence[Mapping[str, Any]] | None) -> tuple[Mapping[str, Any], ...]:
    """Validate tool definitions: OpenAI's {"type": "function", "function": {...}}, or the bare function."""
    return tool_lines(tools)[0]


def tool_lines(tools: Sequence[Mapping[str, Any]] | None) -> tuple[tuple[Mapping[str, Any], ...], str]:
    """What `read_tools` gives, and a line of JSON for each tool, as the template writes them."""
    if tools is None:
        return (), ""
    if isinstance(tools, str | Mapping) or not isinstance(tools, Sequence):
        raise SansiError("tools must be a list of tool definitions", param="tools")
    found = tuple(tools)
    return found, _lines(found) if found else ""


def _lines(tools: tuple[Mapping[str, Any], ...]) -> str:
    try:  # equal bytes are equal values, so that the same tools are checked and written once
        key = marshal.dumps(tools, 2)  # type: ignore[arg-type]
    except ValueError:  # not made of plain lists and dictionaries alone
        return _tool_lines(tools)
    return _lines_of_marshalled(key) if len(key) <= MAX_CACHED_TOOLS else _tool_lines(tools)


def message_to_dict(message: Message) -> dict[str, Any]:
    """The OpenAI-shaped dictionary; fields that are not set are left out."""
    out: dict[str, Any] = {"role": message.role, "content": message.content}
    for key in ("reasoning_content", "tool_call_id", "name"):
        if getattr(message, key) is not None:
            out[key] = getattr(message, key)
    if message.tool_calls:
        out["tool_calls"] = [
            {"id": call.id, "type": "function", "function": {"name": call.name, "arguments": call.arguments}}
            for call in message.tool_calls
        ]
    return out


_NO_LISTS = (str, Mapping, Message)


@functools.lru_cache(maxsize=32)
def _lines_of_marshalled(key: bytes) -> str:
    return _tool_lines(marshal.loads(key))


def _tool_lines(tools: tuple[Mapping[str, Any], ...]) -> str:
    names: set[str] = set()
    lines = []
    for i, tool in enumerate(tools):
        where = f"tools[{i}]"
        function, inner = _function(tool, where) if isinstance(tool, Mapping) else (tool, where)
        if not isinstance(function, Mapping):
            raise _wrong(inner, "an object", function)
        name = _string(function.get("name"), f"{inner}.name")
        _check_name(name, f"{inner}.name")
        if name in names:
            raise SansiError(
                f'{inner}.name is "{name:.{MAX_SHOWN}}", as that of a tool before it', param=f"{inner}.name"
            )
        names.add(name)
        lines.append("\n" + _json_text(tool, where))
        if function.get("parameters") is not None:
            check_tool_schema(function["parameters"], f"{inner}.parameters")
    return "".join(lines)


@functools.lru_cache(maxsize=1024)
def is_tool_name(name: str) -> bool:
    """Whether the name can be written as it is: the template puts it between quotes, and escapes nothing."""
    return bool(name.strip()) and json.dumps(name, ensure_ascii=False) == f'"{name}"'


def _check_name(name: str, where: str) -> None:
    if not is_tool_name(name):
        reason = f"{where} is {show(name, MAX_SHOWN)}; a name that is called has no quotes, backslashes or line breaks"
        raise SansiError(reason, param=where)


def _check_result(message: Message, calls: tuple[ToolCall, ...], where: str) -> None:
    if not calls:
        reason = f"{where} is a tool's result, but no assistant's turn with tool_calls stands before it"
        raise SansiError(reason, param=where)
    if message.tool_call_id is not None and message.tool_call_id not in [call.id for call in calls]:
        known = did_you_mean(message.tool_call_id, [call.id for call in calls])
        where, found = f"{where}.tool_call_id", f"{message.tool_call_id:.{MAX_SHOWN}}"
        raise SansiError(f'{where} is "{found}", which no call of the turn before has{known}', param=where)


def _plain_message(message: Any) -> Message | None:
    """The quick way for what nearly all messages are: a role, text and calls. None: read it field by field."""
    if type(message) is not dict:
        return None
    for key, value in message.items():
        if key != "tool_calls" and (type(value) is not str or not (value.isascii() or _is_unicode(value))):
            return None
    fields = _PLAIN.get(message.get("role"))  # type: ignore[arg-type]
    if fields is None or not fields.issuperset(message) or "content" not in message:
        return None
    # As the constructor makes it, in a third of the time; the defaults are the class's.
    made = object.__new__(Message)
    made.__dict__.update(message)
    if "tool_calls" in message:
        read = _plain_calls(message["tool_calls"])
        if read is None:
            return None
        made.__dict__["tool_calls"] = read
    return made


def _plain_calls(calls: Any) -> tuple[ToolCall, ...] | None:
    if type(calls) is not list:
        return None
    read = []
    for call in calls:
        function, id_ = (call.get("function"), call.get("id")) if type(call) is dict else (None, None)
        if type(function) is not dict or type(id_) is not str or not id_:
            return None
        name, arguments = function.get("name"), function.get("arguments")
        if type(arguments) is dict:
            arguments = _quick_json(arguments)
        elif type(arguments) is not str or len(arguments) > MAX_CACHED_ARGUMENTS or not _is_object(arguments):
            return None
        made = object.__new__(ToolCall)
        made.__dict__.update(id=id_, name=name, arguments=arguments)
        for text in (id_, name, arguments):
            if type(text) is not str or not (text.isascii() or _is_unicode(text)):
                return None
        if not is_tool_name(name):
            return None
        read.append(made)
    return tuple(read) if len(read) < 2 or len({call.id for call in read}) == len(read) else None


def _quick_json(value: dict[str, Any]) -> str | None:
    try:
        key = marshal.dumps(value, 2)
        return _json_of_marshalled(key) if len(key) <= MAX_CACHED_ARGUMENTS else _JSON(value)
    except (TypeError, ValueError, RecursionError):
        return None


@functools.lru_cache(maxsize=1024)
def _json_of_marshalled(key: bytes) -> str:
    return _JSON(marshal.loads(key))


@functools.lru_cache(maxsize=1024)
def _is_object(text: str) -> bool:
    try:
        return isinstance(parse_json(text), dict)
    except ValueError:
        return False


def _is_unicode(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _read_message(message: Message | Mapping[str, Any], where: str) -> Message:
    if isinstance(message, Message):
        return _checked(message, where)
    if not isinstance(message, Mapping):
        raise _wrong(where, "an object", message)
    role = message.get("role")
    if role not in ROLES:
        near = did_you_mean(role if isinstance(role, str) else "", ROLES)
        raise SansiError(f"{where}.role is {show(role, MAX_SHOWN)}{near}", param=f"{where}.role")
    for key, value in message.items():
        # Clients send back whole messages: an unused field that holds nothing is fine, one that says something is not.
        if key not in FIELDS[role] and value not in UNUSED:
            key, known = f"{key!s:.{MAX_SHOWN}}", did_you_mean(str(key), FIELDS[role])
            raise SansiError(f'{where}.{key} is not a field of a "{role}" message{known}', param=f"{where}.{key}")
    return Message(
        role=role,
        content=_content(message, role, f"{where}.content"),
        reasoning_content=_reasoning(message, where) if role == "assistant" else None,
        tool_calls=_tool_calls(message.get("tool_calls"), f"{where}.tool_calls") if role == "assistant" else (),
        tool_call_id=_optional(message.get("tool_call_id"), f"{where}.tool_call_id") if role == "tool" else None,
        name=_optional(message.get("name"), f"{where}.name"),
    )


def _checked(message: Message, where: str) -> Message:
    """A Message that somebody made: it may hold anything. Calls with an error stay as they are."""
    for key in ("ids", "prefill"):
        _check_ids(getattr(message, key), f"{where}.{key}")
    calls = message.tool_calls
    if isinstance(calls, str | Mapping) or not isinstance(calls, Sequence):
        reason = f"{where}.tool_calls must be a tuple of ToolCalls, not {show(calls)}; () where there are none"
        raise SansiError(reason, param=f"{where}.tool_calls")
    whole = tuple(_whole(call, f"{where}.tool_calls[{i}]") for i, call in enumerate(calls))
    _read_message(message_to_dict(replace(message, tool_calls=whole)), where)
    return message


def _whole(call: Any, where: str) -> ToolCall:
    """The call, or one that stands in for a broken call, whose arguments may be anything."""
    if not isinstance(call, ToolCall):
        raise _wrong(where, "a ToolCall", call)
    if call.error is None:
        if isinstance(call.arguments, str) and call.arguments and (reason := _broken(call.arguments)) is not None:
            place = f"{where}.function.arguments"
            raise SansiError(f"{place}: {reason}; a call that is not whole has an error", param=place)
        return call
    for key in ("name", "arguments", "error"):
        _string(getattr(call, key), f"{where}.{key}")
    return replace(call, arguments="{}", error=None)


def _check_ids(ids: Any, where: str) -> None:
    """Which ids a vocabulary has is known to the renderer."""
    if ids is None:
        return
    if isinstance(ids, str | bytes | bytearray) or not isinstance(ids, Sequence):
        raise SansiError(f"{where} must be a tuple of ids, not {show(ids)}", param=where)
    if not {int}.issuperset(map(type, ids)):
        other = next(token for token in ids if type(token) is not int)
        raise SansiError(f"{where} holds {show(other)}; ids are whole numbers", param=where)
    if ids and min(ids) < 0:
        raise SansiError(f"{where} holds {min(ids)}; ids begin at 0", param=where)


def _content(message: Mapping[str, Any], role: str, where: str) -> str:
    content = message.get("content")
    if content is None and role == "assistant":
        if not any(message.get(key) is not None for key in ("tool_calls", "reasoning_content", "reasoning")):
            raise SansiError(f"{where} is missing, and there are no tool_calls", param=where)
        return ""
    if isinstance(content, Sequence) and not isinstance(content, str | bytes):
        return "".join(_part(part, f"{where}[{i}]") for i, part in enumerate(content))
    return _string(content, where)


def _part(part: Any, where: str) -> str:
    if not isinstance(part, Mapping):
        raise _wrong(where, "an object", part)
    if part.get("type") != "text":
        found = show(part.get("type"), MAX_SHOWN)
        raise SansiError(f'{where}.type is {found}; only "text" parts can be read', param=f"{where}.type")
    for key, value in part.items():
        if key not in ("type", "text") and value not in UNUSED:
            reason = f"{where}.{key:.{MAX_SHOWN}} is not a field of a text part; leave it out"
            raise SansiError(reason, param=f"{where}.{key:.{MAX_SHOWN}}")
    return _string(part.get("text"), f"{where}.text")


def _reasoning(message: Mapping[str, Any], where: str) -> str | None:
    """Servers disagree on the name of this field, so both are read."""
    keys = ("reasoning_content", "reasoning")
    found = [_string(message[key], f"{where}.{key}") for key in keys if message.get(key) is not None]
    if len(found) == 2 and found[0] != found[1]:
        reason = f"{where}.reasoning and {where}.reasoning_content differ; send one of them"
        raise SansiError(reason, param=f"{where}.reasoning")
    return found[0] if found else None


def _tool_calls(calls: Any, where: str) -> tuple[ToolCall, ...]:
    if calls is None:
        return ()
    if isinstance(calls, str | Mapping) or not isinstance(calls, Sequence):
        raise _wrong(where, "a list", calls)
    found = tuple(_tool_call(call, f"{where}[{i}]", i) for i, call in enumerate(calls))
    ids: set[str] = set()
    for i, call in enumerate(found):
        if call.id in ids:
            place, found_id = f"{where}[{i}].id", f"{call.id:.{MAX_SHOWN}}"
            reason = f'{place} is "{found_id}", as that of a call before it in the turn; ids tell calls apart'
            raise SansiError(reason, param=place)
        ids.add(call.id)
    return found


def _tool_call(call: Any, where: str, index: int) -> ToolCall:
    if isinstance(call, ToolCall):
        call = {"id": call.id, "name": call.name, "arguments": call.arguments}
    if not isinstance(call, Mapping):
        raise _wrong(where, "an object", call)
    if call.get("type") not in (None, "function"):
        found = show(call["type"], MAX_SHOWN)
        raise SansiError(f'{where}.type is {found}; only "function" calls can be read', param=f"{where}.type")
    function, inner = _function(call, where)
    if not isinstance(function, Mapping):
        raise _wrong(inner, "an object", function)
    name = _string(function.get("name"), f"{inner}.name")
    _check_name(name, f"{inner}.name")
    arguments = _arguments(function.get("arguments"), f"{inner}.arguments")
    return ToolCall(
        id=_optional(call.get("id"), f"{where}.id") or f"call_{index}",
        name=name,
        arguments=arguments,
        error=_broken(arguments),
    )


def _arguments(value: Any, where: str) -> str:
    """JSON text of an object. Text is kept as it is, so that what the model wrote is what it reads again."""
    if value is None or value == "":  # many clients send so what has no arguments
        return "{}"
    return _json_text(value, where) if isinstance(value, Mapping) else _string(value, where)


def _broken(arguments: str) -> str | None:
    """Why the arguments of a call cannot be executed: an answer that is sent back may hold a call that was cut off."""
    try:
        return None if isinstance(parse_json(arguments), Mapping) else "the arguments are no JSON object"
    except ValueError as error:
        return f"the arguments are not JSON ({error!s:.{MAX_SHOWN}})"


def _function(holder: Mapping[str, Any], where: str) -> tuple[Any, str]:
    return (holder["function"], f"{where}.function") if holder.get("function") else (holder, where)


def _json_text(value: Any, where: str) -> str:
    try:
        return _string(_JSON(value), where)
    except (TypeError, ValueError, RecursionError) as error:
        raise SansiError(f"{where} cannot be written as JSON ({error})", param=where) from error


def _optional(value: Any, where: str) -> str | None:
    return None if value is None else _string(value, where)


def _string(value: Any, where: str) -> str:
    if not isinstance(value, str):
        raise _wrong(where, "text", value)
    if any(0xD800 <= ord(char) < 0xE000 for char in value) if not value.isascii() else False:
        raise SansiError(f"{where} holds half of a surrogate pair, which is not Unicode text", param=where)
    return value


def _wrong(where: str, wanted: str, value: Any) -> SansiError:
    reason = "is missing" if value is None else f"must be {wanted}, not {show(value)}"
    return SansiError(f"{where} {reason}", param=where)
