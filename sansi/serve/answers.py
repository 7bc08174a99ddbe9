"""Answers under way: all of them as one object, or chunk by chunk."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from sansi.base.errors import SansiError
from sansi.chat import ChatModel, ChatOptions, ChatResult, TextResult, Tokens
from sansi.serve.errors import ServeError
from sansi.serve.merged import Merged
from sansi.serve.replies import ChatReply, Done, Reply, TextReply, Timing
from sansi.serve.requests import ChatRequest, TextRequest

SEEDS = 2**63
Request = ChatRequest | TextRequest


@dataclass
class _Choice:
    """What is known of one of the answers."""

    tokens: list[Tokens] = field(default_factory=list)
    """Since its last chunk, or all of them where there are no chunks."""
    first: float | None = None
    done: Done | None = None


class Answer:
    """The answers to one request. Closing it, at its end or early, is what frees the engine's slots."""

    def __init__(self, reply: Reply, asked: Request, streams: Sequence[AsyncIterator[Any]], begun: float):
        self._reply, self._asked, self._begun = reply, asked, begun
        self._queue = time.monotonic() - begun
        self._items = Merged(streams)
        self._choices = [_Choice() for _ in streams]
        self.results: list[ChatResult | TextResult] = []
        """For the log and the metrics."""
        self.first_token: float | None = None
        """When the first text came, by the monotonic clock."""

    @classmethod
    async def start(cls, chat: ChatModel, asked: Request, begun: float | None = None, small: bool = False) -> Answer:
        """Raises SansiError for what is wrong with the messages or options, while a status line can still say so.

        begun: when the request came, by the monotonic clock. small: it is rendered at once.
        """
        begun = time.monotonic() if begun is None else begun
        reply = ChatReply(chat, asked) if isinstance(asked, ChatRequest) else TextReply(chat, asked)
        # Rendering a long conversation takes a while; in a thread it does not hold up the streams of others. But the
        # way there and back costs more than rendering a short one, and a busy engine makes it longer.
        streams = _streams(chat, asked) if small else await asyncio.to_thread(_streams, chat, asked)
        return cls(reply, asked, streams, begun)

    async def close(self) -> None:
        await self._items.aclose()

    async def completion(self) -> dict[str, Any]:
        """The whole answers as one object."""
        try:
            async for _ in self._noted():
                pass
            return self._reply.whole(self._done(), [choice.tokens for choice in self._choices])
        finally:
            await self.close()

    async def chunks(self) -> AsyncIterator[dict[str, Any]]:
        """The same piece by piece."""
        waiting = set(range(len(self._choices)))  # for their first chunk
        if not self._asked.return_token_ids:  # else it tells the prompt's ids, which come in a moment
            for index in sorted(waiting):
                if (chunk := self._reply.first_chunk(index, None)) is not None:
                    yield chunk
            waiting.clear()
        async for index, item in self._noted():
            choice = self._choices[index]
            if index in waiting:
                waiting.remove(index)
                if (chunk := self._reply.first_chunk(index, choice.tokens[0].prompt_ids)) is not None:
                    yield chunk
            if isinstance(item, Tokens):
                continue
            tokens, choice.tokens = choice.tokens, []
            if choice.done is not None:
                yield self._reply.last_chunk(choice.done, tokens)
            else:
                yield self._reply.chunk(index, item, tokens)
        if self._asked.include_usage:
            yield self._reply.usage_chunk(self._done())

    async def _noted(self) -> AsyncIterator[tuple[int, Any]]:
        """The items of all answers; what they tell is noted."""
        async for index, item in self._items:
            choice = self._choices[index]
            if isinstance(item, Tokens):
                choice.tokens.append(item)
            elif isinstance(item, ChatResult | TextResult):
                choice.done = self._ended(index, _whole_or_raise(item))
                self.results.append(item)
            elif choice.first is None:
                choice.first = time.monotonic()
                self.first_token = self.first_token or choice.first
            yield index, item

    def _ended(self, index: int, result: ChatResult | TextResult) -> Done:
        first, now = self._choices[index].first, time.monotonic()
        timing = Timing(self._queue, None if first is None else first - self._begun, now - self._begun)
        prompt = index // self._asked.choices if isinstance(self._asked, TextRequest) else 0
        return Done(index, prompt, result, timing)

    def _done(self) -> list[Done]:
        assert all(choice.done is not None for choice in self._choices), "a stream ended without a result"
        return [choice.done for choice in self._choices if choice.done is not None]


def _streams(chat: ChatModel, asked: Request) -> list[AsyncIterator[Any]]:
    """One stream for each answer. Nothing runs yet."""
    if isinstance(asked, ChatRequest):
        try:
            return [chat.stream(asked.messages, _nth(asked.options, i)) for i in range(asked.n)]
        except SansiError as error:
            raise asked.named(error) from error
    streams: list[AsyncIterator[Any]] = []
    for number, prompt in enumerate(asked.prompts):
        try:
            streams += [chat.stream_text(prompt, _nth(asked.options, i)) for i in range(asked.choices)]
        except SansiError as error:
            raise asked.named(error, number) from error
    return streams


def _nth(options: ChatOptions, index: int) -> ChatOptions:
    """The options of the index-th answer: it has a seed of its own."""
    if not index or options.seed is None:
        return options
    return replace(options, seed=(options.seed + index) % SEEDS)


def _whole_or_raise(result: ChatResult | TextResult) -> ChatResult | TextResult:
    if result.finish_reason == "abort":  # nobody here asked for that: the engine is being closed
        raise ServeError(503, "the server is shutting down", "shutting_down", {"Retry-After": "5"})
    return result
