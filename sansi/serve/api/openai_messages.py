"""OpenAI's messages, with what clients and other servers keep in them, as the messages that the models know.

Clients send whole histories back. What in them is text, thought or call is read, under the names that it has
elsewhere; what a program keeps there for itself is ignored by name; what says something that is no text is refused.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sansi.base.errors import SansiError
from sansi.base.shown import cut, show
from sansi.serve.api.fields import Reading
from sansi.text.messages import FIELDS, UNUSED

# Nearly all messages have these fields alone, and a text: they are passed on as they are.
_PLAIN: Mapping[Any, frozenset[str]] = {
    "system": frozenset(("role", "content")),
    "user": frozenset(("role", "content")),
    "assistant": frozenset(("role", "content", "reasoning_content", "tool_calls")),
    "tool": frozenset(("role", "content", "tool_call_id")),
}
MAX_DEPTH = 6  # of blocks in blocks
_CALL = frozenset(("id", "type", "function", "name", "arguments"))
_CALL_NAMES = ("id", "call_id")  # of a tool's message: what others call tool_call_id
_CONTINUES = ("partial", "prefix")  # DashScope's and Moonshot's name; Mistral's and DeepSeek's
_TEXTS = ("text", "input_text", "output_text")
_THOUGHTS = ("thinking", "reasoning", "redacted_thinking")
# Where a thought stands in the histories of others, the plainest first.
_THOUGHT_FIELDS = ("thinking", "thinking_blocks", "reasoning_details", "provider_specific_fields")
READ = ("id", "call_id", "refusal", *_CONTINUES, *_THOUGHT_FIELDS)
"""What is read of a message beside the codec's own fields; docs/api.md says how."""
_REFUSED: Mapping[str, str] = {
    "function_call": "use tool_calls",
    "audio": "only text can be read; send a transcript",
    "images": "only text can be read; say in words what they show",
    "files": "only text can be read; send their text",
    "videos": "only text can be read; say in words what they show",
}
_REFUSED_PARTS: Mapping[str, str] = {
    **dict.fromkeys(("image_url", "image", "input_image", "image_file"), "say in words what the image shows"),
    **dict.fromkeys(("input_audio", "audio", "audio_url"), "send a transcript"),
    **dict.fromkeys(("file", "input_file"), "send its bytes in base64 in file_data, or its text"),
    **dict.fromkeys(("document", "video_url", "video", "input_video"), "send its text"),
    "tool_use": "send calls in tool_calls",
    "tool_call": "send calls in tool_calls",
    "tool_result": 'send a result with the role "tool"',
}


@dataclass(frozen=True)
class Conversation:
    """Messages, and whether the last is to be gone on with."""

    messages: list[Any]
    continued_by: str | None = None
    """The field that asks for it: "messages[2].prefix"."""


def read_conversation(messages: Sequence[Any], reading: Reading) -> Conversation:
    """Raises SansiError, with `param`, for what can neither be read nor ignored; the codec checks the rest."""
    read: list[Any] = []
    turn: dict[str, Any] = {}  # whose calls a tool's message may answer
    continued_by = None
    for index, message in enumerate(messages):
        if _is_plain(message):
            read.append(message)
        else:
            one = _Message(message, f"messages[{index}]", reading, turn)
            read.append(one.read())
            if one.continues and index + 1 < len(messages):  # it was gone on with then
                reading.ignore(f"messages[].{one.continues}")
            elif one.continues:
                continued_by = f"messages[{index}].{one.continues}"
        if type(message) is dict and message.get("role") != "tool":
            turn = message
    return Conversation(read, continued_by)


def _is_plain(message: Any) -> bool:
    """Whether the message can be passed on as it is; what is no message the codec refuses."""
    if type(message) is not dict or type(message.get("role")) is not str:
        return True
    fields = _PLAIN.get(message["role"])
    if fields is None or not fields.issuperset(message):
        return False
    calls, content = message.get("tool_calls"), message.get("content")
    for call in calls if type(calls) is list else ():
        if type(call) is not dict or not _CALL.issuperset(call):
            return False
    return type(content) is str or (content is None and bool(calls))


