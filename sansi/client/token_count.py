"""How many tokens a conversation is: by the codec, by `/tokenize`, or an estimate that says it is one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol, runtime_checkable

from sansi.text import Message

CHARS_PER_TOKEN = 3.0
"""Of Latin text and JSON; Qwen's vocabulary has about 4 in English prose, 3 in code and JSON."""
TOKENS_PER_MESSAGE = 8
SAMPLED = 100_000  # characters that are looked at of a longer text


@dataclass(frozen=True)
class TokenCount:
    """Tokens of a prompt, and who counted them."""

    tokens: int
    source: Literal["codec", "endpoint", "estimate"]

    def __str__(self) -> str:
        return f"about {self.tokens} (estimated)" if self.source == "estimate" else str(self.tokens)


@runtime_checkable
class TokenCounter(Protocol):
    """A client that can count what it would send."""

    def count_tokens(self, messages: Sequence[Message], tools: Any, **options: Any) -> TokenCount | None:
        """The prompt's tokens, or None where the other side can not count."""
        ...


def estimated_tokens(text: str) -> int:
    """A cautious estimate: a third of the characters; of wide scripts (Chinese, Japanese, Korean, …) each character."""
    if text.isascii():
        return int(len(text) / CHARS_PER_TOKEN) + 1
    sample = text[:: max(1, len(text) // SAMPLED)]
    wide = int(sum(char >= "\u0900" for char in sample) * (len(text) / len(sample)))
    return int((len(text) - wide) / CHARS_PER_TOKEN) + wide + 1


def chars_within(text: str, tokens: int | None) -> int:
    """Characters of `text` that take about so many tokens; all of them where no bound is given."""
    estimate = estimated_tokens(text)
    return len(text) if tokens is None or estimate <= tokens else int(len(text) * tokens / estimate)


def estimated_count(messages: Sequence[Message], tools: Sequence[Any] = ()) -> TokenCount:
    """Of a whole conversation: all that is text in it, and the frame of each message."""
    total = sum(estimated_tokens(repr(dict(tool))) for tool in tools)
    for message in messages:
        total += TOKENS_PER_MESSAGE + estimated_tokens(message.content)
        total += estimated_tokens(message.reasoning_content) if message.reasoning_content else 0
        total += sum(TOKENS_PER_MESSAGE + estimated_tokens(call.name + call.arguments) for call in message.tool_calls)
    return TokenCount(total, "estimate")
