"""A chat model that needs no weights: it says what it is told to, and when."""

from __future__ import annotations

import _thread
import asyncio
import threading
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

from sansi.base.errors import SansiError
from sansi.chat import ChatOptions, ChatResult, ChatUsage, Presets, Report
from sansi.text import ClosingPhrase, Content, Message, Reasoning, read_messages
from sansi.text.messages import read_tools

CLOSING = ("Considering ", "the ", "limited ", "time. ")


class FakeChat:
    """Thinks `thought`, word by word, then answers `content`; a budget cuts the thought as the engine would."""

    thinks = True

    def __init__(
        self, name: str = "fake", thought: str = "12 + 30 is 42.", content: str = "It is 42", delay: float = 0
    ):
        self.name, self.context_length, self.delay, self.presets = name, 1024, delay, Presets()
        self.thought, self.content = thought, content
        self.seen: list[tuple[Any, ChatOptions]] = []
        self.running = self.most_at_once = self.cancelled = 0
        self.hold_at: int | None = None  # wait before this event for `go`
        self.go = threading.Event()
        self.fail_at: int | None = None  # raise a bug before this event
        self.interrupt_at: int | None = None  # press Ctrl-C before this event
        self.finish_reason = "stop"

    def streams(self, messages: Any, options: ChatOptions, n: int = 1, on_cut: Any = None) -> list[Any]:
        seeds = [None if options.seed is None else options.seed + i for i in range(n)]
        return [self.stream(messages, replace(options, seed=seed)) for seed in seeds]

    def stream(self, messages: Any, options: ChatOptions) -> AsyncIterator[Any]:
        read_tools(options.tools)
        if sum(len(m.content) for m in read_messages(messages)) > self.context_length:
            raise SansiError(f"the messages are longer than the context of {self.context_length}", param="messages")
        self.seen.append((messages, options))
        return self._stream(options)

    async def _stream(self, options: ChatOptions) -> AsyncIterator[Any]:
        thinking = options.enable_thinking is not False and options.thinking_budget != 0
        thought, cut = self._thought(options) if thinking else ([], False)
        self.running += 1
        self.most_at_once = max(self.most_at_once, self.running)
        try:
            own = len(thought) - len(CLOSING) * cut
            thoughts = [(ClosingPhrase if index >= own else Reasoning)(word) for index, word in enumerate(thought)]
            for number, event in enumerate([*thoughts, *map(Content, _words(self.content))]):
                if number == self.fail_at:
                    raise RuntimeError("secret detail of a bug")
                if number == self.interrupt_at:
                    _thread.interrupt_main()
                await asyncio.sleep(self.delay)
                while number == self.hold_at and not self.go.is_set():
                    await asyncio.sleep(0.002)
                yield event
        except (asyncio.CancelledError, GeneratorExit):
            self.cancelled += 1
            raise
        finally:
            self.running -= 1
        yield self._result(options, thinking, thought, cut)

    def _thought(self, options: ChatOptions) -> tuple[list[str], bool]:
        words = _words(self.thought)
        budget = options.thinking_budget
        if budget is None or len(words) <= budget:
            return words, False
        return [*words[:budget], *CLOSING], True

    def _result(self, options: ChatOptions, thinking: bool, thought: list[str], cut: bool) -> ChatResult:
        mode = "thinking" if thinking else "non-thinking"
        written, phrase = len(thought) + len(_words(self.content)) + 2, len(CLOSING) * cut
        return ChatResult(
            message=Message("assistant", self.content, reasoning_content="".join(thought) if thinking else None),
            finish_reason=self.finish_reason,
            usage=ChatUsage(11, written, len(thought) - phrase, 5, written - phrase),
            report=Report(
                mode=mode,
                mode_source="default" if options.enable_thinking is None else "request",
                budget_requested=options.thinking_budget,
                budget_applied=options.thinking_budget if thinking else 0,
                thinking_end_reason=("budget" if cut else "natural") if thinking else None,
                closing_phrase_tokens=phrase,
                closing_phrase="".join(CLOSING) * cut,
                max_tokens=options.max_tokens or 1013,
                answer_reserve=253,
                sampling={"temperature": 0.6 if options.temperature is None else options.temperature, "seed": 7},
                preset=f"{mode} (published)",
            ),
            ids=(),
            prompt_ids=(),
            decode_seconds=0.001,
        )


def _words(text: str) -> list[str]:
    *words, last = text.split(" ")
    return [word + " " for word in words] + ([last] if last else [])
