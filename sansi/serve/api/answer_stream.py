"""Answers under way: all of them as one object, or chunk by chunk."""

from __future__ import annotations

import functools
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sansi.base.errors import SansiError
from sansi.chat import ChatModel, ChatResult, TextResult, Tokens
from sansi.chat.model import MAX_TOKENS
from sansi.serve.api.dialect import Dialect, Request
from sansi.serve.api.errors import ServeError
from sansi.serve.api.merged_streams import Merged
from sansi.serve.api.requests import ChatRequest, TextRequest
from sansi.serve.api.response_bodies import Done, Reply, Timing

MAX_ANSWERED = 2**22  # tokens of all answers of a request
MAX_SCORED = 2**20  # log-probabilities of all answers of a request; in JSON each takes some 100 bytes
Streams = list[AsyncIterator[Any]]
Elsewhere = Callable[[Callable[[], Streams]], Awaitable[Streams]]


@dataclass
class _Choice:
    """What is known of one of the answers."""

    tokens: list[Tokens] = field(default_factory=list)
    """Since its last chunk, or all of them where there are no chunks."""
    first: float | None = None
    done: Done | None = None

    @property
    def prompt_ids(self) -> tuple[int, ...] | None:
        return self.tokens[0].prompt_ids if self.tokens else None


def check_size(chat: ChatModel, asked: Request) -> None:
    """Raise SansiError for answers that together may take more memory than anybody needs."""
    options = asked.options
    bound = MAX_TOKENS if options.max_tokens is None else options.max_tokens
    tokens = asked.n * min(bound, chat.context_length)
    scored = options.logprobs or options.prompt_logprobs
    told = tokens * (options.top_logprobs + 1)
    if tokens <= MAX_ANSWERED and (not scored or told <= MAX_SCORED):
        return
    many, most = (told, MAX_SCORED) if scored else (tokens, MAX_ANSWERED)
    what = "max_tokens, n and top_logprobs" if scored else "max_tokens and n"
    reason = f"{what} together allow {many} tokens to be told, but one request gets {most} at most; ask for less"
    raise SansiError(reason, param="max_tokens")


class Answer:
    """The answers to one request. Closing it, at its end or early, is what frees the engine's slots."""

    def __init__(
        self,
        reply: Reply,
        asked: Request,
        streams: Sequence[AsyncIterator[Any]],
        begun: float,
        results: list[ChatResult | TextResult],
    ):
        self._reply, self._asked, self._begun = reply, asked, begun
        self._items = Merged(streams)
        self._choices = [_Choice() for _ in streams]
        self.results = results
        """For the log and the metrics; those that are cut come when it is closed."""
        self.first_token: float | None = None
        """When the first text came, by the monotonic clock."""

    @classmethod
    async def start(
        cls,
        chat: ChatModel,
        asked: Request,
        dialect: Dialect,
        begun: float | None = None,
        elsewhere: Elsewhere | None = None,
    ) -> Answer:
        """Raises SansiError for what is wrong with the messages or options, while a status line can still say so.

        begun: when the request came, by the monotonic clock. elsewhere: runs in a thread what it is given.
        """
        begun = time.monotonic() if begun is None else begun
        reply = dialect.reply(chat, asked)
        # Rendering a long conversation takes a while; in a thread it does not hold up the streams of others. But the
        # way there and back costs more than rendering a short one, and a busy engine makes it longer.
        results: list[ChatResult | TextResult] = []
        make = functools.partial(_streams, chat, asked, results.append)
        return cls(reply, asked, make() if elsewhere is None else await elsewhere(make), begun, results)

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
        waiting = set(range(len(self._choices)))  # for their first chunks
        if not self._asked.prompt_first:  # else they tell of the prompt's ids, which come in a moment
            for index in sorted(waiting):
                for chunk in self._reply.first_chunks(index, None):
                    yield chunk
            waiting.clear()
        async for index, item in self._noted():
            choice = self._choices[index]
            if index in waiting:
                waiting.remove(index)
                for chunk in self._reply.first_chunks(index, choice.prompt_ids):
                    yield chunk
            if isinstance(item, Tokens):
                continue
            tokens, choice.tokens = choice.tokens, []
            if choice.done is None:
                told = self._reply.chunks(index, item, tokens)
            else:
                told = self._reply.last_chunks(choice.done, tokens)
            for chunk in told:
                yield chunk
        for chunk in self._reply.final_chunks(self._done()):
            yield chunk

    def failure_chunks(self, error: Mapping[str, Any], status: int) -> list[dict[str, Any]]:
        """As `Reply.failure_chunks`."""
        return self._reply.failure_chunks(error, status)

    async def _noted(self) -> AsyncIterator[tuple[int, Any]]:
        """The items of all answers; what they tell is noted."""
        async for index, item in self._items:
            choice = self._choices[index]
            if isinstance(item, Tokens):
                choice.tokens.append(item)
            elif isinstance(item, ChatResult | TextResult):
                self.results.append(item)
                choice.done = self._ended(index, _whole_or_raise(item))
            elif choice.first is None:
                choice.first = time.monotonic()
                self.first_token = self.first_token or choice.first
            yield index, item

    def _ended(self, index: int, result: ChatResult | TextResult) -> Done:
        first, now = self._choices[index].first, time.monotonic()
        queue = (result.begun or self._begun) - self._begun  # a chat model without an engine has no queue
        timing = Timing(queue, None if first is None else first - self._begun, now - self._begun)
        prompt = index // self._asked.choices if isinstance(self._asked, TextRequest) else 0
        return Done(index, prompt, result, timing)

    def _done(self) -> list[Done]:
        assert all(choice.done is not None for choice in self._choices), "a stream ended without a result"
        return [choice.done for choice in self._choices if choice.done is not None]


def _streams(chat: ChatModel, asked: Request, on_cut: Callable[[Any], None]) -> Streams:
    """One stream for each answer. Nothing runs yet."""
    if isinstance(asked, ChatRequest):
        try:
            return [*chat.streams(asked.messages, asked.options, asked.n, on_cut)]
        except SansiError as error:
            raise asked.named(error) from error
    streams: Streams = []
    for number, prompt in enumerate(asked.prompts):
        try:
            streams += chat.text_streams(prompt, asked.options, asked.choices, on_cut)
        except SansiError as error:
            raise asked.named_for(error, number) from error
    return streams


def _whole_or_raise(result: ChatResult | TextResult) -> ChatResult | TextResult:
    if result.finish_reason == "abort":  # nobody here asked for that: the engine is being closed
        raise ServeError(503, "the server is shutting down", "shutting_down", {"Retry-After": "5"})
    return result
