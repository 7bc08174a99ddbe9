"""What a transcript tells: its turns, where each ended, and which calls nobody knows the outcome of."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from sansi.agents.approvals import Answer, Question
from sansi.agents.loop.run import CallRecord, RunState
from sansi.agents.transcript.lines import FOREIGN, Lines, read_lines
from sansi.agents.transcript.plain import attachment_from_json, message_from_json, state_from
from sansi.base import SansiError
from sansi.text import Message, ToolCall

ELSEWHERE = "a transcript from elsewhere"
"""The origin of messages in lines that this user's programs did not write."""


@dataclass
class Turn:
    """One run: what it was given, what it was made with, and how far it came."""

    setup: Mapping[str, Any]
    """The line that opened it: tools, options, limits, approvals."""
    messages: list[Message]
    """All of the conversation, with what the run added."""
    given: int
    """How many of them it began with."""
    status: str = "interrupted"
    """As `AgentRun.status` has it; "interrupted": the program ended before the run did."""
    events: list[dict[str, Any]] = field(default_factory=list)
    records: list[CallRecord] = field(default_factory=list)
    held: dict[str, CallRecord] = field(default_factory=dict)
    running: set[str] = field(default_factory=set)
    """Calls of the last reply that have begun, by id."""
    asked: dict[str, Question] = field(default_factory=dict)
    answered: dict[str, Answer] = field(default_factory=dict)
    """What was asked and answered about calls of the last reply."""
    figures: dict[str, Any] = field(default_factory=dict)
    approvals: Mapping[str, Any] | None = None
    written: dict[str, ToolCall] = field(default_factory=dict)
    """The calls of the last reply as the model wrote them."""
    opened: Mapping[str, Any] = field(init=False)
    """The first `setup`; a run that was resumed has another one."""

    def __post_init__(self) -> None:
        self.opened = self.setup

    def take(self, line: dict[str, Any], keep: bool = True) -> None:
        """Go on by one event. keep: among `events`, too."""
        if keep:
            self.events.append(line)
        foreign = bool(line.get(FOREIGN))
        if "state" in line:
            self.figures = {**line["state"], "tainted": True} if foreign else line["state"]
        if line.get("approvals") is not None and not foreign:
            self.approvals = {**(self.approvals or {}), **line["approvals"]}  # definitions are not in each
        for index, message in line.get("replaced", {}).items():
            self.messages[int(index)] = _message(message, foreign)
        taking = getattr(self, f"_take_{line['kind']}", None)
        if taking is not None:
            taking(line)

    def _take_resumed(self, line: dict[str, Any]) -> None:
        self.status, self.setup = "interrupted", {**line, "conversation": self.setup["conversation"]}

    def _take_reply(self, line: dict[str, Any]) -> None:
        self.written = {call.id: call for call in message_from_json(line["message"]).tool_calls}

    def _take_message(self, line: dict[str, Any]) -> None:
        message = _message(line["message"], bool(line.get(FOREIGN)))
        self.messages.append(message)
        if message.role == "assistant":
            for known in (self.held, self.running, self.asked, self.answered):
                known.clear()
        elif message.role == "tool" and (record := self.held.pop(message.tool_call_id or "", None)):
            self.records.append(record)

    def _take_approval_asked(self, line: dict[str, Any]) -> None:
        if not line.get(FOREIGN):  # what it shows may not be what it asks for
            self.asked[line["id"]] = Question.from_json(line["details"])

    def _take_approval_answered(self, line: dict[str, Any]) -> None:
        if line["by"] == "user" and not line.get(FOREIGN):
            self.answered[line["id"]] = Answer(line["answer"], line["reason"], line["exact"], line["seen"])

    def _take_call_running(self, line: dict[str, Any]) -> None:
        self.running.add(line["id"])

    def _take_observation(self, line: dict[str, Any]) -> None:
        call = self.written.get(line["id"]) or self._call(line["id"], line["name"])
        fields = {f.name: line[f.name] for f in dataclasses.fields(CallRecord) if f.name in line}
        files = tuple(attachment_from_json(file) for file in line["attachments"])
        told = {"call": call, "observation": line["text"], "attachments": files}
        if line.get(FOREIGN):
            told |= {"tainted": True, "origin": ELSEWHERE}
        self.held[line["id"]] = CallRecord(**{**fields, **told})

    def _take_finished(self, line: dict[str, Any]) -> None:
        self.status = line["status"]

    def _call(self, id_: str, name: str) -> ToolCall:
        calls = self.messages[-1].tool_calls
        return next((call for call in calls if call.id == id_), ToolCall(id_, name, "{}"))

    @property
    def conversation(self) -> str:
        return str(self.setup["conversation"])

    def state(self) -> RunState:
        """Where the run is. Raises SansiError where the transcript is not what Sansi wrote."""
        return state_from(self.messages, self.conversation, self.records, self.held, self.figures)

    def waiting(self) -> list[ToolCall]:
        """Calls of the last reply that have no result."""
        last = self.messages[-1]
        return [call for call in last.tool_calls if call.id not in self.held]

    def unknown(self) -> list[ToolCall]:
        """Those that had begun, so that nobody knows what became of them."""
        return [call for call in self.waiting() if call.id in self.running]

    def unsaid(self) -> list[ToolCall]:
        """Calls whose results are known and were about to be said, when the program ended between one and the next."""
        at = max((i for i, message in enumerate(self.messages) if message.role == "assistant"), default=None)
        if at is None or at == len(self.messages) - 1:
            return []
        said = {message.tool_call_id for message in self.messages[at + 1 :]}
        return [call for call in self.messages[at].tool_calls if call.id not in said and call.id in self.held]

    def pending(self) -> list[Question]:
        """Questions that nobody has answered."""
        return [self.asked[call.id] for call in self.waiting() if call.id in self.asked.keys() - self.answered.keys()]


