"""A terminal agent with a scripted model, for tests: its tools, what is typed at it, and what it shows."""

from __future__ import annotations

import asyncio
import io
import sys
import threading
from pathlib import Path

sys.path.append(str(Path(__file__).resolve().parents[1] / "agents"))
from sansi.agents import Attachment, Result, Tool, tool
from sansi.agents.approvals import Approvals
from sansi.agents.toolset import Toolset
from sansi.serve.terminal import looks
from sansi.serve.terminal.agent.chat import AgentChat
from sansi.serve.terminal.agent.session import Sessions
from sansi.serve.terminal.agent.turns import Setup
from scripted_client import StreamedScript


@tool(effects={"write"}, show=lambda arguments: f"--- {arguments['path']}\n+{arguments['text']}")
def put(path: str, text: str) -> str:
    """Write a file.

    Args:
        path: Where.
        text: What.
    """
    return f"wrote {len(text)} characters"


@tool
def plot() -> Result:
    """A plot."""
    return Result("a plot", (Attachment("plot.png", "image/png", b"\x89PNG...."),))


@tool
def lines(count: int) -> str:
    """So many lines.

    Args:
        count: How many.
    """
    return "\n".join(f"line {n}" for n in range(count))


@tool
def breaks() -> str:
    """It fails."""
    raise ValueError("no such thing")


@tool(timeout=120.0)
async def wait() -> str:
    """It takes long."""
    await asyncio.sleep(120)
    return "never"


def slow_tool(timeout, **options):
    """A tool that never ends by itself, whether it has begun, and whether it was told to stop."""
    begun, told = threading.Event(), threading.Event()

    @tool(timeout=timeout, **options)
    async def slow() -> str:
        """Takes long."""
        begun.set()
        try:
            await asyncio.sleep(timeout)
        except asyncio.CancelledError:
            told.set()
            raise
        return "never"

    return slow, begun, told


ALL = (put, plot, lines, breaks, wait)


class Tools(Toolset):
    """Given tools, without a registry."""

    def __init__(self, *tools: Tool):
        super().__init__()
        self._own = list(tools)


def setup_of(folder, *replies, mode="ask", tools=None, **more):
    return Setup(
        StreamedScript(*replies),
        "scripted",
        Tools(*(tools or ALL)),
        Approvals(mode),
        Sessions(folder / "sessions"),
        **more,
    )


class Typed:
    """What a user types at the prompt, and the keys at questions."""

    drafts = False

    def __init__(self, lines=(), keys=(), reasons=()):
        self._lines, self._keys, self._reasons, self.asked = iter(lines), iter(keys), iter(reasons), []
        self.paged: list[str] = []

    def __call__(self, draft=""):
        line = next(self._lines, EOFError())
        if isinstance(line, BaseException):
            raise line
        return line

    def key(self, prompt, keys):
        self.asked.append(prompt)
        pressed = next(self._keys)
        if isinstance(pressed, BaseException):
            raise pressed
        assert pressed in keys, (pressed, keys)
        return pressed

    def line(self, prompt):
        return next(self._reasons, "")

    def page(self, text):
        self.paged.append(text)


def talk(setup, *lines, keys=(), reasons=(), session=None, colour=False):
    """The AgentChat after these lines, and what it printed."""
    typed = Typed(lines, keys, reasons)
    system = "standard" if colour else None
    console = looks.console(file=io.StringIO(), width=150, force_terminal=colour, color_system=system)
    chat = AgentChat(setup, session or setup.begin(), console, typed, typed)
    chat.run()
    return chat, console.file.getvalue()
