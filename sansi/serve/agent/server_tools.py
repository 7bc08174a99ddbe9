"""What an operator has turned on: tools, MCP servers and who decides on calls; and the runs that are under way."""

from __future__ import annotations

import copy
import hashlib
import secrets
import threading
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any

from sansi.agents import AgentEvent, Limits, Stop, Tool
from sansi.agents.approvals import Approvals, Approver, Policy, Remembered
from sansi.agents.desk import AnswerDesk
from sansi.agents.events import MessageAdded, ObservationMade
from sansi.agents.loop.crowding import warning
from sansi.agents.mcp import ServerStatus, Status
from sansi.agents.mcp.foreign import without_folders
from sansi.agents.toolset import NO_WAIT, Toolset
from sansi.base import SansiError
from sansi.base.errors import did_you_mean
from sansi.base.words import count
from sansi.serve.agent.server_log import ServerLog
from sansi.serve.api.errors import ServeError

MOST_RUNS = 16  # at a time, of one API key; without keys, of all clients together
MOST_RESULTS = 20_000  # texts of strangers that are known again when a client sends them back
APPROVAL_SECONDS = 900.0
MOST_CONVERSATIONS = 256  # whose answers for the session are kept; those used longest ago are asked about again


@dataclass
class Running:
    """One run under way: where its questions are answered, and what stops it."""

    key: int | None
    """Of the client that began it; nobody else may answer."""
    desk: AnswerDesk = field(default_factory=AnswerDesk)
    stop: Stop = field(default_factory=Stop)
    id: str = field(default_factory=lambda: f"run-{secrets.token_hex(12)}")


