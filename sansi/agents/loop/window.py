"""The model's context: how much of it a conversation takes, and what is shortened where it takes too much.

Of the context a quarter, at most 4,096 tokens (or the `max_tokens` of the options), is the reply's. Where the prompt
leaves less, tool results are shortened to their head and tail, the oldest first and the newest reply's last, until it
is left; the whole texts are in files. The prompt is measured before and after: by the codec, by the endpoint, or, where
neither can, by an estimate that is named as one. Where nothing is left to shorten, the run ends and says so.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sansi.agents.loop.results import Results
from sansi.base import SansiError
from sansi.base.words import count
from sansi.client import ChatClient, TokenCount, TokenCounter, estimated_tokens
from sansi.client.chat_client import on_thread
from sansi.client.token_count import estimated_count
from sansi.text import Message

REPLY_SHARE, MAX_REPLY = 4, 4096
SHORT = 400  # characters that a shortened result keeps,
NOTE = 100  # and of the line that says so
LEAST_SHARE = 8  # a result may have at least this part of the context: older ones make room for it
OVERFLOW = "context_length_exceeded"  # the code of an error that says so
_LENGTH = re.compile(
    r"context (?:length|window|size)?\s*(?:is|of|holds|=|:)\s*(\d{2,9})|n_ctx\D{0,4}(\d{2,9})", re.IGNORECASE
)
_TOO_LONG = (
    "context length",
    "context window",
    "maximum context",
    "too long",
    "context_length",
    "exceeds the",
    "n_ctx",
)


@dataclass(frozen=True)
class Trimmed:
    """What shortening older results has brought."""

    before: TokenCount
    after: TokenCount
    results: int
    """How many were shortened."""
    fits: bool

    @property
    def told(self) -> str:
        how = f"{count(self.results, 'older tool result')} shortened to head and tail"
        return f"the context was full: {how}; the prompt had {self.before} tokens, now {self.after}"


class Window:
    """Measures and shortens the conversations of one run."""

    def __init__(self, client: ChatClient, options: Mapping[str, Any], results: Results):
        self._client, self._options, self._results = client, options, results
        self.context_length: int | None = None
        self.count: TokenCount | None = None
        """Of the prompt, when it was last measured."""
        self._asked = False

    async def measure(self, messages: Sequence[Message], tools: Sequence[Any]) -> TokenCount | None:
        """The prompt's tokens; None where nobody says how long the context is, so that it does not matter."""
        if not self._asked:
            self._asked = True
            self.context_length = await on_thread(lambda: getattr(self._client, "context_length", None))
        if self.context_length is None:
            return None
        self.count = await self._counted(messages, tools)
        return self.count

    async def _counted(self, messages: Sequence[Message], tools: Sequence[Any]) -> TokenCount:
        client, kept = self._client, tuple(messages)
        if isinstance(client, TokenCounter):
            options = {name: value for name, value in self._options.items() if name != "max_tokens"}
            counted = await on_thread(lambda: client.count_tokens(kept, tools, **options))
            if counted is not None:
                return counted
        return estimated_count(kept, tools)

    @property
    def reply_room(self) -> int:
        """Tokens of the context that are the reply's."""
        if self.context_length is None:
            return 0
        room = min(self.context_length // REPLY_SHARE, MAX_REPLY)
        return min(room, self._options.get("max_tokens") or room)

    @property
    def overflow(self) -> int:
        """Tokens by which the prompt, as last measured, is too long."""
        if self.context_length is None or self.count is None:
            return 0
        return max(0, self.count.tokens + self.reply_room - self.context_length)

    def room(self, abreast: int) -> int | None:
        """Tokens that the result of one call of `abreast` may have; None: no bound is known."""
        if self.context_length is None or self.count is None:
            return None
        left = self.context_length - self.reply_room - self.count.tokens
        return max(left, self.context_length // LEAST_SHARE) // max(1, abreast)

    def trimmable(self, messages: Sequence[Message]) -> int:
        """About how many tokens could be saved."""
        long = [messages[place].content for place in _oldest_first(messages)]
        return sum(max(0, estimated_tokens(text) - estimated_tokens(text[: SHORT + NOTE])) for text in long)

    def excess(self, messages: Sequence[Message], tools: Sequence[Any], error: SansiError) -> int:
        """About how many tokens to save after a server has refused a prompt: half of what can be saved, and at least
        what its words ask for, where they name the length of the context."""
        named = _LENGTH.search(str(error))
        if named and self.context_length is None:
            self.context_length, self._asked = int(named[1] or named[2]), True
        over = 0
        if self.context_length is not None:
            over = estimated_count(messages, tools).tokens + self.reply_room - self.context_length
        most = self.trimmable(messages)
        return min(most, max(over, most // 2))

    async def trim(self, messages: list[Message], tools: Sequence[Any], excess: int | None = None) -> Trimmed:
        """Shorten results in `messages` until the prompt fits. excess: tokens to save where nobody can measure."""
        before = self.count or estimated_count(messages, tools)
        saved, shortened = 0, 0  # tokens since the prompt was last measured; results
        for place in _oldest_first(messages):
            wanted = self.overflow if excess is None else excess - saved
            if wanted <= 0:
                break
            short = self._results.shortened(messages[place], SHORT)
            gain = estimated_tokens(messages[place].content) - estimated_tokens(short.content)
            if gain <= 0:
                continue
            messages[place], saved, shortened = short, saved + gain, shortened + 1
            if excess is None and saved >= wanted:  # as far as the estimate goes; now it is measured
                self.count, saved = await self._counted(messages, tools), 0
        if saved and excess is None:
            self.count = await self._counted(messages, tools)
        after = self.count if excess is None and self.count is not None else estimated_count(messages, tools)
        return Trimmed(before, after, shortened, fits=shortened > 0 if excess is not None else self.overflow == 0)


def _oldest_first(messages: Sequence[Message]) -> list[int]:
    return [i for i, message in enumerate(messages) if message.role == "tool" and len(message.content) > SHORT]


def is_overflow(error: SansiError) -> bool:
    """Whether an error says that the prompt is too long, in the words of one server or another."""
    return error.code == OVERFLOW or any(words in str(error).lower() for words in _TOO_LONG)
