"""What a run leaves: its messages, its calls, why it ended, what was counted."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from sansi.agents.observation import Attachment, Status
from sansi.agents.tool import Tool
from sansi.base import SansiError
from sansi.client.reply import Usage
from sansi.text import Message, ToolCall

StoppedReason = Literal[
    "answer",
    "tool",
    "max_calls",
    "max_tokens",
    "max_seconds",
    "loop",
    "context",
    "length",
    "abort",
    "paused",
    "cancelled",
    "failed",
]
RunStatus = Literal["finished", "paused", "cancelled", "failed"]


@dataclass(frozen=True)
class CallRecord:
    """One tool call of a run: as the model wrote it, and what became of it."""

    call: ToolCall
    status: Status
    observation: str
    """What the model was told."""
    seconds: float
    attachments: tuple[Attachment, ...] = ()
    origin: str | None = None
    tainted: bool = False
    whole: str | None = None
    """The name under which `read_result` has the whole text, where the model was told head and tail."""
    ends_run: bool = False
    """The tool has ended the run with it."""
    remark: str = ""
    """What the loop added to the observation."""


@dataclass(frozen=True)
class PlannedCall:
    """A call that is whole, of a tool that is there, with arguments that fit it; nothing else is ever decided on."""

    call: ToolCall
    tool: Tool
    arguments: Mapping[str, Any]
    tainted: bool
    """Text of strangers is among what the model has read."""
    messages: Sequence[Message] = field(default=(), repr=False)
    """What the model has read and said so far; those of tools tell whose text they are."""
    addresses: list[str] = field(default_factory=list, repr=False, compare=False)
    """Those that the gate has shown to the user, as where the call connects."""


@dataclass(frozen=True)
class Pending:
    """A call that waits for somebody who is not there; `question` is what the gate wants to ask."""

    planned: PlannedCall
    question: Any = None


@dataclass(frozen=True)
class RunReport:
    """What was counted in a run."""

    steps: int = 0
    thinking_budget: int | None = None
    """For the whole run; None: no bound."""
    thinking_by_step: tuple[int, ...] = ()
    """Tokens of each step's thought."""
    granted_by_step: tuple[int | None, ...] = ()
    """The most that each could have."""
    planned_unmade: int = 0
    """Replies that announced a call and made none."""
    claimed_unmade: int = 0
    """Replies that claimed what no call had done."""
    asked_again: int = 0
    loops_told: int = 0
    """Calls that had given the same result three times."""
    results_cut: int = 0
    """Results that were longer than the context had room for."""
    trimmed_tokens: int = 0
    """By how much older results were shortened."""
    inputs_declined: int = 0
    """Questions of tools, or of the servers behind them, that were declined since nobody was there to answer."""
    budget_exceeded: int = 0
    """Replies that thought for longer than they were granted: the server does not hold the budget."""
    thoughts_estimated: int = 0
    """Thoughts that the server did not count, and that were counted by their text."""
    seconds: float = 0.0


@dataclass
class RunState:
    """All that a run needs to go on: where it is after each event."""

    messages: list[Message]
    conversation: str
    records: list[CallRecord] = field(default_factory=list)
    held: dict[str, CallRecord] = field(default_factory=dict)
    """By id: answers to calls of the last reply, of which others wait still; the model has not read them yet."""
    usage: Usage = field(default_factory=Usage)
    granted: list[int | None] = field(default_factory=list)
    spent: list[int] = field(default_factory=list)
    """Of the thinking budget, by step."""
    seconds: float = 0.0
    tainted: bool = False
    limit: StoppedReason | None = None
    """The cap that has been reached, once one has."""
    counts: dict[str, int] = field(default_factory=dict)
    """By the names of RunReport."""

    def count(self, name: str, by: int = 1) -> int:
        """Add to a count; returns what it is now."""
        self.counts[name] = self.counts.get(name, 0) + by
        return self.counts[name]

    def open_calls(self) -> tuple[ToolCall, ...]:
        """Those of the last reply, if no result follows it."""
        last = self.messages[-1]
        return last.tool_calls if last.role == "assistant" else ()

    def report(self, thinking_budget: int | None) -> RunReport:
        spent, granted = tuple(self.spent), tuple(self.granted)
        return RunReport(len(spent), thinking_budget, spent, granted, seconds=round(self.seconds, 3), **self.counts)


@dataclass(frozen=True)
class AgentRun:
    """A finished run. `messages` may be given to `Agent.run` again, with a next user message."""

    messages: tuple[Message, ...]
    """The messages given, then all that the run added; assistant messages carry their thoughts (reasoning_content)."""
    calls: tuple[CallRecord, ...]
    stopped_reason: StoppedReason
    """"answer"; "tool": a result ended it; a cap or "loop" (the model was asked for its answer all the same); "length":
    a reply was cut; "abort": the other side ended it; "context": the conversation does not fit the model; "paused":
    calls wait for approval; "cancelled"; "failed": the client raised an error."""
    usage: Usage = field(default_factory=Usage)
    """Summed over the completions of the run."""
    report: RunReport = field(default_factory=RunReport)
    conversation: str = ""
    pending: tuple[Pending, ...] = ()
    """Calls that wait, of a paused run."""
    tainted: bool = False
    """Text of strangers is in the conversation."""
    error: str | None = None
    state: RunState | None = field(default=None, repr=False, compare=False)
    """From which the run can go on, where it is paused, was stopped, or failed."""

    @property
    def status(self) -> RunStatus:
        known: dict[str, RunStatus] = {"paused": "paused", "cancelled": "cancelled", "failed": "failed"}
        return known.get(self.stopped_reason, "finished")

    @property
    def answer(self) -> str:
        """The text of the last assistant message; empty where it has none."""
        return next((m.content or "" for m in reversed(self.messages) if m.role == "assistant"), "")


class RunFailed(SansiError):
    """The client could not complete; `run` holds what there was until then."""

    def __init__(self, error: SansiError, run: AgentRun):
        super().__init__(str(error), param=error.param, code=error.code)
        self.run = run
