"""A run as it is shown in the terminal, event by event: thoughts and results folded, calls as they are written."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from rich.console import Console
from rich.live import Live
from rich.text import Text

from sansi.agents.events import (
    AgentEvent,
    ApprovalAnswered,
    CallArguments,
    CallRunning,
    CallStarted,
    ContentText,
    Finished,
    Notice,
    ObservationMade,
    Progress,
    ReasoningText,
    ReplyDone,
    StepStarted,
)
from sansi.agents.loop.run import CallRecord
from sansi.base.words import count
from sansi.client import Usage
from sansi.serve.terminal.looks import is_plain, printable, seconds_text
from sansi.serve.terminal.markdown import MarkdownStream, TextStream
from sansi.serve.terminal.printers import Stream
from sansi.text import Message

FOLDED_LINES, FOLDED_CHARS = 6, 600
"""Of a result, what is shown before it is asked for."""
ENDS = {
    "max_calls": "the limit of tool calls was reached",
    "max_tokens": "the limit of tokens was reached",
    "max_seconds": "the time was up",
    "loop": "it repeated itself and was stopped",
    "context": "the conversation no longer fits the model",
    "length": "the answer was cut at the limit of tokens",
    "abort": "the other side ended the answer",
    "paused": "it waits for approval",
    "cancelled": "stopped",
    "failed": "it failed",
}


@dataclass(frozen=True)
class Shown:
    """A result that can be looked at whole."""

    name: str
    text: str
    whole: str | None = None
    """The file with the whole text, where the model was given head and tail."""


@dataclass
class Spent:
    """What a conversation has cost so far."""

    usage: Usage = field(default_factory=Usage)
    steps: int = 0
    calls: int = 0
    seconds: float = 0.0

    def add(self, event: Finished, calls: int) -> None:
        self.usage += event.usage
        self.steps += int(event.report.get("steps", 0))
        self.seconds += float(event.report.get("seconds", 0.0))
        self.calls += calls


class RunView:
    """Shows events on a console. `results` holds what was folded, in the order in which it was shown."""

    def __init__(
        self, console: Console, thoughts: bool = False, keep: Callable[[ObservationMade], list[str]] | None = None
    ):
        self.console, self.thoughts = console, thoughts
        self.results: list[Shown] = []
        self._keep = keep or (lambda event: [])
        self._plain = is_plain(console)
        self._stream: Stream | None = None
        self._index: int | None = None  # of the call whose arguments are being written
        self._thought = ""
        self._since: float | None = None
        self._running: dict[str, tuple[str, float]] = {}
        self._live: Live | None = None
        self._progress = ""
        self.calls = 0

    def show(self, event: AgentEvent) -> None:
        act = _ACTS.get(type(event))
        if act is not None:
            act(self, event)

    def end(self) -> None:
        """Finish what is begun, so that nothing stays half drawn."""
        self._end_thought()
        self._end_stream()
        self._end_live()

    # --- what the model writes ---------------------------------------------------------------------------------------

    def _step(self, event: StepStarted) -> None:
        self.end()
        self._since = time.monotonic()
        if not self._plain:
            self._tick()

    def _reason(self, event: ReasoningText) -> None:
        if not self._thought:
            self._since = time.monotonic()
        self._thought += event.text
        if self.thoughts:
            self._open("thought", lambda: TextStream(self.console, "│ ", "thought")).feed(printable(event.text))
        elif not self._plain:
            self._tick()

    def _end_thought(self) -> None:
        """A thought that has ended is one line: how long it was; /thoughts shows them whole."""
        if not self._thought:
            return
        words, since = len(self._thought.split()), self._since
        self._thought = ""
        self._end_live()
        self._end_stream()
        taken = [] if since is None else [seconds_text(time.monotonic() - since)]
        self.note(" · ".join(["thought", f"about {count(words, 'word')}", *taken]))

    def _content(self, event: ContentText) -> None:
        self._end_thought()
        self._open("content", lambda: MarkdownStream(self.console)).feed(printable(event.text))

    def _call(self, event: CallStarted) -> None:
        self._end_thought()
        self._end_stream()
        mark = "⚙ " if self._plain else ""  # a stream for terminals has it by itself
        stream = self._open("call", lambda: TextStream(self.console, "⚙ ", "cyan", once=True))
        stream.feed(printable(f"{mark}{event.name} "))
        self._index = event.index

    def _arguments(self, event: CallArguments) -> None:
        if self._kind == "call" and self._index == event.index:
            assert self._stream is not None
            self._stream.feed(printable(event.text))

    def _reply(self, event: ReplyDone) -> None:
        self.end()
        for call in event.message.tool_calls:
            if call.error is not None:
                self.error(f"  {call.name} can not be run: {call.error}")

    # --- what tools do -----------------------------------------------------------------------------------------------

    def _run(self, event: CallRunning) -> None:
        self.calls += 1
        self._running[event.id] = (event.name, time.monotonic())
        if not self._plain:
            self._tick()

    def _told(self, event: Progress) -> None:
        self._progress = event.text
        if self._plain:
            self.note(f"  {event.name}: {event.text}")
        else:
            self._tick()

    def _observe(self, event: ObservationMade) -> None:
        self._running.pop(event.id, None)
        self._progress = ""
        self._end_live()
        self._result(event.name, event.text, event.status, event.seconds, event.whole, event.tainted)
        for line in self._keep(event):
            self.note(f"  ▤ {line}")
        if self._running and not self._plain:
            self._tick()

    def _result(
        self, name: str, text: str, status: str, seconds: float | None, whole: str | None = None, tainted: bool = False
    ) -> None:
        self.results.append(Shown(name, text, whole))
        mark, style = {"ok": ("✓", "green"), "cancelled": ("■", "yellow")}.get(status, ("✗", "red"))
        facts = [name, *([] if status == "ok" else [status.replace("_", " ")]), count(len(text), "character")]
        facts += [f"{seconds:.2f} s"] if seconds else []  # what never ran took no time
        facts += ["text of strangers"] if tainted else []
        self.console.print(Text(f"{mark} {' · '.join(facts)}", style), soft_wrap=True)
        shown, left = folded(printable(text))
        self.console.print(Text(indented(shown), "red" if style == "red" else "note"), soft_wrap=self._plain)
        if left or whole:
            where = f", and {whole} holds all of it" if whole else ""
            self.note(f"  … {left}; /result {len(self.results)} shows it{where}")

    def _answered(self, event: ApprovalAnswered) -> None:
        if event.by != "user":
            self.note(f"  {event.name}: {event.answer}, by {event.by}" + (f": {event.reason}" if event.reason else ""))

    def _notice(self, event: Notice) -> None:
        self.end()
        self.note(event.text)

    def _finish(self, event: Finished) -> None:
        self.end()
        self._running.clear()
        if event.error:
            self.error(f"error: {event.error}")
        elif event.stopped_reason != "answer":
            self.note(ENDS.get(event.stopped_reason, event.stopped_reason))

    # --- what was ----------------------------------------------------------------------------------------------------

    def replay(self, message: Message, record: CallRecord | None = None) -> None:
        """A message of a conversation that goes on. record: of a result, what became of its call."""
        if message.role == "user":
            self.console.print(Text("› " + printable(message.content), "bold"), end="\n\n", soft_wrap=True)
        elif message.role == "tool":
            status = "error" if message.content.startswith("error: ") else "ok"
            seconds, whole = (None, None) if record is None else (record.seconds, record.whole)
            status = status if record is None else record.status
            self._result(message.name or "tool", message.content, status, seconds, whole, message.tainted)
        elif message.role == "assistant":
            if message.reasoning_content:
                self._reason(ReasoningText(message.reasoning_content))
                self._since = None  # how long it took is not known any more
            if message.content:
                self._content(ContentText(message.content))
            for index, call in enumerate(message.tool_calls):
                self._call(CallStarted(index, call.id, call.name))
                self._arguments(CallArguments(index, call.id, call.arguments))
            self.end()

    def note(self, text: str) -> None:
        self.console.print(printable(text), style="note", soft_wrap=not self.console.is_terminal)

    def error(self, text: str) -> None:
        self.console.print(printable(text), style="error", soft_wrap=not self.console.is_terminal)

    # --- drawing -----------------------------------------------------------------------------------------------------

    _kind: str | None = None

    def _open(self, kind: str, make: Callable[[], Stream]) -> Stream:
        if self._kind != kind or self._stream is None:
            self._end_stream()
            self._end_live()
            self._stream, self._kind = (_Lines(self.console) if self._plain else make()), kind
        return self._stream

    def _end_stream(self) -> None:
        if self._stream is not None:
            self._stream.end()
        self._stream, self._kind, self._index = None, None, None

    def _tick(self) -> None:
        """The line below everything that says what is waited for, and for how long; it draws itself anew."""
        if self._live is None:
            self._live = Live(
                console=self.console, get_renderable=self._status, refresh_per_second=4, transient=True, screen=False
            )
            self._live.start()

    def _end_live(self) -> None:
        if self._live is not None:
            self._live.stop()
            self._live = None

    def _status(self) -> Text:
        now = time.monotonic()
        waited = now - (now if self._since is None else self._since)
        if self._running:
            parts = [f"{name} {now - since:.0f} s" for name, since in list(self._running.values())]
            told = f" · {printable(self._progress)}" if self._progress else ""
            return Text(
                f"  running {', '.join(parts)}{told}  (Ctrl-C stops)", "note", overflow="ellipsis", no_wrap=True
            )
        if not self._thought:
            return Text(f"asking the model {waited:.0f} s  (Ctrl-C stops)", "note")
        last = printable(" ".join(self._thought.split())[-60:])
        return Text(f"thinking {waited:.0f} s … {last}", "thought", overflow="ellipsis", no_wrap=True)


_ACTS: dict[type, Callable[[RunView, Any], None]] = {
    StepStarted: RunView._step,
    ReasoningText: RunView._reason,
    ContentText: RunView._content,
    CallStarted: RunView._call,
    CallArguments: RunView._arguments,
    ReplyDone: RunView._reply,
    CallRunning: RunView._run,
    Progress: RunView._told,
    ObservationMade: RunView._observe,
    ApprovalAnswered: RunView._answered,
    Notice: RunView._notice,
    Finished: RunView._finish,
}


class _Lines:
    """Text as it comes."""

    def __init__(self, console: Console):
        self._console = console

    def feed(self, text: str) -> None:
        self._console.print(text, end="", soft_wrap=True)

    def end(self) -> None:
        self._console.print()


def folded(text: str) -> tuple[str, str]:
    """The beginning of a result, and what of it is not there, in words; "" where it is whole."""
    lines = text.rstrip().split("\n")
    head = "\n".join(lines[:FOLDED_LINES])
    if len(head) > FOLDED_CHARS:
        return head[:FOLDED_CHARS] + "…", count(len(text) - FOLDED_CHARS, "more character")
    more = len(lines) - FOLDED_LINES
    return head, count(more, "more line") if more > 0 else ""


def indented(text: str) -> str:
    return "\n".join(f"  {line}" for line in text.split("\n"))


def spending(spent: Spent, budget: int | None, last: Finished | None) -> str:
    """One line: what the conversation has cost, and what was left of the last run's thinking budget."""
    used = spent.usage
    parts = [
        f"{count(spent.steps, 'step')}, {count(spent.calls, 'call')}",
        f"read {used.prompt_tokens:,}, wrote {count(used.completion_tokens, 'token')}",
    ]
    if budget is not None and last is not None:
        thought = last.usage.reasoning_tokens
        parts.append(f"thinking {thought:,} of {budget:,}, {max(0, budget - thought):,} left")
    elif used.reasoning_tokens:
        parts.append(f"{used.reasoning_tokens:,} of them thoughts")
    return " · ".join([*parts, seconds_text(spent.seconds)])
