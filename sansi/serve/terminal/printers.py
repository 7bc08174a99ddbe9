"""Writing a streamed answer: to a person at a terminal, or into a pipe."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from rich.console import Console

from sansi.serve.terminal.looks import is_plain, printable
from sansi.serve.terminal.markdown import MarkdownStream, TextStream
from sansi.text import Content, Event, Reasoning, ToolCallDelta


class Stream(Protocol):
    """Writes a text, piece by piece."""

    def feed(self, text: str) -> None: ...

    def end(self) -> None:
        """Finish the text; the next piece begins another one."""


class Printer:
    """Shows an answer's events: the thought between a header and a closing line, then the answer and the calls.

    On a terminal the thought is dimmed and the answer drawn as Markdown; elsewhere all is plain text.
    """

    def __init__(self, console: Console, replay: bool = False):
        self._console, self._replay = console, replay  # a replayed thought took no time
        self._streams: dict[type, Stream] = _plain_streams(console) if is_plain(console) else _live_streams(console)
        self._last: type | None = None  # the kind of the event whose text is not ended yet

    def show(self, event: Event) -> None:
        kind = Reasoning if isinstance(event, Reasoning) else type(event)
        if self._last is not kind or _starts_call(event):
            self.end()
            if kind is Reasoning:
                self._console.print("thought:" if self._replay else "thinking…", style="note")
        self._last = kind
        self._streams[kind].feed(printable(text_of(event)))

    def end(self) -> None:
        """Finish what is begun, so that nothing stays half drawn."""
        if self._last is not None:
            self._streams[self._last].end()
        if self._last is Reasoning:
            self._console.print("" if self._replay else "end of thought\n", style="note")
        self._last = None


class PipePrinter:
    """The answer to one writer, the thought to another, or to none."""

    def __init__(self, answer: Callable[[str], None], thought: Callable[[str], None] | None = None):
        self._answer, self._thought = answer, thought
        self._ends_line, self._thinking = True, False

    def show(self, event: Event) -> None:
        if not isinstance(event, Reasoning):
            self._end_thought()
            self._write(("\n" if _starts_call(event) and not self._ends_line else "") + text_of(event))
        elif self._thought is not None:
            self._thought(event.text)
            self._thinking = True

    def end(self) -> None:
        """Finish the last line."""
        self._end_thought()
        if not self._ends_line:
            self._write("\n")

    def _write(self, text: str) -> None:
        self._answer(text)
        self._ends_line = text.endswith("\n") if text else self._ends_line

    def _end_thought(self) -> None:
        if self._thinking and self._thought is not None:
            self._thought("\n")
        self._thinking = False


class _PlainStream:
    """Text as it comes."""

    def __init__(self, console: Console, style: str = ""):
        self._console, self._style = console, style

    def feed(self, text: str) -> None:
        self._console.print(text, end="", style=self._style, soft_wrap=True)

    def end(self) -> None:
        self._console.print()


def _plain_streams(console: Console) -> dict[type, Stream]:
    thought, rest = _PlainStream(console, "thought"), _PlainStream(console)
    return {Reasoning: thought, Content: rest, ToolCallDelta: rest}


def _live_streams(console: Console) -> dict[type, Stream]:
    thought, call = TextStream(console, "│ ", "thought"), TextStream(console, "⚙ ", "cyan")
    return {Reasoning: thought, Content: MarkdownStream(console), ToolCallDelta: call}


def text_of(event: Event) -> str:
    """What an event adds to the text; a call begins with its name."""
    if isinstance(event, ToolCallDelta):
        return f"call {event.name} {event.arguments}" if event.name is not None else event.arguments
    return event.text


def _starts_call(event: Event) -> bool:
    return isinstance(event, ToolCallDelta) and event.name is not None
