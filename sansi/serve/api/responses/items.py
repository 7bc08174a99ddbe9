"""The items of a conversation, as OpenAI's responses have them, read as messages."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from sansi.base.errors import SansiError, did_you_mean
from sansi.base.shown import cut, show
from sansi.serve.api.fields import Reading, note_unread
from sansi.serve.api.placed_messages import PlacedMessages, string_of
from sansi.serve.api.sealed_thoughts import unseal

ROLES = ("user", "system", "developer", "assistant")
TEXT_PARTS = ("input_text", "output_text", "text")
# What an item may say beside what is read: it changes nothing.
SILENT_KEYS = ("id", "status", "type", "phase", "object", "created_by", "async", "caller")
SILENT_PART_KEYS = ("type", "annotations", "logprobs", "cache_control")
Recall = Callable[[str], Mapping[str, Any] | None]
"""The output item of this id, where it is still known."""


class Conversation(PlacedMessages):
    """The messages of a request."""

    def turn(self, where: str, *, before: Sequence[str]) -> dict[str, Any]:
        """The assistant's turn that goes on: the last message, unless it has one of `before` already, or a new one."""
        last = self.messages[-1] if self.messages else {}
        if last.get("role") == "assistant" and not any(last.get(key) for key in before):
            return last
        return self.add(where, role="assistant", content="")


def read_input(said: Any, instructions: str | None, recall: Recall, reading: Reading) -> Conversation:
    """The conversation of a request. Raises SansiError, with `param`, for items that can not be read."""
    found = Conversation()
    if instructions:
        found.add("instructions", role="system", content=instructions)
    if isinstance(said, str):
        found.add("input", role="user", content=said)
        return found
    for i, item in enumerate(said):
        _read(item, f"input[{i}]", found, recall, reading)
    return found


# --- kinds of items --------------------------------------------------------------------------------------------------


def _read(item: Any, where: str, found: Conversation, recall: Recall, reading: Reading) -> None:
    if not isinstance(item, Mapping):
        raise SansiError(f"{where} must be an object, not {show(item)}", param=where)
    kind = item.get("type") or ("message" if "role" in item else "item_reference" if list(item) == ["id"] else None)
    if kind == "item_reference":
        known = recall(string_of(item, "id", where))
        if known is None:
            reason = (
                f'{where} refers to "{cut(item["id"])}", which is not kept here, or not any more; send the item itself'
            )
            raise SansiError(reason, param=where)
        item, kind = known, known["type"]
    if not isinstance(kind, str) or kind not in _KINDS:
        raise _unreadable(kind, where)
    reader, keys = _KINDS[kind]
    note_unread(item, (*keys, *SILENT_KEYS), where, "input[]", reading)
    reader(item, where, found, reading)


def _unreadable(kind: Any, where: str) -> SansiError:
    if not isinstance(kind, str):
        reason = f'{where}.type is missing or no text; an item has a "role" or a "type": {", ".join(_KINDS)}'
    elif kind in _INSTEAD:
        reason = f'{where} is of type "{kind}", which is not supported; {_INSTEAD[kind]}'
    else:
        reason = f"{where}.type is {show(kind)}{did_you_mean(kind, _KINDS)}"
    return SansiError(reason, param=f"{where}.type")


def _message(item: Mapping[str, Any], where: str, found: Conversation, reading: Reading) -> None:
    role = item.get("role")
    if role not in ROLES:
        near = did_you_mean(role if isinstance(role, str) else "", ROLES)
        raise SansiError(f"{where}.role is {show(role)}{near}", param=f"{where}.role")
    content = text_of(item.get("content"), f"{where}.content", reading)
    if role == "assistant":
        turn = found.turn(where, before=("content", "tool_calls"))
        turn["content"] = content
        found.place("content", f"{where}.content")
    else:
        found.add(where, role="user" if role == "user" else "system", content=content)


def _reasoning(item: Mapping[str, Any], where: str, found: Conversation, reading: Reading) -> None:
    thought = _thought(item, where, reading)
    if not thought:
        return
    turn = found.turn(where, before=("content", "tool_calls"))
    earlier = turn.get("reasoning_content")
    turn["reasoning_content"] = f"{earlier}\n\n{thought}" if earlier else thought


def _thought(item: Mapping[str, Any], where: str, reading: Reading) -> str:
    """The whole text where the item has it, else what was sealed of it, else its summary."""
    if content := _texts(item.get("content"), f"{where}.content"):
        return "".join(content)
    sealed = item.get("encrypted_content")
    if sealed is not None:
        thought = unseal(string_of(item, "encrypted_content", where))
        if thought is not None:
            return thought
        reading.ignore_or_refuse(f"{where}.encrypted_content", "input[].encrypted_content")
    return "\n\n".join(_texts(item.get("summary"), f"{where}.summary"))


def _function_call(item: Mapping[str, Any], where: str, found: Conversation, reading: Reading) -> None:
    _call(item, _name(item, where), string_of(item, "arguments", where) or "{}", "arguments", where, found)


