"""How the servers are doing, in words and as values."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from sansi.agents.mcp.definitions import Definition
from sansi.agents.mcp.failures import Phase
from sansi.base.words import count

State = Literal["starting", "ready", "failed", "lost", "disabled", "closed"]
"""lost: it was ready, its connection ended, and it is connected to anew at the next call."""
MOST_SHOWN, LINES_SHOWN = 5, 3


@dataclass(frozen=True)
class Change:
    """A tool whose definition became another while the server was in use; None on the side where there is none."""

    server: str
    name: str
    before: Definition | None
    after: Definition | None

    def __str__(self) -> str:
        what = "is new" if self.before is None else "is gone" if self.after is None else "has another definition"
        return f'tool "{self.name}" of MCP server "{self.server}" {what}'


@dataclass(frozen=True)
class ServerStatus:
    """One server as it is now."""

    name: str
    state: State
    phase: Phase | None = None
    """Where it failed."""
    cause: str | None = None
    """Why it is not ready: one sentence with server, phase and cause."""
    tools: int = 0
    rejected: tuple[tuple[str, str], ...] = ()
    """Tools that it offers and that cannot be used: name and reason."""
    notes: tuple[str, ...] = ()
    """What is odd about it and does not stop it, a sentence each."""
    changes: tuple[Change, ...] = ()
    """Tools that became others since it was first connected to, the latest last."""
    protocol: str | None = None
    transport: str | None = None
    server: str | None = None
    """Its own name and version."""
    instructions: str | None = None
    """What it tells the model about its use. A stranger's words."""
    pid: int | None = None
    restarts: int = 0
    """Times that it was connected to anew."""
    stderr: tuple[str, ...] = ()
    """The last lines that its program wrote to stderr before it failed or was lost, and what explains them."""

    @property
    def told(self) -> tuple[str, ...]:
        """What is odd about it and what of it is left out, a sentence each."""
        shown = [f'its tool "{name}" is left out: {why}' for name, why in self.rejected[:MOST_SHOWN]]
        more = len(self.rejected) - MOST_SHOWN
        left = [f"{count(more, 'more tool')} {'is' if more == 1 else 'are'} left out"] if more > 0 else []
        return (*self.notes, *shown, *left)


@dataclass(frozen=True)
class Status:
    """All servers."""

    servers: tuple[ServerStatus, ...]

    @property
    def ready(self) -> int:
        return sum(server.state == "ready" for server in self.servers)

    @property
    def starting(self) -> int:
        return sum(server.state == "starting" for server in self.servers)

    def __getitem__(self, name: str) -> ServerStatus:
        return next(server for server in self.servers if server.name == name)

    def __str__(self) -> str:
        wanted = [server for server in self.servers if server.state != "disabled"]
        lines = [f"{self.ready} of {count(len(wanted), 'MCP server')} ready"]
        if self.starting:
            names = ", ".join(server.name for server in wanted if server.state == "starting")
            lines[0] += f"; starting: {names}"
        lines += [server.cause + _stderr(server) for server in wanted if server.cause]
        lines += [f'MCP server "{server.name}": {note}' for server in wanted for note in server.told]
        return "\n".join(lines)


def _stderr(server: ServerStatus) -> str:
    """What explains the cause of a discreet server to its operator."""
    last = " | ".join(server.stderr[-LINES_SHOWN:])
    return f'; its stderr ends with "{last}"' if last and last not in (server.cause or "") else ""
