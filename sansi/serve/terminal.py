"""Talking to a model in a terminal: one answer (`sansi run`) or a conversation (`sansi chat`)."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from rich.console import Console

from sansi.base.errors import SansiError
from sansi.chat import ChatModel, ChatOptions, ChatResult
from sansi.text import NO_THINK_FLAG, THINK_FLAG, Content, Reasoning, ToolCallDelta, message_to_dict

END_REASONS = {
    "natural": "ended by itself",
    "budget": "cut at the budget",
    "reserve": "cut to leave room for the answer",
    "loop": "stopped: it repeated itself",
    "stop": "the model stopped inside it",
    "length": "cut by the token limit",
}
MODES = f"{THINK_FLAG}, {NO_THINK_FLAG}, /auto: mode"
HELP = f"{MODES} · /budget 64, /budget off: limit of the thought · /new: start over · /quit"


class Printer:
    """Writes a streamed answer piece by piece: the thought dimmed to one console, the answer to the other."""

    def __init__(self, answer: Console, thought: Console):
        self._consoles = {Reasoning: thought, Content: answer, ToolCallDelta: answer}
        self._last: type | None = None  # the kind of the event whose line is not ended yet

    def show(self, event: Any) -> None:
        kind = type(event)
        if self._last is not kind or (isinstance(event, ToolCallDelta) and event.name is not None):
            self.end()  # each call has a line of its own
        self._last = kind
        text = event.text if isinstance(event, Reasoning | Content) else _call_text(event)
        style = "dim" if kind is Reasoning else None
        self._consoles[kind].print(printable(text), end="", style=style, soft_wrap=True)

    def end(self) -> None:
        """End the current line, if one is open."""
        if self._last is not None:
            self._consoles[self._last].print()
            self._last = None


class TerminalChat:
    """A conversation at a prompt. Commands start with a slash; everything else goes to the model."""

    def __init__(self, chat: ChatModel, budget: int | None = None, console: Console | None = None):
        self.chat = chat
        self.options = ChatOptions(thinking_budget=budget)
        self.console = console or plain_console()
        self.messages: list[dict[str, Any]] = []

    def run(self, read: Callable[[str], str] = input) -> None:
        """Read, answer, repeat, until /quit or the end of the input."""
        self._note(f"{self.chat.name} · {self.chat.context_length:,} tokens of context · /help")
        with asyncio.Runner() as runner:  # one event loop for the whole conversation
            while (line := self._read(read)) is not None:
                if action := self._action(line):
                    if action():
                        return
                elif line:
                    self._turn(runner, line)

    def _read(self, read: Callable[[str], str]) -> str | None:
        """The next line, or None at the end of the input."""
        try:
            return read("\n> ").strip()
        except KeyboardInterrupt:
            self.console.print()
            self._note("/quit or Ctrl-D leaves")
            return ""
        except EOFError:
            self.console.print()
            return None

    def _action(self, line: str) -> Callable[[], bool | None] | None:
        """What a command does, true meaning the end; None for a message. "/no_think why is …" is a message."""
        word, _, rest = line.partition(" ")
        if word == "/budget":
            return lambda: self._set_budget(rest.strip())
        commands: dict[str, Callable[[], bool | None]] = {
            THINK_FLAG: lambda: self._set(enable_thinking=True),
            NO_THINK_FLAG: lambda: self._set(enable_thinking=False),
            "/auto": lambda: self._set(enable_thinking=None),
            "/new": self._forget,
            "/help": lambda: self._note(HELP),
            "/quit": lambda: True,
            "/exit": lambda: True,
        }
        return commands.get(line)

    def _set(self, **changes: Any) -> None:
        self.options = replace(self.options, **changes)
        thinking = {None: "the model's default", True: "on", False: "off"}[self.options.enable_thinking]
        budget = self.options.thinking_budget
        self._note(f"thinking: {thinking} · budget: {'unlimited' if budget is None else budget}")

    def _set_budget(self, amount: str) -> None:
        if amount == "off":
            self._set(thinking_budget=None)
        elif amount.isdecimal():
            self._set(thinking_budget=int(amount))
        else:
            self._note("usage: /budget 64, or /budget off for no limit")

    def _forget(self) -> None:
        self.messages.clear()
        self._note("a new conversation")

    def _turn(self, runner: asyncio.Runner, line: str) -> None:
        """Ask and show the answer. What was stopped or refused is taken out of the conversation again."""
        asked = [*self.messages, {"role": "user", "content": line}]
        printer, start = Printer(self.console, self.console), time.monotonic()
        try:
            result = runner.run(answer(self.chat, asked, self.options, printer.show))
        except KeyboardInterrupt:  # the runner has cancelled the generation, which frees its slot
            printer.end()
            return self._note("stopped; this question is not part of the conversation")
        except SansiError as error:
            printer.end()
            return self.console.print(f"error: {error}", style="red", soft_wrap=True)
        printer.end()
        self.messages = [*asked, message_to_dict(result.message)]
        return self._note(f"{summary(result)} · {time.monotonic() - start:.1f} s")

    def _note(self, text: str) -> None:
        self.console.print(text, style="dim italic", soft_wrap=True)


async def answer(
    chat: ChatModel, messages: Sequence[dict[str, Any]], options: ChatOptions, show: Callable[[Any], None]
) -> ChatResult:
    """Stream one answer to `show`, event by event, and return its result."""
    async for item in chat.stream(messages, options):
        if isinstance(item, ChatResult):
            return item
        show(item)
    raise AssertionError("the chat stream ended without a result")


def summary(result: ChatResult) -> str:
    """One line: the mode, how long the thought was and why it ended, how long the answer was, and if it was cut."""
    used, told = result.usage, result.report
    parts: list[str] = [told.mode]
    if told.mode == "thinking":
        own = used.reasoning_tokens - told.closing_phrase_tokens
        why = END_REASONS.get(told.thinking_end_reason or "", "")
        parts.append(f"thought {own} tokens" + (f", {why}" if why else ""))
    parts.append(f"answer and tags {used.completion_tokens - used.reasoning_tokens} tokens")
    if result.finish_reason == "length" and told.thinking_end_reason != "length":
        parts.append("cut at the token limit")
    parts += [f"not executable: {call.name}, {call.error}" for call in result.message.tool_calls if call.error]
    return " · ".join(parts)


def plain_console(stderr: bool = False) -> Console:
    """A console that prints text as it is: no markup, no emoji codes, no colouring of numbers."""
    return Console(stderr=stderr, markup=False, emoji=False, highlight=False)


def printable(text: str) -> str:
    """The text without control characters: a model must not be able to move the cursor or rename the window."""
    return "".join(c if c in "\n\t" or not (ord(c) < 32 or 127 <= ord(c) < 160) else "\ufffd" for c in text)


def _call_text(event: ToolCallDelta) -> str:
    return f"[call {event.name}] {event.arguments}" if event.name is not None else event.arguments