def _custom_call(item: Mapping[str, Any], where: str, found: Conversation, reading: Reading) -> None:
    _call(item, _name(item, where), {"input": string_of(item, "input", where)}, "input", where, found)


def _name(item: Mapping[str, Any], where: str) -> str:
    if item.get("namespace") is not None:
        string_of(item, "namespace", where)
    return full_name(string_of(item, "name", where), item.get("namespace"))


def _call(item: Mapping[str, Any], name: str, arguments: Any, key: str, where: str, found: Conversation) -> None:
    turn = found.turn(where, before=())
    calls = turn.setdefault("tool_calls", [])
    call_id = string_of(item, "call_id", where)
    calls.append({"id": call_id, "type": "function", "function": {"name": name, "arguments": arguments}})
    path = f"tool_calls[{len(calls) - 1}]"
    for inner, outer in (("", ""), (".id", ".call_id"), (".function", ""), (".function.arguments", f".{key}")):
        found.place(path + inner, where + outer)
    found.calls.add(call_id)


def _call_output(item: Mapping[str, Any], where: str, found: Conversation, reading: Reading) -> None:
    call_id = string_of(item, "call_id", where)
    if call_id not in found.calls:
        reason = f'{where} answers the call "{cut(call_id)}", which is not in the input; send the call before it'
        raise SansiError(reason, param=f"{where}.call_id")
    content = text_of(item.get("output"), f"{where}.output", reading)
    found.add(where, role="tool", tool_call_id=call_id, content=content)
    found.place("tool_call_id", f"{where}.call_id")
    found.place("content", f"{where}.output")


_KINDS: dict[str, tuple[Callable[..., None], tuple[str, ...]]] = {
    "message": (_message, ("role", "content")),
    "reasoning": (_reasoning, ("summary", "content", "encrypted_content")),
    "function_call": (_function_call, ("call_id", "name", "namespace", "arguments")),
    "function_call_output": (_call_output, ("call_id", "output")),
    "custom_tool_call": (_custom_call, ("call_id", "name", "namespace", "input")),
    "custom_tool_call_output": (_call_output, ("call_id", "output", "name")),
}
_FUNCTIONS = "send a function_call and a function_call_output"
_INSTEAD = {
    "compaction": "send the items themselves",
    "compaction_trigger": "nothing is compacted here; shorten the conversation",
    "local_shell_call": _FUNCTIONS,
    "local_shell_call_output": _FUNCTIONS,
    "shell_call": _FUNCTIONS,
    "shell_call_output": _FUNCTIONS,
    "apply_patch_call": _FUNCTIONS,
    "apply_patch_call_output": _FUNCTIONS,
    "computer_call": _FUNCTIONS,
    "computer_call_output": _FUNCTIONS,
    "mcp_call": _FUNCTIONS,
    "web_search_call": "leave it out; what it found belongs into a message",
    "file_search_call": "leave it out; what it found belongs into a message",
    "code_interpreter_call": "leave it out; what it found belongs into a message",
    "image_generation_call": "only text can be read; leave it out",
}

# --- parts -----------------------------------------------------------------------------------------------------------


def full_name(name: str, namespace: Any) -> str:
    """What a tool of a namespace is called among all tools."""
    return f"{namespace}.{name}" if isinstance(namespace, str) and namespace else name


def text_of(content: Any, where: str, reading: Reading) -> str:
    """The text of a string or of parts. Null is no text, as a tool may have nothing to say."""
    if content is None or isinstance(content, str):
        return content or ""
    if not isinstance(content, list):
        raise SansiError(f"{where} must be a string or an array of parts, not {show(content)}", param=where)
    return "".join(_part(part, f"{where}[{i}]", reading) for i, part in enumerate(content))


def _part(part: Any, where: str, reading: Reading) -> str:
    if not isinstance(part, Mapping):
        raise SansiError(f"{where} must be an object, not {show(part)}", param=where)
    kind = part.get("type")
    if kind not in (*TEXT_PARTS, "refusal"):
        instead = _PARTS_INSTEAD.get(kind if isinstance(kind, str) else "", "only text can be read; send input_text")
        reason = f"{where} is of type {show(kind)}, which is not supported; {instead}"
        raise SansiError(reason, param=f"{where}.type")
    said = "refusal" if kind == "refusal" else "text"
    note_unread(part, (said, *SILENT_PART_KEYS), where, "input[].content[]", reading)
    return string_of(part, said, where)


_PARTS_INSTEAD = {
    "input_image": "only text can be read; describe the image in an input_text part",
    "input_file": "send its bytes in base64 in file_data, or its text in an input_text part",
    "input_audio": "only text can be read; send what was said in an input_text part",
}


def _texts(parts: Any, where: str) -> list[str]:
    """The texts of a reasoning item's parts."""
    if parts is None:
        return []
    if not isinstance(parts, list) or not all(isinstance(part, Mapping) for part in parts):
        raise SansiError(f"{where} must be an array of objects", param=where)
    return [string_of(part, "text", f"{where}[{i}]") for i, part in enumerate(parts)]
