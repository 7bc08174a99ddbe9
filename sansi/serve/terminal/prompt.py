"""Where the user types: several lines, a history that outlives the program, completion of commands. No torch."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Protocol

from prompt_toolkit import PromptSession
from prompt_toolkit.completion import CompleteEvent, Completer, Completion, PathCompleter
from prompt_toolkit.document import Document
from prompt_toolkit.history import FileHistory, History, InMemoryHistory
from prompt_toolkit.key_binding import KeyBindings, KeyPressEvent
from prompt_toolkit.styles import Style
from rich.console import Console

from sansi.base.state import state_folder
from sansi.serve.terminal.commands import NAMES, Command
from sansi.serve.terminal.looks import is_plain

STYLE = Style.from_dict({"bottom-toolbar": "noreverse fg:ansibrightblack", "prompt": "bold"})
PROMPT, CONTINUATION = "› ", "  "


class Reader(Protocol):
    """Asks for one input. Raises EOFError at the end of all input, KeyboardInterrupt for Ctrl-C."""

    drafts: bool
    """Whether the input can begin with a draft, which the user changes or sends as it is."""

    def __call__(self, draft: str = "") -> str: ...


def converse(read: Callable[[], str], handle: Callable[[str], bool], note: Callable[[str], None]) -> bool:
    """Read, do what is said, repeat, until `handle` says no more or Ctrl-C comes twice. False: the input ended."""
    interrupts = 0
    while interrupts < 2:
        try:
            line = read()
            interrupts = 0
            if not handle(line):
                break
        except KeyboardInterrupt:
            interrupts += 1
            if interrupts == 1:
                note("Ctrl-C once more, or Ctrl-D, leaves")
        except EOFError:
            return False
    return True


class PlainReader:
    """Lines from standard input; a backslash at the end of a line takes the next one in."""

    drafts = False

    def __init__(self) -> None:
        if sys.stdin.isatty():
            with contextlib.suppress(ImportError):
                import readline  # noqa: F401  # gives input() line editing where the platform has it

    def __call__(self, draft: str = "") -> str:
        line = input("\n> ")
        while line.endswith("\\"):
            line = line[:-1] + "\n" + input("… ")
        return line


class TerminalReader:
    """The editor of prompt_toolkit. Enter sends; Alt-Enter, or a backslash before Enter, begins a new line.

    cycle: called for Shift-Tab. history: the file of earlier inputs.
    """

    drafts = True

    def __init__(
        self,
        toolbar: Callable[[], str],
        commands: Mapping[str, Command] = NAMES,
        history: str = "chat_history",
        cycle: Callable[[], None] | None = None,
        **terminal: Any,
    ):
        self._session: PromptSession[str] = PromptSession(
            history=open_history(history),
            completer=CommandCompleter(commands),
            complete_while_typing=True,
            key_bindings=key_bindings(cycle),
            multiline=True,
            prompt_continuation=CONTINUATION,
            bottom_toolbar=toolbar,
            style=STYLE,
            **terminal,
        )

    def __call__(self, draft: str = "") -> str:
        print()
        return self._session.prompt([("class:prompt", PROMPT)], default=draft)


def reader_for(console: Console, toolbar: Callable[[], str], **editor: Any) -> Reader:
    """How lines are asked for at this console. editor: as for `TerminalReader`."""
    plain = is_plain(console) or not sys.stdin.isatty()
    return PlainReader() if plain else TerminalReader(toolbar, **editor)


def key_bindings(cycle: Callable[[], None] | None = None) -> KeyBindings:
    bindings = KeyBindings()

    @bindings.add("enter")
    @bindings.add("c-j")  # an Enter that was pressed during an answer arrives as this
    def _enter(event: KeyPressEvent) -> None:
        buffer = event.current_buffer
        if buffer.document.text_before_cursor.endswith("\\"):
            buffer.delete_before_cursor()
            buffer.insert_text("\n")
        elif buffer.text.strip():
            buffer.validate_and_handle()

    @bindings.add("escape", "enter")
    def _new_line(event: KeyPressEvent) -> None:
        event.current_buffer.insert_text("\n")

    @bindings.add("c-c")
    def _stop(event: KeyPressEvent) -> None:
        if event.current_buffer.text:
            event.current_buffer.reset()
        else:
            event.app.exit(exception=KeyboardInterrupt())

    if cycle is not None:

        @bindings.add("s-tab")
        def _cycle(event: KeyPressEvent) -> None:
            cycle()
            event.app.invalidate()

    return bindings


class CommandCompleter(Completer):
    """Completes a command at the start of the input, and what may follow it."""

    def __init__(self, commands: Mapping[str, Command] = NAMES) -> None:
        self._commands, self._files = commands, PathCompleter(expanduser=True)

    def get_completions(self, document: Document, complete_event: CompleteEvent) -> Iterable[Completion]:
        text = document.text_before_cursor
        if not text.startswith("/") or "\n" in text:
            return
        word, blank, rest = text.partition(" ")
        if not blank:
            for command in self._commands.values():
                if command.name.startswith(word):
                    yield Completion(command.name, -len(word), display_meta=command.help)
        elif word in self._commands:
            command, last = self._commands[word], rest.rpartition(" ")[2]
            yield from (Completion(choice, -len(last)) for choice in command.choices if choice.startswith(last))
            if command.takes_file:
                yield from self._files.get_completions(Document(last), complete_event)


def open_history(name: str = "chat_history") -> History:
    """The inputs of earlier conversations, for nobody else to read; of this one alone where the folder is read-only."""
    file = state_folder() / name
    try:
        file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        file.touch(mode=0o600)
        with file.open("ab"):
            pass
    except OSError:
        return InMemoryHistory()
    return FileHistory(str(file))
