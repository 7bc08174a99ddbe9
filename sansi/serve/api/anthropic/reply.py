"""Anthropic's messages: a result as one message, or as the events of a stream."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from typing import Any

from sansi.chat import ChatModel, ChatResult, Tokens
from sansi.serve.api.anthropic.blocks import UNSIGNED
from sansi.serve.api.anthropic.request import MessagesRequest
from sansi.serve.api.parts import Part, Parts
from sansi.serve.api.response_bodies import Chunk, Done, Reply
from sansi.serve.api.sealed_thoughts import seal
from sansi.text import Content, Reasoning, ToolCallDelta
from sansi.text.schema import read_json

BROKEN = "INVALID_JSON"  # the key under which a call that is no JSON object is told, as it was written
KINDS = {
    400: "invalid_request_error",
    401: "authentication_error",
    403: "permission_error",
    404: "not_found_error",
    408: "timeout_error",
    413: "request_too_large",
    429: "rate_limit_error",
    503: "overloaded_error",
    504: "timeout_error",
}


class MessagesReply(Reply):
    """Replies of /v1/messages."""

    prefix = "msg"

    def __init__(self, chat: ChatModel, asked: MessagesRequest):
        super().__init__(chat, asked)
        self._asked = asked
        self._id = f"{self.prefix}_{random.getrandbits(128):032x}"
        self._parts = Parts(self._begin)

    # --- the whole ----------------------------------------------------------------------------------------------------

    def whole(self, answers: Sequence[Done], tokens: Sequence[Sequence[Tokens]]) -> dict[str, Any]:
        (done,) = answers
        assert isinstance(done.result, ChatResult)
        message = done.result.message
        content: list[dict[str, Any]] = []
        if message.reasoning_content:
            thought = message.reasoning_content
            hidden = self._asked.omit_thought
            signature = seal(thought) if hidden else UNSIGNED
            content.append({"type": "thinking", "thinking": "" if hidden else thought, "signature": signature})
        if message.content:
            content.append({"type": "text", "text": message.content})
        for call in message.tool_calls:
            content.append({"type": "tool_use", "id": call.id, "name": call.name, "input": _input(call.arguments)})
        end = {"stop_reason": self._stop_reason(done), "stop_sequence": done.result.stop}
        return (
            self._message(content or [{"type": "text", "text": ""}], usage(done)) | end | {"sansi": self.report(done)}
        )

    def _message(self, content: list[dict[str, Any]], used: Mapping[str, Any]) -> dict[str, Any]:
        return {
            "id": self._id,
            "type": "message",
            "role": "assistant",
            "model": self._chat.name,
            "content": content,
            "stop_reason": None,
            "stop_sequence": None,
            "usage": used,
        }

    # --- the stream ---------------------------------------------------------------------------------------------------

    def first_chunks(self, index: int, prompt_ids: Sequence[int] | None) -> list[Chunk]:
        # How much of the prompt was in the cache is known at the end, which tells the counts again.
        begun = self._message([], _counts(len(prompt_ids or ()), 0, 0))
        return [{"type": "message_start", "message": begun}, {"type": "ping"}]

    def chunks(self, index: int, event: Any, tokens: Sequence[Tokens]) -> list[Chunk]:
        return self._parts.write(event)

    def last_chunks(self, done: Done, tokens: Sequence[Tokens]) -> list[Chunk]:
        empty = _Text(0)  # clients take the first block without looking
        chunks = self._parts.end() if self._parts.count else [*empty.begin(), *empty.end(True)]
        end = {"stop_reason": self._stop_reason(done), "stop_sequence": done.result.stop}
        last = {"type": "message_delta", "delta": end, "usage": usage(done), "sansi": self.report(done)}
        return [*chunks, last, {"type": "message_stop"}]

    def final_chunks(self, answers: Sequence[Done]) -> list[Chunk]:
        return []

    def _begin(self, event: Any, index: int) -> Part:
        if isinstance(event, Reasoning):
            return _Thought(index, self._asked.omit_thought)
        return _Text(index) if isinstance(event, Content) else _Call(index, event)

    # --- its end ------------------------------------------------------------------------------------------------------

    def _stop_reason(self, done: Done) -> str:
        result = done.result
        if result.finish_reason == "length":
            bound = self._asked.options.max_tokens
            whole = bound is not None and result.report.max_tokens < bound  # the context ended before the bound
            return "model_context_window_exceeded" if whole else "max_tokens"
        if result.finish_reason == "tool_calls":
            return "tool_use"
        return "end_turn" if result.stop is None else "stop_sequence"


class _Block(Part):
    """A block of the content while it is written."""

    def __init__(self, index: int, empty: dict[str, Any]):
        self._index, self._empty = index, empty

    def begin(self) -> list[Chunk]:
        return [{"type": "content_block_start", "index": self._index, "content_block": self._empty}]

    def end(self, whole: bool) -> list[Chunk]:
        return [{"type": "content_block_stop", "index": self._index}]

    def _delta(self, type_: str, **said: str) -> Chunk:
        return {"type": "content_block_delta", "index": self._index, "delta": {"type": type_, **said}}


class _Thought(_Block):
    """The thought, or nothing of it but a seal that holds it."""

    def __init__(self, index: int, omitted: bool):
        super().__init__(index, {"type": "thinking", "thinking": "", "signature": ""})
        self._omitted = omitted
        self._texts: list[str] = []

    def takes(self, event: Any) -> bool:
        return isinstance(event, Reasoning)

    def add(self, event: Any) -> list[Chunk]:
        if not self._omitted:
            return [self._delta("thinking_delta", thinking=event.text)]
        self._texts.append(event.text)
        return []

    def end(self, whole: bool) -> list[Chunk]:
        signature = seal("".join(self._texts)) if self._omitted else UNSIGNED
        return [self._delta("signature_delta", signature=signature), *super().end(whole)]


class _Text(_Block):
    def __init__(self, index: int):
        super().__init__(index, {"type": "text", "text": ""})

    def takes(self, event: Any) -> bool:
        return isinstance(event, Content)

    def add(self, event: Any) -> list[Chunk]:
        return [self._delta("text_delta", text=event.text)]


class _Call(_Block):
    def __init__(self, index: int, event: ToolCallDelta):
        super().__init__(index, {"type": "tool_use", "id": event.id, "name": event.name, "input": {}})
        self._call = event.index

    def takes(self, event: Any) -> bool:
        return isinstance(event, ToolCallDelta) and event.index == self._call

    def add(self, event: Any) -> list[Chunk]:
        return [self._delta("input_json_delta", partial_json=event.arguments)] if event.arguments else []


def usage(done: Done) -> dict[str, Any]:
    counts = done.result.usage
    used = _counts(counts.prompt_tokens - counts.cached_tokens, counts.cached_tokens, counts.completion_tokens)
    return {**used, "output_tokens_details": {"thinking_tokens": counts.reasoning_tokens}}


def _counts(new: int, cached: int, output: int) -> dict[str, Any]:
    """Input tokens are those that were computed; those from the cache stand apart."""
    return {
        "input_tokens": new,
        "cache_creation_input_tokens": 0,
        "cache_read_input_tokens": cached,
        "output_tokens": output,
    }


def _input(arguments: str) -> dict[str, Any]:
    """The arguments as an object; what is none, in a call that must not be executed, as it was written."""
    try:
        found = read_json(arguments or "{}")  # strictly: neither NaN nor half a surrogate pair can be told as JSON
    except ValueError:
        found = None
    return found if isinstance(found, dict) else {BROKEN: arguments}


def messages_error(body: Mapping[str, Any], status: int) -> dict[str, Any]:
    """OpenAI's error object as Anthropic has it."""
    kind = KINDS.get(status, "api_error" if status >= 500 else "invalid_request_error")
    told = {"type": kind, "message": body["error"]["message"]}
    if body["error"].get("param") is not None:
        told["param"] = body["error"]["param"]
    return {"type": "error", "error": told}
