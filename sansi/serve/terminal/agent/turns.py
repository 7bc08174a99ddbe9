"""What a turn of `sansi agent` runs with, and the one way in which it runs, watched or not."""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from types import FrameType
from typing import Any

from sansi.agents import Agent, Limits, Stop, Tool
from sansi.agents.approvals import Approvals, Rule, definition_of, fingerprint_of
from sansi.agents.desk import AnswerDesk
from sansi.agents.events import AgentEvent, Finished
from sansi.agents.loop.crowding import warning
from sansi.agents.toolset import NO_WAIT, STARTING, Toolset
from sansi.client import ChatClient
from sansi.serve.terminal.agent.session import Session, Sessions


@dataclass
class Setup:
    """Model, tools, approvals and limits: all but the conversation."""

    client: ChatClient
    name: str
    """The model's."""
    tools: Toolset
    approvals: Approvals
    sessions: Sessions
    limits: Limits = field(default_factory=Limits)
    system: str = ""
    settings: Mapping[str, Any] = field(default_factory=dict)
    """With which options a new session begins, for whoever goes on with it."""
    desk: AnswerDesk | None = None
    """Where a user answers; None: nobody is there, and a run that must ask pauses."""
    rules: Sequence[Rule] = ()
    """Those that the user gave for this session."""
    notes: Sequence[str] = ()
    """What the user has to know of the model."""
    _agent: Agent | None = None
    _told: set[str] = field(default_factory=set)

    def warnings(self) -> list[str]:
        """Rules that speak of no tool, and tools that fill the context, once the servers are ready; each told once."""
        status = self.tools.status()
        if status is not None and status.starting:
            return []
        specs = [tool.spec for tool in self.tools.all(NO_WAIT)]
        crowded = warning(specs, getattr(self.client, "context_length", None))
        found = [*self.notes, *self.tools.unmatched(self.rules), *([crowded] if crowded else [])]
        new = [each for each in found if each not in self._told]
        self._told.update(new)
        return [f"warning: {each}" for each in new]

    def begin(self) -> Session:
        system = {"system": self.system} if self.system else {}
        settings = {"settings": dict(self.settings)} if self.settings else {}
        return self.sessions.new(model=self.name, mode=self.approvals.mode, **system, **settings)

    def events(self, session: Session, stop: Stop) -> Iterator[AgentEvent]:
        """Go on with a conversation: answer its last message. Each event is kept before it is given out."""
        self.approvals.approver = self.desk
        # A user sees who is still starting, and may wait; without one the tools must be there.
        agent = self._agent_for(self.tools.all(None if self.desk is None else STARTING))
        agent.ask = None if self.desk is None else self.desk.ask
        yield from session.events(agent, stop)

    def _agent_for(self, tools: list[Tool]) -> Agent:
        """The same one for as long as its tools and settings are the same: it knows the conversation's files."""
        old = self._agent
        same = old is not None and _told(old.tools.values()) == _told(tools)
        if old is None or not same or old.limits != self.limits:
            folder = self.sessions.root
            self._agent = Agent(self.client, tools, limits=self.limits, gate=self.approvals, folder=folder)
        assert self._agent is not None
        return self._agent


def _told(tools: Iterable[Tool]) -> list[tuple[str, bool]]:
    """All that approvals know of tools: one that a server has changed is another one."""
    return [(fingerprint_of(definition_of(tool)), tool.tainted) for tool in tools]


DONE, FAILED, PAUSED, LIMIT, REFUSED, INTERRUPTED = 0, 1, 3, 4, 5, 130


@dataclass
class Outcome:
    """How a turn ended, for programs."""

    finished: Finished
    denied: int = 0

    @property
    def exit_code(self) -> int:
        """0 answered; 1 failed; 3 paused; 4 a limit ended it; 5 answered, but a call was refused; 130 Ctrl-C."""
        status, reason = self.finished.status, self.finished.stopped_reason
        if status != "finished":
            return {"failed": FAILED, "paused": PAUSED, "cancelled": INTERRUPTED}[status]
        if reason != "answer":
            return LIMIT
        return REFUSED if self.denied else DONE


@contextlib.contextmanager
def stopped_by_interrupt(stop: Stop) -> Iterator[None]:
    """Within it the first Ctrl-C sets `stop`, which ends model, tools and servers' calls; the second is raised."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.getsignal(signal.SIGINT)

    def interrupt(number: int, frame: FrameType | None) -> None:
        if stop.is_set:
            raise KeyboardInterrupt
        stop.set()

    signal.signal(signal.SIGINT, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