class _Message:
    """One message while it is read."""

    def __init__(self, message: dict[str, Any], where: str, reading: Reading, turn: dict[str, Any]):
        self._message, self._where, self._reading, self._turn = message, where, reading, turn
        role = message.get("role")
        self.role = "system" if role == "developer" else role
        self.continues: str | None = None
        """The field that says that this message is to be gone on with."""
        self._thoughts: dict[str, str] = {}  # by the field that holds them

    def _calls(self) -> list[str]:
        """Ids of the calls that it may be the result of."""
        calls = self._turn.get("tool_calls")
        return [str(one.get("id")) for one in calls if isinstance(one, dict)] if isinstance(calls, list) else []

    def read(self) -> dict[str, Any]:
        if self.role == "function":
            raise self._wrong("role", 'is "function"; send a result with the role "tool" and a tool_call_id')
        if self.role not in FIELDS:
            return self._message  # the codec says what is wrong with it
        known = FIELDS[self.role]
        made: dict[str, Any] = {"role": self.role}
        for key, value in self._message.items():
            if key == "content":
                made[key] = self._content(value)
            elif value is None or key == "role":
                continue
            elif key in known and (key != "name" or self.role == "tool"):
                made[key] = value
            else:
                self._other(key, value, made)
        if self.role in ("assistant", "tool"):
            made.setdefault("content", "")
        if self.role == "assistant":
            self._refuse(made)
            self._think(made)
            self._check_calls(made)
        return made

    def _other(self, key: str, value: Any, made: dict[str, Any]) -> None:
        """A field that the codec does not know."""
        assistant = self.role == "assistant"
        if key in _CONTINUES:
            self._continue(key, value)
        elif key in _REFUSED and value not in UNUSED:
            raise self._wrong(key, f"is not supported: {_REFUSED[key]}")
        elif assistant and key == "refusal":
            return
        elif assistant and key in _THOUGHT_FIELDS and (thought := _thought_in(value)):
            self._thoughts[key] = thought
        elif self.role == "tool" and key in _CALL_NAMES and not made.get("tool_call_id") and value in self._calls():
            made["tool_call_id"] = self._message.get("tool_call_id") or value
        elif value not in UNUSED:
            self._ignore(key)

    def _continue(self, key: str, value: Any) -> None:
        if not isinstance(value, bool):
            raise self._wrong(key, f"must be true or false, not {show(value)}")
        if value and self.role != "assistant":
            raise self._wrong(key, "is for an assistant's message, which the answer goes on with")
        if value:
            self.continues = key

    def _content(self, content: Any) -> Any:
        if content is None:
            return ""
        if isinstance(content, list):
            return "".join([self._part(part, f"content[{i}]") for i, part in enumerate(content)])
        return content

    def _part(self, part: Any, where: str) -> str:
        if isinstance(part, str):
            return part
        if not isinstance(part, dict):
            raise self._wrong(where, f"must be an object, not {show(part)}")
        kind = part.get("type", "text" if "text" in part else None)
        if self.role == "assistant" and kind in _THOUGHTS:
            self._thoughts["content"] = self._thoughts.get("content", "") + _thought_in([part])
            return ""
        if kind == "refusal" and self.role == "assistant":
            return self._text(part.get("refusal"), f"{where}.refusal")
        if kind not in _TEXTS:
            hint = _REFUSED_PARTS.get(kind, "") if isinstance(kind, str) else ""
            raise self._wrong(f"{where}.type", f'is {show(kind)}; only "text" parts can be read{hint and "; " + hint}')
        for key, value in part.items():
            if key not in ("type", "text") and value not in UNUSED:
                self._ignore(f"content[].{key}", f"{where}.{key}")
        return self._text(part.get("text"), f"{where}.text")

    def _text(self, value: Any, where: str) -> str:
        if value is not None and not isinstance(value, str):
            raise self._wrong(where, f"must be text, not {show(value)}")
        return value or ""

    def _refuse(self, made: dict[str, Any]) -> None:
        """OpenAI's models refuse in a field of their own: it is what the turn said, where it said nothing else."""
        refusal = self._text(self._message.get("refusal"), "refusal")
        if refusal and made["content"]:
            self._ignore("refusal")
        else:
            made["content"] = made["content"] or refusal

    def _think(self, made: dict[str, Any]) -> None:
        """The thought is what its own field says, or the plainest of the others; what says another is not read."""
        given = made.get("reasoning_content") or made.get("reasoning")
        for key, thought in sorted(self._thoughts.items(), key=lambda item: _ORDER.get(item[0], -1)):
            if not given:
                made.pop("reasoning", None)
                given = made["reasoning_content"] = thought
            elif thought != given:
                self._ignore(key)

    def _check_calls(self, made: dict[str, Any]) -> None:
        calls = made.get("tool_calls")
        for call in calls if isinstance(calls, list) else ():
            for key in call if isinstance(call, dict) and not _CALL.issuperset(call) else ():
                if key not in _CALL and call[key] not in UNUSED and key != "index":
                    self._ignore(f"tool_calls[].{key}")

    def _ignore(self, key: str, place: str | None = None) -> None:
        if self._reading.strict:
            reason = "is not supported: the models are told no names; write it into the content"
            raise self._wrong(place or key, reason if key == "name" else "changes nothing; leave it out")
        if not key.endswith("cache_control"):
            self._reading.ignore(f"messages[].{key}")

    def _wrong(self, key: str, reason: str) -> SansiError:
        where = f"{self._where}.{cut(key)}"
        return SansiError(f"{where} {reason}", param=where)


_ORDER = {key: number for number, key in enumerate(_THOUGHT_FIELDS)}


_THOUGHT_KEYS = (
    "reasoning_content",
    "reasoning",
    "thinking",
    "thinking_blocks",
    "reasoning_details",
    "text",
    "summary",
)


def _thought_in(value: Any, depth: int = 0) -> str:
    """The thought in a text, in blocks (Anthropic's, OpenRouter's, Mistral's), or in an object that holds either."""
    if isinstance(value, str):
        return value
    if isinstance(value, list) and depth < MAX_DEPTH:
        return "".join([_thought_in(one, depth + 1) for one in value])
    if not isinstance(value, dict) or depth == MAX_DEPTH:
        return ""
    return next((found for key in _THOUGHT_KEYS if (found := _thought_in(value.get(key), depth + 1))), "")
