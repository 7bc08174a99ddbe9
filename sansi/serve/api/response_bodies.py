"""What the server says: completions, stream chunks and errors, in the shapes of OpenAI's API plus a `sansi` block."""

from __future__ import annotations

import random
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sansi.chat import ChatModel, ChatResult, TextResult, Tokens, tokens_per_second
from sansi.serve.api.requests import ChatRequest, TextRequest

MAX_MESSAGE, MAX_PARAM = 1000, 200  # characters of an error


@dataclass(frozen=True)
class Timing:
    """Seconds since the request came."""

    queue: float
    """Until the engine had it."""
    first_token: float | None
    """Until the first text; None where there was none."""
    total: float

    def to_dict(self, speed: float | None) -> dict[str, float | None]:
        """speed: tokens a second."""
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


Chunk = dict[str, Any]


class Reply:
    """The replies to one request: the whole, or its chunks. All carry the same id, time and model name.

    A dialect says of each item of an answer what it adds to the stream, which may be several chunks, or none.
    """

    kind = prefix = chunk_kind = ""

    def __init__(self, chat: ChatModel, asked: ChatRequest | TextRequest):
        self._chat, self._ignored, self._usage_at_end = chat, asked.ignored, asked.include_usage
        self._running = _RunningUsage() if asked.running_usage else None
        self._more = {"usage": None} if asked.include_usage else {}  # OpenAI's chunks say that the usage is to come
        self._id, self._created = f"{self.prefix}-{random.getrandbits(128):032x}", int(time.time())

    def whole(self, answers: Sequence[Done], tokens: Sequence[Sequence[Tokens]]) -> dict[str, Any]:
        """All answers in one object; `tokens` of each, where they were asked for."""
        choices = [self._choice(done, tokens[done.index]) for done in answers]
        if len(choices) > 1:
            choices = [choice | {"sansi": self.report(done)} for choice, done in zip(choices, answers, strict=True)]
        return self._envelope(self.kind, choices) | {"usage": usage(answers), "sansi": self.report(answers[0])}

    def report(self, done: Done) -> dict[str, Any]:
        return report(done, self._ignored)

    def first_chunks(self, index: int, prompt_ids: Sequence[int] | None) -> list[Chunk]:
        """What stands before an answer's first text."""
        raise NotImplementedError

    def chunks(self, index: int, event: Any, tokens: Sequence[Tokens]) -> list[Chunk]:
        """What an event adds to an answer; `tokens` came since its last chunk."""
        return [self._counted(self.chunk(index, event, tokens), index, tokens)]

    def last_chunks(self, done: Done, tokens: Sequence[Tokens]) -> list[Chunk]:
        """What stands after an answer's last text."""
        last = self.chunk(done.index, None, tokens, done.result.finish_reason)
        return [self._counted(last | {"sansi": self.report(done)}, done.index, tokens)]

    def final_chunks(self, answers: Sequence[Done]) -> list[Chunk]:
        """What ends the stream, once all answers are there."""
        return [self._piece([]) | {"usage": usage(answers)}] if self._usage_at_end else []

    def failure_chunks(self, error: Mapping[str, Any], status: int) -> list[Chunk]:
        """What ends a stream that can not go on, where that is more than the dialect's error.

        `error`: OpenAI's error object; `status`: what the request would have been answered with before the stream.
        """
        return []

    def chunk(self, index: int, event: Any, tokens: Sequence[Tokens], finish_reason: str | None = None) -> Chunk:
        raise NotImplementedError

    def _choice(self, done: Done, tokens: Sequence[Tokens]) -> dict[str, Any]:
        raise NotImplementedError

    def _counted(
        self, chunk: Chunk, index: int, tokens: Sequence[Tokens], prompt_ids: Sequence[int] | None = None
    ) -> Chunk:
        """The chunk with what has been used so far, where that is asked for."""
        if self._running is None:
            return chunk
        self._running.add(self.prompt_of(index), tokens, prompt_ids)
        return chunk | {"usage": self._running.to_dict()}

    def prompt_of(self, index: int) -> int:
        """Which prompt an answer goes on with."""
        return 0

    def _piece(self, choices: list[dict[str, Any]]) -> Chunk:
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


class _RunningUsage:
    """Tokens of a stream so far; which of them are thought, and which came from the cache, is known at its end."""

    def __init__(self) -> None:
        self._prompts: dict[int, int] = {}
        self._completion = 0

    def add(self, prompt: int, tokens: Sequence[Tokens], prompt_ids: Sequence[int] | None) -> None:
        for ids in (prompt_ids, *(some.prompt_ids for some in tokens)):
            if ids is not None:
                self._prompts[prompt] = len(ids)
        self._completion += sum(len(some.ids) for some in tokens)

    def to_dict(self) -> dict[str, int]:
        prompt = sum(self._prompts.values())
        total = prompt + self._completion
        return {"prompt_tokens": prompt, "completion_tokens": self._completion, "total_tokens": total}


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
        "completion_tokens_details": {
            "reasoning_tokens": sum(count.reasoning_tokens for count in counts),
            "closing_phrase_tokens": sum(done.result.report.closing_phrase_tokens for done in answers),
        },
        "prompt_tokens_details": {"cached_tokens": sum(cached.values())},
    }


def report(done: Done, ignored: Sequence[str] = ()) -> dict[str, Any]:
    """The `sansi` block: what the server did with the request, and which of its fields changed nothing."""
    result, told = done.result, done.result.report
    block: dict[str, Any] = {
        "mode": told.mode,
        "mode_source": told.mode_source,
        "thinking_budget_requested": told.budget_requested,
        "thinking_budget_applied": told.budget_applied,
        "thinking_end_reason": told.thinking_end_reason,
        "closing_phrase_tokens": told.closing_phrase_tokens,
        "closing_phrase": told.closing_phrase or None,
        "max_tokens": told.max_tokens,
        "answer_reserve": told.answer_reserve,
        "preset": told.preset,
        "sampling": told.sampling,
        "stop": result.stop,
        "ignored": list(ignored),
        "warnings": list(told.warnings),
        "special_tokens_read": told.special_tokens_read,
        "timing": done.timing.to_dict(tokens_per_second(result)),
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