class ServerTools:
    """The tools of one server. folder: where files of conversations go. remembered: approvals for always. limits: of
    one run, at most. max_runs: at a time, of one API key. approval_seconds: how long a question waits for its answer;
    then the call is not made.

    With API keys, "always" lasts as long as the server does: what one client approves must not hold for another.
    """

    def __init__(
        self,
        tools: Toolset,
        folder: Path,
        policy: Policy | None = None,
        remembered: Path | None = None,
        limits: Limits | None = None,
        max_runs: int = MOST_RUNS,
        approval_seconds: float | None = APPROVAL_SECONDS,
    ):
        self.toolset, self.folder, self.policy = tools, folder, policy or Policy("ask")
        self.limits, self.max_runs, self.approval_seconds = limits or Limits(), max_runs, approval_seconds
        self._remembered: dict[int | None, Remembered] = {None: Remembered(remembered)}
        self._approvals: OrderedDict[tuple[int | None, str], Approvals] = OrderedDict()
        self._runs: dict[str, Running] = {}
        self._strangers: OrderedDict[bytes, None] = OrderedDict()
        self._lock = threading.Lock()

    def hear(self, event: AgentEvent) -> None:
        """Keep in mind which results are text of strangers: clients that send them back need not say so."""
        if isinstance(event, ObservationMade | MessageAdded) and event.tainted:
            text = event.text if isinstance(event, ObservationMade) else event.message.content
            with self._lock:
                self._strangers[_digest(text)] = None
                while len(self._strangers) > MOST_RESULTS:
                    self._strangers.popitem(last=False)

    def is_strangers(self, text: str) -> bool:
        """Whether a result was text of strangers when it was made."""
        return _digest(text) in self._strangers

    def approvals(self, key: int | None, conversation: str, approver: Approver | None = None) -> Approvals:
        """Of one conversation of one client, asking `approver`: answers for the session hold in it alone."""
        with self._lock:
            if key not in self._remembered:  # what one client approves holds for no other, the operator's rules for all
                self._remembered[key] = self._remembered[None].for_others()
            remembered = self._remembered[key]
            found = self._approvals.setdefault((key, conversation), Approvals(self.policy, remembered=remembered))
            self._approvals.move_to_end((key, conversation))
            while len(self._approvals) > MOST_CONVERSATIONS:
                self._approvals.popitem(last=False)
        asking = copy.copy(found)  # what was answered is shared; whom to ask is the run's own
        asking.approver = approver
        return asking

    def begin(self, key: int | None) -> Running:
        """Raises ServeError (429) where this client, or without keys all of them, has as many runs as it may have."""
        running = Running(key, AnswerDesk(self.approval_seconds))
        with self._lock:
            of_key = [each for each in self._runs.values() if each.key == key]
            if len(of_key) >= self.max_runs:
                raise _too_many(of_key, self.max_runs)
            self._runs[running.id] = running
        return running

    def end(self, running: Running) -> None:
        self._runs.pop(running.id, None)

    def running(self, id: str, key: int | None) -> Running | None:
        """A run under way that this client began."""
        found = self._runs.get(id)
        return found if found is not None and found.key == key else None

    def stop_waiting(self) -> None:
        """The server is to end: runs that wait for somebody's answer do not hold it up."""
        for running in list(self._runs.values()):
            if running.desk.questions:
                running.stop.set()

    @property
    def under_way(self) -> int:
        """Runs, whatever they are at."""
        return len(self._runs)

    def end_all(self) -> None:
        """Stop every run, which tells its client so."""
        for running in list(self._runs.values()):
            running.stop.set()

    def crowded(self, contexts: Mapping[str, int]) -> list[str]:
        """A sentence for each model whose context (tokens, by its name) the tools' descriptions fill."""
        specs = [tool.spec for tool in self.toolset.all(NO_WAIT)]
        told = {name: warning(specs, length) for name, length in contexts.items()}
        return [f"{name}: {each}" for name, each in told.items() if each]

    def watch(self, contexts: Mapping[str, int] = MappingProxyType({})) -> None:
        """Log what becomes of the MCP servers from now on, and once they are ready what is amiss with them.

        contexts: tokens of each model's context, by its name.
        """
        if self.toolset.servers is not None:
            log = ServerLog(self.toolset.servers.status())

            def changed(status: Status) -> None:
                log(status)
                if all(server.state == "ready" for server in status.servers):  # asks the servers' own thread
                    threading.Thread(target=self._warn, args=(log, contexts), daemon=True).start()

            self.toolset.servers.on_change = changed
            changed(self.toolset.servers.status())

    def _warn(self, log: ServerLog, contexts: Mapping[str, int]) -> None:
        log.warn([*self.toolset.unmatched(self.policy.rules), *self.crowded(contexts)])

    def __str__(self) -> str:
        """The names of the tools, the servers' state and the mode, in a line each."""
        own = ", ".join(tool.name for tool in self.toolset.all(NO_WAIT) if not tool.origin.startswith("mcp:"))
        status = self.toolset.status()
        servers = "" if status is None else str(status).replace("\n", "\n        ")
        return "; ".join(filter(None, (own, f"mode {self.policy.mode}", servers)))

    def described(self) -> dict[str, Any]:
        """For clients: the tools, the MCP servers, and the mode."""
        status = self.toolset.status()
        servers = () if status is None else status.servers
        return {
            "object": "list",
            "data": [_described(tool) for tool in self.toolset.all(NO_WAIT)],
            "servers": [_server(each) for each in servers],
            "mode": self.policy.mode,
        }


def _too_many(runs: Sequence[Running], most: int) -> ServeError:
    waiting = sum(bool(each.desk.questions) for each in runs)
    waits = f"; {waiting} of them wait for somebody's answer" if waiting else ""
    message = f"no more than {count(most, 'run')} may be under way at a time{waits}: end one, or try again later"
    return ServeError(429, message, "too_many_runs", {"Retry-After": "5"})


def _digest(text: str) -> bytes:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()


def chosen(names: Sequence[str] | None, known: Mapping[str, Tool]) -> list[Tool]:
    """The tools of these names; None: all. Raises SansiError for one that is not here."""
    if names is None:
        return list(known.values())
    for name in names:
        if name not in known:
            raise SansiError(f'this server has no tool "{name}"{did_you_mean(name, known)}', param="tools")
    return [known[name] for name in dict.fromkeys(names)]


def _server(status: ServerStatus) -> dict[str, Any]:
    """What clients need to know; where things lie on the server, and what programs wrote to stderr, is not for them."""
    told = {name: getattr(status, name) for name in ("name", "state", "tools", "restarts")}
    cause = None if status.cause is None else without_folders(status.cause)
    return told | {"cause": cause, "notes": [without_folders(note) for note in status.told]}


def _described(tool: Tool) -> dict[str, Any]:
    return {
        "name": tool.name,
        "title": tool.title or tool.name,
        "origin": tool.origin,
        "description": tool.description,
        "parameters": tool.parameters,
        "effects": sorted(tool.effects),
        "tainted": tool.tainted,
    }
