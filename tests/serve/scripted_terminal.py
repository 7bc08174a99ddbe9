"""The terminal's chat, fed with a script of lines."""

import io

from fake_chat import FakeChat
from sansi.serve.terminal import looks
from sansi.serve.terminal.chat import TerminalChat


class Script:
    """A Reader that reads from a list; an exception in it is raised at the prompt."""

    drafts = True

    def __init__(self, lines):
        self._lines, self.seen = iter(lines), []

    def __call__(self, draft=""):
        self.seen.append(draft)
        line = next(self._lines, EOFError())
        if isinstance(line, BaseException):
            raise line
        return draft if line is KEEP_DRAFT else line


KEEP_DRAFT = object()  # the user sends the draft as it is


def talk(*lines, chat=None, colour=False, width=200, **fields):
    """The TerminalChat after these lines, and what it printed; `fields` are its own."""
    system = "standard" if colour else None
    console = looks.console(file=io.StringIO(), width=width, force_terminal=colour, color_system=system)
    terminal = TerminalChat(chat or FakeChat(), console=console, read=Script(lines), **fields)
    terminal.run()
    return terminal, console.file.getvalue()


def roles(terminal):
    return [message.role for message in terminal.conversation.messages()]