@dataclass(frozen=True)
class Transcript:
    """A transcript as it was read."""

    path: Path
    header: Mapping[str, Any]
    turns: tuple[Turn, ...]
    lines: Lines

    @property
    def notices(self) -> tuple[str, ...]:
        return self.lines.notices

    @property
    def messages(self) -> tuple[Message, ...]:
        return tuple(self.turns[-1].messages) if self.turns else self.before

    @property
    def before(self) -> tuple[Message, ...]:
        """What the session began with."""
        return tuple(_messages(self.header))


def of_strangers(message: Message) -> Message:
    """A message of somebody else's transcript or run: whoever is said to have said it, nobody here has."""
    return replace(message, tainted=True, origin=ELSEWHERE)


def _message(saved: Mapping[str, Any], foreign: bool) -> Message:
    message = message_from_json(saved)
    return of_strangers(message) if foreign else message


def _messages(line: Mapping[str, Any]) -> list[Message]:
    given: Iterable[Mapping[str, Any]] = line.get("messages", ())
    return [_message(message, bool(line.get(FOREIGN))) for message in given]


def read_transcript(path: str | Path) -> Transcript:
    """Read a transcript, as far as it goes. Raises SansiError where it is none."""
    path = Path(path).expanduser()
    lines = read_lines(path)
    header = lines.objects[0]
    turns: list[Turn] = []
    for number, line in enumerate(lines.objects[1:], 2):
        try:
            if line["kind"] == "turn":
                before = turns[-1].messages if turns else _messages(header)
                new = _messages(line)
                turns.append(Turn(line, [*before, *new], len(before) + len(new)))
            elif turns:
                turns[-1].take(line)
        except (SansiError, KeyError, TypeError, ValueError, IndexError, AttributeError) as error:
            reason = f"a line of kind {line['kind']!r:.40} is not what Sansi writes ({error!s:.200})"
            raise SansiError(f"{path}: {reason} (line {number} of those that can be read)", param="path") from error
    return Transcript(path, header, tuple(turns), lines)
