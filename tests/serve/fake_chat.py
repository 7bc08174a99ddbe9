"""A chat model that needs no weights: it says what it is told to, as slowly as it is told to."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from types import SimpleNamespace
from typing import Any

from sansi.base.errors import SansiError
from sansi.chat import ChatOptions, ChatResult, ChatUsage, Report
from sansi.text import Content, Message, Reasoning
from sansi.text.messages import read_messages

CLOSING = ("Considering ", "the ", "limited ", "time. ")


class FakeChat:
    """Thinks `thought`, word by word, then answers `content`; a budget cuts the thought as the engine would."""

    def __init__(self, name: str = "fake", thought: str = "12 + 30 = 42.", content: str = "42", delay: float = 0.0):
        self.name, self.context_length, self.delay = name, 1024, delay
        self.thought, self.content = thought, content
        self.engine = SimpleNamespace(close=lambda: None)
        self.seen: list[tuple[Any, ChatOptions]] = []
        self.cancelled = 0
        self.fail_at: int | None = None  # raise a bug after this many events

    async def stream(self, messages: Any, options: ChatOptions) -> AsyncIterator[Any]:
        self.seen.append((messages, options))
        read_messages(messages)
        if sum(len(m["content"] or "") for m in messages) > self.context_length:
            raise SansiError(f"the prompt is longer than the context of {self.context_length}", param="messages")
        thinking = options.enable_thinking is not False and options.thinking_budget != 0
        thought, cut = self._thought(options) if thinking else ([], False)
        try:
            for number, event in enumerate([*map(Reasoning, thought), *map(Content, _words(self.content))]):
                if number == self.fail_at:
                    raise RuntimeError("secret detail of a bug")
                await asyncio.sleep(self.delay)
                yield event
        except (asyncio.CancelledError, GeneratorExit):
            self.cancelled += 1
            raise
        yield self._result(options, thinking, thought, cut)

    def _thought(self, options: ChatOptions) -> tuple[list[str], bool]:
        words = _words(self.thought)
        budget = options.thinking_budget
        if budget is None or len(words) <= budget:
            return words, False
        return [*words[:budget], *CLOSING], True

    def _result(self, options: ChatOptions, thinking: bool, thought: list[str], cut: bool) -> ChatResult:
        reasoning = "".join(thought) if thinking else None
        return ChatResult(
            message=Message("assistant", self.content, reasoning_content=reasoning),
            finish_reason="stop",
            usage=ChatUsage(11, len(thought) + len(_words(self.content)) + 1, len(thought), 5),
            report=Report(
                mode="thinking" if thinking else "non-thinking",
                mode_source="default" if options.enable_thinking is None else "request",
                budget_requested=options.thinking_budget,
                budget_applied=options.thinking_budget,
                thinking_end_reason=("budget" if cut else "natural") if thinking else None,
                sampling={"temperature": 0.6 if options.temperature is None else options.temperature, "top_p": 0.95},
                preset="thinking" if thinking else "non-thinking",
            ),
            ids=(),
            prompt_ids=(),
        )


def _words(text: str) -> list[str]:
    return [word + " " for word in text.split(" ")[:-1]] + [text.split(" ")[-1]]
