"""What the terminal is given: text without control characters, consoles, and one line on how an answer came to be."""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text
from rich.theme import Theme

from sansi.base.words import count
from sansi.chat import ChatResult, tokens_per_second
from sansi.serve.terminal.commands import Command

END_REASONS = {
    "natural": "ended by itself",
    "budget": "cut at the budget",
    "reserve": "cut to leave room for the answer",
    "loop": "stopped: it repeated itself",
    "end_of_turn": "the model ended its turn inside it, and was made to answer",
    "stop": "a stop token ended it",
    "length": "cut by the token limit",
}
# Colours of the terminal's own palette and no backgrounds, so that light and dark terminals both can be read.
THEME = Theme(
    {
        "thought": "dim",
        "note": "dim italic",
        "error": "red",
        "markdown.code": "cyan",
        "markdown.heading": "bold",
        "markdown.link": "underline",
        "markdown.link_url": "dim",
    }
)


def console(stderr: bool = False, **looks: Any) -> Console:
    """A console that prints text as it is: no markup, no emoji codes, no colouring of numbers."""
    return Console(stderr=stderr, markup=False, emoji=False, highlight=False, theme=THEME, **looks)


def is_plain(console: Console) -> bool:
    """Whether to write text alone, line after line: no terminal, or one whose user wants it so (no-color.org)."""
    return not console.is_terminal or console.is_dumb_terminal or bool(os.environ.get("NO_COLOR"))


def printable(text: str) -> str:
    """The text without control characters: a model must not be able to move the cursor or rename the window."""
    return "".join(c if c in "\n\t" or not (ord(c) < 32 or 127 <= ord(c) < 160) else "\ufffd" for c in text)


def summary(result: ChatResult, seconds: float | None = None) -> str:
    """One line: how long the thought was and why it ended, how long the answer was, how fast, and what went wrong."""
    told = result.report
    parts = [thought_summary(result) or told.mode]
    parts.append(f"answer and tags {count(answer_tokens(result), 'token')}")
    if result.finish_reason == "length" and told.thinking_end_reason != "length":
        parts.append("cut at the token limit")
    parts += [f"not executable: {call.name}, {call.error}" for call in result.message.tool_calls if call.error]
    if seconds:
        parts.append(seconds_text(seconds))
        parts.append(speed(result))
    return printable(" · ".join(filter(None, parts)))


def command_table(commands: Iterable[Command]) -> Table:
    """The commands of a chat and what they do, for /help."""
    rows = Table.grid(padding=(0, 2))
    for command in commands:
        rows.add_row(Text(f"{command.name} {command.arguments}".strip(), "bold"), Text(command.help, "dim"))
    return rows


def seconds_text(seconds: float) -> str:
    """ "2.3 s"; what is shorter than a tenth keeps a digit that is not 0: "0.04 s"; the shortest is "0.001 s"."""
    seconds = max(seconds, 0.001)
    return f"{seconds:.1f} s" if seconds >= 0.1 else f"{seconds:.1g} s"


def answer_tokens(result: ChatResult) -> int:
    """Tokens that are neither the thought's nor the closing phrase's."""
    used = result.usage
    return used.completion_tokens - used.reasoning_tokens - result.report.closing_phrase_tokens


def speed(result: ChatResult) -> str:
    """ "140 tok/s", of the tokens that were sampled; "" where too few were to tell."""
    rate = tokens_per_second(result)
    return "" if rate is None else f"{rate:,.0f} tok/s"


def thought_summary(result: ChatResult) -> str:
    """ "thought 64 tokens, cut at the budget"; "" where there was no thinking."""
    told = result.report
    if told.mode != "thinking":
        return ""
    own = result.usage.reasoning_tokens
    why = END_REASONS.get(told.thinking_end_reason or "", "")
    return f"thought {count(own, 'token')}" + (f", {why}" if why else "")
