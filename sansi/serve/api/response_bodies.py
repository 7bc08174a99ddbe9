"""What the server says: completions, stream chunks and errors, in the shapes of OpenAI's API plus a `sansi` block."""

from __future__ import annotations

import json
import random
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sansi.chat import ChatModel, ChatResult, TextResult, Tokens
from sansi.serve.api.logprobs import TextScores, chat_logprobs
from sansi.serve.api.requests import ChatRequest, TextRequest
from sansi.text import Content, Reasoning, ToolCallDelta, message_to_dict

# Made once: `json.dumps` with any option makes one for each call.
MAX_MESSAGE, MAX_PARAM = 1000, 200  # characters of an error
ENCODER = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"))


@dataclass(frozen=True)
class Timing:
    """Seconds since the request came."""

    queue: float
    """Until the engine had it."""
    first_token: float | None
    """Until the first text; None where there was none."""
    total: float

    def to_dict(self, tokens: int) -> dict[str, float | None]:
        going = self.total - self.first_token if self.first_token is not None else 0.0
        speed = (tokens - 1) / going if going > 0 and tokens > 1 else None
        return {
            "queue_s": round(self.queue, 6),
            "first_token_s": None if self.first_token is None else round(self.first_token, 6),
            "total_s": round(self.total, 6),
            "tokens_per_second": None if speed is None else round(speed, 3),
        }


@dataclass(frozen=True)
class Done:
    """One answer at its end."""

    index: int
    prompt: int
    """Which prompt it goes on with."""
    result: ChatResult | TextResult
    timing: Timing


class Reply:
    """The replies to one request: the whole, or its chunks. All carry the same id, time and model name."""

    kind = prefix = chunk_kind = ""

    def __init__(self, chat: ChatModel, include_usage: bool):
        self._chat = chat
        self._more = {"usage": None} if include_usage else {}  # OpenAI's chunks say that the usage is still to come
        self._id, self._created = f"{self.prefix}-{random.getrandbits(128):032x}", int(time.time())

    def whole(self, answers: Sequence[Done], tokens: Sequence[Sequence[Tokens]]) -> dict[str, Any]:
        """All answers in one object; `tokens` of each, where they were asked for."""
        choices = [self._choice(done, tokens[done.index]) for done in answers]
        if len(choices) > 1:
            choices = [choice | {"sansi": report(done)} for choice, done in zip(choices, answers, strict=True)]
        return self._envelope(self.kind, choices) | {"usage": usage(answers), "sansi": report(answers[0])}

    def last_chunk(self, done: Done, tokens: Sequence[Tokens]) -> dict[str, Any]:
        return self.chunk(done.index, None, tokens, done.result.finish_reason) | {"sansi": report(done)}

    def usage_chunk(self, answers: Sequence[Done]) -> dict[str, Any]:
        return self._piece([]) | {"usage": usage(answers)}

    def first_chunk(self, index: int, prompt_ids: Sequence[int] | None) -> dict[str, Any] | None:
        """What stands before an answer's first text, if anything does."""
        raise NotImplementedError

    def chunk(
        self, index: int, event: Any, tokens: Sequence[Tokens], finish_reason: str | None = None
    ) -> dict[str, Any]:
        """What an event adds to an answer; `tokens` came since its last chunk."""
        raise NotImplementedError

    def _choice(self, done: Done, tokens: Sequence[Tokens]) -> dict[str, Any]:
        raise NotImplementedError

    def _piece(self, choices: list[dict[str, Any]]) -> dict[str, Any]:
        """A chunk with these choices."""
        return self._envelope(self.chunk_kind, choices) | self._more

    def _envelope(self, kind: str, choices: list[dict[str, Any]]) -> dict[str, Any]:
        return {
            "id": self._id,
            "object": kind,
            "created": self._created,
            "model": self._chat.name,
            "choices": choices,
        }


class ChatReply(Reply):
    """Replies of /v1/chat/completions."""

    kind, prefix, chunk_kind = "chat.completion", "chatcmpl", "chat.completion.chunk"

    def __init__(self, chat: ChatModel, asked: ChatRequest):
        super().__init__(chat, asked.include_usage)
        self._asked = asked

    def whole(self, answers: Sequence[Done], tokens: Sequence[Sequence[Tokens]]) -> dict[str, Any]:
        body = super().whole(answers, tokens)
        if self._asked.return_token_ids:
            body["prompt_token_ids"] = list(answers[0].result.prompt_ids)
        return body

    def first_chunk(self, index: int, prompt_ids: Sequence[int] | None) -> dict[str, Any] | None:
        chunk = self._chunk(index, {"role": "assistant", "content": ""}, (), None)
        if self._asked.return_token_ids and prompt_ids is not None:
            chunk["prompt_token_ids"] = list(prompt_ids)
        return chunk

    def chunk(
        self, index: int, event: Any, tokens: Sequence[Tokens], finish_reason: str | None = None
    ) -> dict[str, Any]:
        return self._chunk(index, {} if event is None else _delta(event), tokens, finish_reason)

    def _chunk(
        self, index: int, delta: dict[str, Any], tokens: Sequence[Tokens], finish_reason: str | None
    ) -> dict[str, Any]:
        choice = {"index": index, "delta": delta, "logprobs": None, "finish_reason": finish_reason}
        return self._piece([choice | self._told(tokens)])

    def _choice(self, done: Done, tokens: Sequence[Tokens]) -> dict[str, Any]:
        assert isinstance(done.result, ChatResult)
        message = message_to_dict(done.result.message)
        # A turn of tool calls alone has null content, as OpenAI's clients expect; "" would read as an empty answer.
        message["content"] = message.get("content") or (None if message.get("tool_calls") else "")
        message["refusal"] = None  # OpenAI's models refuse in a field of their own, and its types require the field
        choice = {"index": done.index, "message": message, "logprobs": None, "finish_reason": done.result.finish_reason}
        return choice | self._told(tokens)

    def _told(self, tokens: Sequence[Tokens]) -> dict[str, Any]:
        """What a choice says of its tokens."""
        told: dict[str, Any] = {}
        if self._asked.options.logprobs and tokens:
            told["logprobs"] = chat_logprobs(tokens, self._chat)
        if self._asked.return_token_ids:
            told["token_ids"] = [id_ for some in tokens for id_ in some.ids]
        return told


