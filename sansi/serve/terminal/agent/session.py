"""Sessions of `sansi agent`: a folder each, with a file of JSON lines that can be gone on from, copied and exported.

A line is an event of a run (`sansi.agents.events`), a "session" (the head), or a "message" of the user. What streams
is not kept piece by piece: the whole message is. A line that a killed process left half written is not read.
"""

from __future__ import annotations

import base64
import json
import secrets
import shutil
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from sansi.agents import Attachment, CallRecord, RunState
from sansi.agents.approvals import Question
from sansi.agents.events import AgentEvent, MessageAdded
from sansi.base.errors import SansiError, did_you_mean
from sansi.text import Message, ToolCall, read_messages

FORMAT = 1
STREAMED = ("reasoning", "content", "call_started", "call_arguments")
LAST = "last"


@dataclass
class Session:
    """One conversation, as it is kept."""

    folder: Path
    head: dict[str, Any]
    messages: list[Message] = field(default_factory=list)
    held: dict[str, CallRecord] = field(default_factory=dict)
    """Results of calls of the last reply, of which others wait still."""
    pending: dict[str, Question] = field(default_factory=dict)
    """Questions that nobody has answered, by the call's id."""

    @property
    def id(self) -> str:
        return self.folder.name

    @property
    def file(self) -> Path:
        return self.folder / "session.jsonl"

    def ask(self, message: Message) -> None:
        """Something that the user says."""
        self._take(message)
        self._write(MessageAdded(message).to_json())

    def record(self, event: AgentEvent) -> None:
        """What happened in a run; written before anything follows from it."""
        if event.kind in STREAMED:
            return
        line = event.to_json()
        self._read_line(line, event.message if isinstance(event, MessageAdded) else None)
        self._write(line)

    def state(self) -> RunState:
        """From where a run can go on: the last reply's calls that are not answered are."""
        return RunState(
            list(self.messages), self.id, held=dict(self.held), tainted=any(m.tainted for m in self.messages)
        )

    @property
    def waits(self) -> bool:
        """The last reply has calls that were not answered: the process ended, or somebody has to approve."""
        return bool(self.messages) and self.messages[-1].role == "assistant" and bool(self.messages[-1].tool_calls)

    @property
    def title(self) -> str:
        first = next((m.content for m in self.messages if m.role == "user"), "")
        line = " ".join(first.split())
        return line if len(line) <= 60 else line[:59] + "…"

    def lines(self) -> Iterator[dict[str, Any]]:
        """All lines of the file that are whole."""
        yield from _lines(self.file)

    def _write(self, line: Mapping[str, Any]) -> None:
        self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        new = not self.file.exists()
        with self.file.open("a", encoding="utf-8") as out:
            for each in ([self.head] if new else []) + [line]:
                out.write(json.dumps(each, ensure_ascii=False) + "\n")

    def _take(self, message: Message) -> None:
        self.messages.append(message)
        self.held.clear()
        self.pending.clear()

    def _read_line(self, line: Mapping[str, Any], message: Message | None = None) -> None:
        kind = line.get("kind")
        if kind == "message":
            self._take(message or _message(line["message"], bool(line.get("tainted"))))
        elif kind == "observation":
            self.pending.pop(line["id"], None)
            call = next(
                (c for c in (self.messages[-1].tool_calls if self.messages else ()) if c.id == line["id"]), None
            )
            if call is not None:
                self.held[call.id] = _record(call, line)
        elif kind == "approval_asked" and line.get("details"):
            self.pending[line["id"]] = Question.from_json(line["details"])
        elif kind == "approval_answered":
            self.pending.pop(line["id"], None)


