"""What the server says: completions, stream chunks and errors, in the shapes of OpenAI's API plus a `sansi` block."""

from __future__ import annotations

import json
import time
import uuid
from typing import Any

from sansi.chat import ChatResult
from sansi.text import Content, Reasoning, ToolCallDelta, message_to_dict


class Reply:
    """One answer's replies: the completion, or its chunks. All carry the same id, time and model name."""

    def __init__(self, model: str):
        self._model = model
        self._id, self._created = f"chatcmpl-{uuid.uuid4().hex}", int(time.time())

    def completion(self, result: ChatResult) -> dict[str, Any]:
        message = message_to_dict(result.message)
        # A turn of tool calls alone has null content, as OpenAI's clients expect; "" would read as an empty answer.
        message["content"] = message.get("content") or (None if message.get("tool_calls") else "")
        choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": result.finish_reason}
        return self._envelope("chat.completion", [choice]) | {"usage": usage(result), "sansi": report(result)}

    def first_chunk(self) -> dict[str, Any]:
        return self._chunk({"role": "assistant", "content": ""})

    def event_chunk(self, event: Any) -> dict[str, Any]:
        return self._chunk(_delta(event))

    def last_chunk(self, result: ChatResult) -> dict[str, Any]:
        return self._chunk({}, result.finish_reason) | {"sansi": report(result)}

    def usage_chunk(self, result: ChatResult) -> dict[str, Any]:
        return self._envelope("chat.completion.chunk", []) | {"usage": usage(result)}

    def _chunk(self, delta: dict[str, Any], finish_reason: str | None = None) -> dict[str, Any]:
        choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish_reason}
        return self._envelope("chat.completion.chunk", [choice])

    def _envelope(self, kind: str, choices: list[dict[str, Any]]) -> dict[str, Any]:
        return {
            "id": self._id,
            "object": kind,
            "created": self._created,
            "model": self._model,
            "choices": choices,
        }


def usage(result: ChatResult) -> dict[str, Any]:
    """Token counts from the engine's own state machine, never estimated from text."""
    counts = result.usage
    return {
        "prompt_tokens": counts.prompt_tokens,
        "completion_tokens": counts.completion_tokens,
        "total_tokens": counts.prompt_tokens + counts.completion_tokens,
        "completion_tokens_details": {"reasoning_tokens": counts.reasoning_tokens},
        "prompt_tokens_details": {"cached_tokens": counts.cached_tokens},
    }


def report(result: ChatResult) -> dict[str, Any]:
    """The `sansi` block: what the server did with the request."""
    told = result.report
    return {
        "mode": told.mode,
        "mode_source": told.mode_source,
        "thinking_budget_requested": told.budget_requested,
        "thinking_budget_applied": told.budget_applied,
        "thinking_end_reason": told.thinking_end_reason,
        "closing_phrase_tokens": told.closing_phrase_tokens,
        "max_tokens": told.max_tokens,
        "answer_reserve": told.answer_reserve,
        "preset": told.preset,
        "sampling": told.sampling,
        "problems": list(result.problems),
        "tool_call_errors": {call.id: call.error for call in result.message.tool_calls if call.error is not None},
    }


def error(message: str, kind: str = "invalid_request_error", param: str | None = None, code: str | None = None) -> dict:
    return {"error": {"message": message, "type": kind, "param": param, "code": code}}


def bug() -> dict[str, Any]:
    return error("the server failed on this request; its log says why", kind="server_error")


def sse(value: Any) -> str:
    """One server-sent event. JSON has no raw newline, so one `data:` line is enough."""
    return f"data: {value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)}\n\n"


def _delta(event: Any) -> dict[str, Any]:
    if isinstance(event, Reasoning):
        return {"reasoning_content": event.text}
    if isinstance(event, Content):
        return {"content": event.text}
    assert isinstance(event, ToolCallDelta), event
    call: dict[str, Any] = {"index": event.index, "function": {"arguments": event.arguments}}
    if event.name is not None:  # only the first delta of a call names it
        call |= {"id": event.id, "type": "function"}
        call["function"] = {"name": event.name, "arguments": event.arguments}
    return {"tool_calls": [call]}
