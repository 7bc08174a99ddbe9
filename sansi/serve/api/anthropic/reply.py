"""Anthropic's messages: a result as one message, or as the events of a stream."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from typing import Any

from sansi.chat import ChatModel, ChatResult, Tokens
from sansi.serve.api.anthropic.blocks import UNSIGNED
from sansi.serve.api.anthropic.request import MessagesRequest
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
        self._index = -1
        self._open: Any = None  # what the open block is of: Reasoning, Content, or the index of a call
        self._thought: list[str] = []

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
        if isinstance(event, ToolCallDelta):
            return self._call(event)
        return self._text(event)

    def last_chunks(self, done: Done, tokens: Sequence[Tokens]) -> list[Chunk]:
        chunks = self._begin(Content, {"type": "text", "text": ""}) if self._index < 0 else []
        chunks += self._end()
        end = {"stop_reason": self._stop_reason(done), "stop_sequence": done.result.stop}
        last = {"type": "message_delta", "delta": end, "usage": usage(done), "sansi": self.report(done)}
        return [*chunks, last, {"type": "message_stop"}]

    def final_chunks(self, answers: Sequence[Done]) -> list[Chunk]:
        return []

    def _text(self, event: Reasoning | Content) -> list[Chunk]:
        chunks: list[Chunk] = []
        kind = Reasoning if isinstance(event, Reasoning) else Content
        if self._open is not kind:
            empty = (
                {"type": "thinking", "thinking": "", "signature": ""}
                if kind is Reasoning
                else {"type": "text", "text": ""}
            )
            chunks = self._begin(kind, empty)
        if kind is Content:
            return [*chunks, self._delta({"type": "text_delta", "text": event.text})]
        if self._asked.omit_thought:
            self._thought.append(event.text)
            return chunks
        return [*chunks, self._delta({"type": "thinking_delta", "thinking": event.text})]

    def _call(self, event: ToolCallDelta) -> list[Chunk]:
        chunks: list[Chunk] = []
        if self._open != event.index:
            chunks = self._begin(event.index, {"type": "tool_use", "id": event.id, "name": event.name, "input": {}})
        if event.arguments:
            chunks.append(self._delta({"type": "input_json_delta", "partial_json": event.arguments}))
        return chunks

    def _begin(self, kind: Any, block: dict[str, Any]) -> list[Chunk]:
        chunks = self._end()
        self._index, self._open = self._index + 1, kind
        return [*chunks, {"type": "content_block_start", "index": self._index, "content_block": block}]

    def _end(self) -> list[Chunk]:
        if self._open is None:
            return []
        chunks: list[Chunk] = []
        if self._open is Reasoning:
            signature = seal("".join(self._thought)) if self._asked.omit_thought else UNSIGNED
            chunks = [self._delta({"type": "signature_delta", "signature": signature})]
        self._open = None
        return [*chunks, {"type": "content_block_stop", "index": self._index}]

    def _delta(self, delta: dict[str, Any]) -> Chunk:
        return {"type": "content_block_delta", "index": self._index, "delta": delta}

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