class TextReply(Reply):
    """Replies of /v1/completions."""

    kind, prefix, chunk_kind = "text_completion", "cmpl", "text_completion"

    def __init__(self, chat: ChatModel, asked: TextRequest):
        super().__init__(chat, asked.include_usage)
        self._asked = asked
        self._scores = [TextScores(chat, len(self._echo(index))) for index in range(asked.n)]

    def first_chunk(self, index: int, prompt_ids: Sequence[int] | None) -> dict[str, Any] | None:
        if not self._asked.echo:
            return None
        choice = self._text_choice(index, self._echo(index), None, ())
        if prompt_ids is not None:
            choice["prompt_token_ids"] = list(prompt_ids)
        return self._piece([choice])

    def chunk(
        self, index: int, event: Any, tokens: Sequence[Tokens], finish_reason: str | None = None
    ) -> dict[str, Any]:
        text = "" if event is None else event.text
        choice = self._text_choice(index, text, finish_reason, tokens)
        prompts = [some.prompt_ids for some in tokens if some.prompt_ids is not None]
        if prompts and self._asked.return_token_ids and not self._asked.echo:  # an echo has told them already
            choice["prompt_token_ids"] = list(prompts[0])
        return self._piece([choice])

    def _choice(self, done: Done, tokens: Sequence[Tokens]) -> dict[str, Any]:
        assert isinstance(done.result, TextResult)
        choice = self._text_choice(done.index, self._echo(done.index), done.result.finish_reason, tokens)
        choice["text"] += done.result.text
        if done.result.prompt_logprobs is not None:
            before = TextScores(self._chat).add_prompt(done.result)
            choice["logprobs"] = {key: before[key] + told for key, told in choice["logprobs"].items()}
        if self._asked.return_token_ids:
            choice["prompt_token_ids"] = list(done.result.prompt_ids)
        return choice

    def _text_choice(
        self, index: int, text: str, finish_reason: str | None, tokens: Sequence[Tokens]
    ) -> dict[str, Any]:
        choice: dict[str, Any] = {"index": index, "text": text, "logprobs": None, "finish_reason": finish_reason}
        if self._asked.logprobs is not None and tokens:
            choice["logprobs"] = self._scores[index].add(tokens)
        if self._asked.return_token_ids:
            choice["token_ids"] = [id_ for some in tokens for id_ in some.ids]
        return choice

    def _echo(self, index: int) -> str:
        if not self._asked.echo:
            return ""
        prompt = self._asked.prompts[index // self._asked.choices]
        return prompt if isinstance(prompt, str) else self._chat.text_of(prompt)


def usage(answers: Sequence[Done]) -> dict[str, Any]:
    """Token counts from the engine's own state machine, never estimated from text. Each prompt counts once."""
    counts = [done.result.usage for done in answers]
    prompts = {done.prompt: done.result.usage.prompt_tokens for done in answers}
    cached = {p: min(d.result.usage.cached_tokens for d in answers if d.prompt == p) for p in prompts}
    completion = sum(count.completion_tokens for count in counts)
    return {
        "prompt_tokens": sum(prompts.values()),
        "completion_tokens": completion,
        "total_tokens": sum(prompts.values()) + completion,
        "completion_tokens_details": {"reasoning_tokens": sum(count.reasoning_tokens for count in counts)},
        "prompt_tokens_details": {"cached_tokens": sum(cached.values())},
    }


def report(done: Done) -> dict[str, Any]:
    """The `sansi` block: what the server did with the request."""
    result, told = done.result, done.result.report
    block: dict[str, Any] = {
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
        "stop": result.stop,
        "timing": done.timing.to_dict(result.usage.completion_tokens),
    }
    if isinstance(result, ChatResult):
        errors = {call.id: call.error for call in result.message.tool_calls if call.error is not None}
        block |= {"problems": list(result.problems), "tool_call_errors": errors}
    return block


def error(message: str, kind: str = "invalid_request_error", param: str | None = None, code: str | None = None) -> dict:
    # Both may quote what a client sent, which may be megabytes.
    message, param = _shortened(message, MAX_MESSAGE), None if param is None else _shortened(param, MAX_PARAM)
    return {"error": {"message": message, "type": kind, "param": param, "code": code}}


def _shortened(text: str, most: int) -> str:
    return text if len(text) <= most else text[: most - 1] + "…"


def bug() -> dict[str, Any]:
    return error("the server failed on this request; its log says why", kind="server_error")


def sse(value: Any) -> str:
    """One server-sent event. JSON has no raw newline, so one `data:` line is enough."""
    return f"data: {value if isinstance(value, str) else ENCODER.encode(value)}\n\n"


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
