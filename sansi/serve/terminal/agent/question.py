"""Asking for approval: the call itself, why it is asked, and a letter and Enter for the answer."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Protocol

from rich.console import Console
from rich.text import Text

from sansi.agents.approvals import Answer, Question
from sansi.serve.terminal.looks import is_plain, printable

SEE = "show all of it"
KEYS = {"v": SEE, "o": "once", "y": "once", "e": "exactly", "s": "session", "a": "always", "n": "no"}
EXACTLY = "exactly"
"""For the session, and for these very arguments alone."""
MAY = {"read": "read", "write": "write", "network": "use the network", "execute": "run code"}


class KeyReader(Protocol):
    """Reads one of some answers, by letter or word, and a line.

    Raises KeyboardInterrupt for Ctrl-C, EOFError where nobody is there.
    """

    def key(self, prompt: str, keys: Mapping[str, str]) -> str: ...

    def line(self, prompt: str) -> str: ...

    def page(self, text: str) -> None: ...


class TerminalKeys:
    """Nothing counts before Enter: the letters of a sentence that was meant for the model must approve no call."""

    def key(self, prompt: str, keys: Mapping[str, str]) -> str:
        from prompt_toolkit import PromptSession
        from prompt_toolkit.input.typeahead import clear_typeahead

        session: PromptSession[str] = PromptSession()
        clear_typeahead(session.app.input)
        forget_typed()
        while True:
            if (answer := answer_in(session.prompt(prompt), keys)) is not None:
                return answer

    def line(self, prompt: str) -> str:
        from prompt_toolkit import PromptSession

        session: PromptSession[str] = PromptSession()
        return session.prompt(prompt)

    def page(self, text: str) -> None:
        """Let the user look through a text, with the pager of $PAGER, or what there is."""
        import pydoc

        pydoc.pager(text)


def forget_typed(terminal: int | None = None) -> None:
    """Throw away what was typed before a question was shown: it can not be the answer to it. terminal: a descriptor."""
    try:
        import termios
    except ImportError:  # not everywhere
        return
    with contextlib.suppress(OSError, ValueError, termios.error):  # it is no terminal
        termios.tcflush(sys.stdin.fileno() if terminal is None else terminal, termios.TCIFLUSH)


class LineKeys:
    """The same without a terminal's means."""

    def key(self, prompt: str, keys: Mapping[str, str]) -> str:
        while True:
            if (answer := answer_in(input(prompt), keys)) is not None:
                return answer

    def line(self, prompt: str) -> str:
        return input(prompt).strip()

    def page(self, text: str) -> None:
        print(text)


def answer_in(line: str, keys: Mapping[str, str]) -> str | None:
    """The letter that a line says, by itself or by its word; None where it says more, or anything else."""
    said = line.strip().casefold()
    return next((key for key, word in keys.items() if said in (key, word.casefold())), None)


def ask(console: Console, question: Question, keys: KeyReader) -> Answer:
    """The user's answer. Raises KeyboardInterrupt where the user stops the run instead."""
    show(console, question)
    seen = False
    while (pressed := _pressed(console, question, seen, keys)) == SEE:
        seen = _see(console, question, keys)
    reason = keys.line("  why not (for the model; Enter: no reason) › ").strip() if pressed == "no" else ""
    console.print(Text(f"  {pressed}" + (f": {printable(reason)}" if reason else ""), "note"))
    choice = "session" if pressed == EXACTLY else pressed
    return Answer(choice, reason, pressed == EXACTLY, seen)  # type: ignore[arg-type]


def _pressed(console: Console, question: Question, seen: bool, keys: KeyReader) -> str:
    """Which of the words that are offered the user chooses."""
    words: list[str] = [*question.offers(seen), *([SEE] if question.whole else [])]
    if question.covers_others and "session" in words:
        words.append(EXACTLY)
    offered = {key: word for key, word in KEYS.items() if word in words}
    for line in covered(question, seen):
        console.print(Text(f"  {printable(line)}", "note"), soft_wrap=True)
    legend = "  ".join(f"[{key}] {word}" for key, word in offered.items() if key != "y")
    return offered[keys.key(f"  {legend}, then Enter  › ", offered)]


def _see(console: Console, question: Question, keys: KeyReader) -> bool:
    """Show all of a call that the question shows in part; whether that could be done."""
    try:
        text = Path(question.whole).read_text(encoding="utf-8")
    except OSError as error:
        console.print(Text(f"  {question.whole} can not be read: {error.strerror}", "yellow"), soft_wrap=True)
        return False
    keys.page(printable(text))
    return True


def covered(question: Question, seen: bool = False) -> list[str]:
    """What an answer for longer than once would approve, a line each; none where it can not be given."""
    if "session" not in question.offers(seen) or not question.covers:
        return []
    lines = [f"session, always: approve {question.covers} (until the session ends; from now on)"]
    return [*lines, "exactly: this very call, until the session ends"] if question.covers_others else lines


def in_part(question: Question, how: str = "") -> list[str]:
    """Where all of it is, of a call that is too long to be shown, and what that is needed for. how: to say it."""
    if not question.whole:
        return []
    longer = f"; session and always are offered once it was shown{how}" if question.when_seen else ""
    return [f"all of it is in {printable(question.whole)}{longer}"]


def show(console: Console, question: Question) -> None:
    """The thing itself, with what hides in it spelled out; of what is very long the beginning and the end."""
    effects = ", ".join(words for effect, words in MAY.items() if effect in question.effects) or "do anything"
    console.print()
    asked = f"? {question.tool} wants to run ({question.origin}; it may {effects})"
    console.print(Text(printable(asked), "bold yellow"))
    console.print(Text("\n".join(f"  │ {line}" for line in printable(question.shown).split("\n"))), soft_wrap=True)
    for line in in_part(question):
        console.print(Text(f"  {line}", "yellow"), soft_wrap=True)
    for reason in question.reasons:
        console.print(Text(f"  {printable(reason)}", "note"), soft_wrap=True)
    for copied in question.quoted_apart:
        told = f"  {copied.argument} stands in text of {copied.origin}: {copied.value[:200]}"
        console.print(Text(printable(told), "yellow"), soft_wrap=True)
    if question.difference:
        console.print(Text("  its definition changed:", "yellow"))
        console.print(Text("\n".join(f"    {line}" for line in printable(question.difference).split("\n"))))


def key_reader(console: Console) -> KeyReader:
    return LineKeys() if is_plain(console) or not sys.stdin.isatty() else TerminalKeys()