class Sessions:
    """Those in a folder."""

    def __init__(self, root: Path):
        self.root = root

    def new(self, **facts: Any) -> Session:
        """One that is written when something is said in it."""
        id = time.strftime("%Y%m%d-%H%M%S-") + secrets.token_hex(2)
        return Session(self.root / id, {"kind": "session", "format": FORMAT, "id": id, "created": time.time(), **facts})

    def all(self) -> list[Session]:
        """The latest last. What can not be read is left out."""
        found = []
        for file in self.root.glob("*/session.jsonl"):
            try:
                found.append((file.stat().st_mtime, _open(file.parent)))
            except (OSError, SansiError):
                continue
        return [session for _, session in sorted(found, key=lambda pair: pair[0])]

    def open(self, id: str) -> Session:
        """By its id, the beginning of one, or "last". Raises SansiError where there is none, or several."""
        known = sorted(folder.parent.name for folder in self.root.glob("*/session.jsonl"))
        if not known:
            raise SansiError(f"there are no sessions yet in {self.root}", param="resume")
        if id == LAST:
            return _open(max(self.root.glob("*/session.jsonl"), key=lambda file: file.stat().st_mtime).parent)
        fitting = [name for name in known if name == id] or [name for name in known if name.startswith(id)]
        if len(fitting) != 1:
            why = f"{len(fitting)} sessions begin with" if fitting else "there is no session"
            raise SansiError(f'{why} "{id}"{did_you_mean(id, known)}; sansi agent list shows them', param="resume")
        return _open(self.root / fitting[0])

    def fork(self, session: Session) -> Session:
        """A copy under another id; the first one stays as it is."""
        copy = self.new(forked_from=session.id, **{k: v for k, v in session.head.items() if k not in OWN})
        shutil.copytree(session.folder, copy.folder)
        kept = [line for line in session.lines() if line.get("kind") != "session"]
        text = "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in (copy.head, *kept))
        copy.file.write_text(text, encoding="utf-8")
        return _open(copy.folder)


OWN = ("kind", "format", "id", "created", "forked_from")


def _open(folder: Path) -> Session:
    head, *lines = list(_lines(folder / "session.jsonl")) or [{}]
    if head.get("kind") != "session":
        raise SansiError(f"{folder / 'session.jsonl'}: its first line is no head of a session", param="resume")
    if head.get("format") != FORMAT:
        raise SansiError(f"{folder}: format {head.get('format')} is not known here; this program reads {FORMAT}")
    session = Session(folder, head)
    for line in lines:
        try:
            session._read_line(line)
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise SansiError(f"{session.file}: a line can not be read ({error!r:.100})", param="resume") from error
    return session


def _lines(file: Path) -> Iterator[dict[str, Any]]:
    try:
        text = file.read_text(encoding="utf-8", errors="replace")
    except OSError as error:
        raise SansiError(f"{file}: cannot be read: {error.strerror or error}") from error
    for line in text.split("\n"):
        try:
            value = json.loads(line) if line.strip() else None
        except ValueError:  # the process was killed while it wrote it
            continue
        if isinstance(value, dict):
            yield value


def _message(wire: Mapping[str, Any], tainted: bool) -> Message:
    shape = ("role", "content", "reasoning_content", "tool_calls", "tool_call_id", "name")
    message = _unchecked({key: wire[key] for key in shape if wire.get(key) is not None})
    errors = wire.get("call_errors") or {}
    calls = tuple(replace(call, error=errors.get(call.id)) for call in message.tool_calls)
    ids: dict[str, Any] = {name: tuple(wire[name]) for name in ("ids", "prefill") if wire.get(name) is not None}
    return replace(
        message, tool_calls=calls, origin=wire.get("origin"), tainted=bool(wire.get("tainted", tainted)), **ids
    )


def _unchecked(wire: Mapping[str, Any]) -> Message:
    """A message by itself; whether it fits those before it is seen when the run goes on."""
    if wire["role"] != "tool":
        return read_messages([wire])[-1]
    call = {"id": wire["tool_call_id"], "type": "function", "function": {"name": "f", "arguments": "{}"}}
    return read_messages(
        [{"role": "user", "content": ""}, {"role": "assistant", "content": "", "tool_calls": [call]}, wire]
    )[-1]


def _record(call: ToolCall, line: Mapping[str, Any]) -> CallRecord:
    attachments = tuple(
        Attachment(each["name"], each["media_type"], base64.b64decode(each["base64"]))
        for each in line.get("attachments") or ()
    )
    return CallRecord(
        call,
        line["status"],
        line["text"],
        float(line["seconds"]),
        attachments,
        line.get("origin"),
        bool(line.get("tainted")),
        line.get("whole"),
    )
