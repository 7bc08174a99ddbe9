"""Ollama's chat and generate: a result as one object, or as lines of a stream."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from sansi.chat import ChatModel, ChatResult, TextResult, Tokens
from sansi.serve.api.logprobs import chat_logprobs
from sansi.serve.api.ollama.times import nanoseconds, now
from sansi.serve.api.requests import ChatRequest, TextRequest
from sansi.serve.api.response_bodies import Chunk, Done, Reply
from sansi.text import Reasoning, ToolCallDelta
from sansi.text.messages import ToolCall


class OllamaReply(Reply):
    """What the two routes have in common; they differ in where a text stands."""

    def __init__(self, chat: ChatModel, asked: ChatRequest | TextRequest):
        super().__init__(chat, asked)
        self._logprobs = asked.options.logprobs
        self._held: list[Tokens] = []  # that no line has told yet

    def whole(self, answers: Sequence[Done], tokens: Sequence[Sequence[Tokens]]) -> dict[str, Any]:
        (done,) = answers
        result = done.result
        if isinstance(result, TextResult):
            return self._line(result.text, "", (), tokens[0]) | self._end(done)
        message = result.message
        calls = _executable(result)
        return self._line(message.content, message.reasoning_content or "", calls, tokens[0]) | self._end(done)

    def first_chunks(self, index: int, prompt_ids: Sequence[int] | None) -> list[Chunk]:
        return []

    def chunks(self, index: int, event: Any, tokens: Sequence[Tokens]) -> list[Chunk]:
        if isinstance(event, ToolCallDelta):  # calls are told whole, at the end, which knows whether they are right
            self._held = [*self._held, *tokens]
            return []
        held, self._held = [*self._held, *tokens], []
        thought = isinstance(event, Reasoning)
        return [self._line("" if thought else event.text, event.text if thought else "", (), held)]

    def last_chunks(self, done: Done, tokens: Sequence[Tokens]) -> list[Chunk]:
        calls = _executable(done.result)
        told = [self._line("", "", calls, ())] if calls else []
        return [*told, self._line("", "", (), [*self._held, *tokens]) | self._end(done)]

    def final_chunks(self, answers: Sequence[Done]) -> list[Chunk]:
        return []

    def _line(self, text: str, thought: str, calls: Sequence[ToolCall], tokens: Sequence[Tokens]) -> Chunk:
        line = {"model": self._chat.name, "created_at": now(), **self._said(text, thought, calls), "done": False}
        if tokens and self._logprobs:
            line["logprobs"] = chat_logprobs(tokens, self._chat)["content"]
        return line

    def _said(self, text: str, thought: str, calls: Sequence[ToolCall]) -> dict[str, Any]:
        raise NotImplementedError

    def _end(self, done: Done) -> dict[str, Any]:
        timing, counts = done.timing, done.result.usage
        first = timing.total if timing.first_token is None else timing.first_token
        end: dict[str, Any] = {
            "done": True,
            "done_reason": "length" if done.result.finish_reason == "length" else "stop",
            "total_duration": nanoseconds(timing.total),
            "load_duration": nanoseconds(timing.queue),
            "prompt_eval_count": counts.prompt_tokens,
            "prompt_eval_duration": nanoseconds(first - timing.queue),
            "eval_count": counts.completion_tokens,
            "eval_duration": nanoseconds(timing.total - first),
            "sansi": self.report(done),
        }
        if broken := _broken(done.result):
            end["broken_tool_calls"] = broken
        return end


class ChatLines(OllamaReply):
    """Replies of /api/chat."""

    def _said(self, text: str, thought: str, calls: Sequence[ToolCall]) -> dict[str, Any]:
        message: dict[str, Any] = {"role": "assistant", "content": text}
        if thought:
            message["thinking"] = thought
        if calls:
            message["tool_calls"] = [_call(call, index) for index, call in enumerate(calls)]
        return {"message": message}


class GenerateLines(OllamaReply):
    """Replies of /api/generate."""

    def _said(self, text: str, thought: str, calls: Sequence[ToolCall]) -> dict[str, Any]:
        return {"response": text, "thinking": thought} if thought else {"response": text}


def _call(call: ToolCall, index: int) -> dict[str, Any]:
    function = {"index": index, "name": call.name, "arguments": json.loads(call.arguments or "{}")}
    return {"id": call.id, "function": function}


def _executable(result: Any) -> tuple[ToolCall, ...]:
    """Ollama's clients execute whatever call they get: those that must not be are told elsewhere."""
    if not isinstance(result, ChatResult) or result.finish_reason == "length":
        return ()
    return tuple(call for call in result.message.tool_calls if call.executable)


def _broken(result: Any) -> list[dict[str, Any]]:
    if not isinstance(result, ChatResult):
        return []
    told = {call.id for call in _executable(result)}
    calls = [call for call in result.message.tool_calls if call.id not in told]
    reason = "the answer was cut off"
    return [{"name": call.name, "arguments": call.arguments, "error": call.error or reason} for call in calls]


def ollama_error(body: Mapping[str, Any], status: int) -> dict[str, Any]:
    """OpenAI's error object as Ollama has it."""
    return {"error": body["error"]["message"]}
