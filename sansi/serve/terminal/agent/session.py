"""Sessions of `sansi agent`: a folder each, with its transcript, that can be gone on from, copied and exported."""

from __future__ import annotations

import os
import secrets
import shutil
import stat
import time
from collections.abc import Collection, Iterable, Iterator
from dataclasses import replace
from io import BytesIO
from pathlib import Path
from typing import Any

from sansi.agents import Agent, Attachment, Stop
from sansi.agents.approvals import Question
from sansi.agents.events import AgentEvent
from sansi.agents.loop.run import CallRecord
from sansi.agents.transcript import Lines, Transcript, copy_turns, new_head, read_lines, read_transcript
from sansi.agents.transcript import Session as Kept
from sansi.agents.transcript.lines import FOREIGN
from sansi.base.errors import SansiError, nearest
from sansi.base.words import count, in_a_line
from sansi.serve.terminal.agent.attach import attach
from sansi.serve.terminal.agent.placed import placed
from sansi.text import Message

LAST = "last"
FILE = "session.jsonl"
FACTS = ("model", "mode", "system", "settings")
"""What of a session's first line one that asks its question again takes over."""


class Session:
    """One conversation, as it is kept. Its file is made when something is asked, and locked while a run goes on."""

    def __init__(self, folder: Path, head: dict[str, Any], transcript: Transcript | None = None):
        self.folder, self.head = folder, head
        self._attached: list[str] = []
        self._transcript = transcript
        self._kept: Kept | None = None
        self._said: list[Message] = []

    @property
    def id(self) -> str:
        return self.folder.name

    @property
    def file(self) -> Path:
        return self.folder / FILE

    @property
    def messages(self) -> list[Message]:
        """All that was said, with what is to be asked next."""
        return [*self._before, *self._said]

    def told(self) -> list[tuple[Message, CallRecord | None]]:
        """Each message, and of a result what became of its call, where that is known."""
        records: dict[str, list[CallRecord]] = {}  # models may give the same id again in another turn
        for turn in () if self._transcript is None else self._transcript.turns:
            for record in turn.records:
                records.setdefault(record.call.id, []).append(record)
        found = []
        for message in self.messages:
            of_call = records.get(message.tool_call_id or "") if message.role == "tool" else None
            found.append((message, of_call.pop(0) if of_call else None))
        return found

    @property
    def pending(self) -> dict[str, Question]:
        """Questions that nobody has answered, by the call's id."""
        turn = self._turn
        return {} if turn is None else {question.id: question for question in turn.pending()}

    @property
    def waits(self) -> bool:
        """The last reply has calls that were not answered: the process ended, or somebody has to approve."""
        turn = self._turn
        return turn is not None and bool(turn.waiting() or turn.unsaid())

    @property
    def only_asks(self) -> bool:
        """It waits, and for answers alone: whoever goes on with it runs nothing that was not asked about."""
        turn = self._turn
        return turn is not None and bool(turn.waiting()) and len(turn.pending()) == len(turn.waiting())

    @property
    def state(self) -> str:
        """Why it waits, in words; "" where it does not."""
        if not self.waits:
            return ""
        asked = len(self.pending)
        return f"waits for approval of {count(asked, 'call')}" if asked else "was cut off in the middle of its calls"

    @property
    def tainted(self) -> bool:
        """Text of strangers is in it."""
        return any(message.tainted for message in self.messages)

    @property
    def title(self) -> str:
        return in_a_line(next((m.content for m in self.messages if m.role == "user"), ""), 60)

    @property
    def notices(self) -> tuple[str, ...]:
        """What of the file can not be read, or does not count."""
        return () if self._transcript is None else self._transcript.notices

    @property
    def foreign(self) -> bool:
        """Its first line was not written by this user's programs, so that tools, rules and servers in it are not
        taken over."""
        return bool(self._transcript is not None and self._transcript.header.get(FOREIGN))

    def ask(self, message: Message) -> None:
        """Something that is said before the next run; the user's next message tells of what was attached."""
        if message.role == "user" and self._attached:
            message = replace(message, content="\n".join([message.content, "", *self._attached]))
            self._attached = []
        self._said.append(message)

    def attach(self, file: str, tools: Collection[str]) -> str:
        """Put a copy of a user's file where the code of this session works; what the model is told with the next
        message. Raises SansiError as `attach.attach` does."""
        told = attach(file, self.folder, tools)
        self._attached.append(told)
        return told

    def events(self, agent: Agent, stop: Stop) -> Iterator[AgentEvent]:
        """The next run: it answers what was asked, or goes on with the last one. Each event is kept before it is acted
        on. Raises SansiError where there is nothing to go on with, or another program has the session."""
        kept = self._open(agent)
        try:
            if self._said:
                said, self._said = self._said, []
                yield from kept.send(said, stop=stop)
            else:
                yield from kept.resume(stop=stop)
        finally:
            self._close()

    def lines(self) -> Lines:
        """The file, as far as it can be read."""
        return read_lines(self.file)

    def keep(self, attachments: Iterable[Attachment]) -> list[str]:
        """Put files that a tool made beside the session; what and where each is."""
        return [self._kept_file(attachment) for attachment in attachments]

    def _kept_file(self, attachment: Attachment) -> str:
        place = placed(BytesIO(attachment.data), self.folder / "files", attachment.name)
        return f"{attachment.media_type}, {count(len(attachment.data), 'byte')}: {place}"

    def _close(self) -> None:
        """Let others have the file between two runs."""
        if self._kept is not None:
            self._kept.close()
            self._kept, self._transcript = None, read_transcript(self.file)

    @property
    def _before(self) -> tuple[Message, ...]:
        if self._kept is not None:
            return self._kept.messages
        if self._transcript is not None:
            return self._transcript.messages
        return (Message("system", self.head["system"]),) if self.head.get("system") else ()

    @property
    def _turn(self) -> Any:
        if self._kept is not None:
            return self._kept.turn
        return self._transcript.turns[-1] if self._transcript is not None and self._transcript.turns else None

    def _open(self, agent: Agent) -> Kept:
        if self._transcript is None:
            self._kept = Kept.create(self.file, agent, self._before, id=self.id, facts=self.head)
        else:
            self._kept = Kept.open(self.file, agent)
        return self._kept


class Sessions:
    """Those in a folder."""

    def __init__(self, root: Path):
        self.root = root

    def new(self, **facts: Any) -> Session:
        """One that is written when something is said in it."""
        return Session(self.root / _new_id(), {"created": time.time(), **facts})

    def all(self) -> list[Session]:
        """The latest last. What can not be read is left out, and `unreadable`."""
        found = [(when, session) for _, when, session in self._each() if isinstance(session, Session)]
        return [session for _, session in sorted(found, key=lambda pair: pair[0])]

    def unreadable(self) -> list[tuple[str, str]]:
        """Ids of those that can not be read, and why."""
        return [(id, str(cause)) for id, _, cause in self._each() if isinstance(cause, Exception)]

    def _each(self) -> Iterator[tuple[str, float, Session | Exception]]:
        for file in sorted(self.root.glob(f"*/{FILE}")):
            try:
                yield file.parent.name, file.stat().st_mtime, _open(file.parent)
            except (OSError, SansiError) as error:
                yield file.parent.name, 0.0, error

    def open(self, id: str) -> Session:
        """By its id, the beginning of one, or "last". Raises SansiError where there is none, or several."""
        known = sorted(file.parent.name for file in self.root.glob(f"*/{FILE}"))
        if not known:
            raise SansiError(f"there are no sessions yet in {self.root}", param="resume")
        if id == LAST:
            return _open(max(self.root.glob(f"*/{FILE}"), key=lambda file: file.stat().st_mtime).parent)
        fitting = [name for name in known if name == id] or [name for name in known if name.startswith(id)]
        if len(fitting) != 1:
            why = f"{len(fitting)} sessions begin with" if fitting else "there is no session"
            near = nearest(id, known)
            meant = f'; did you mean "{near}"?' if near else "; sansi agent list shows them"
            raise SansiError(f'{why} "{id}"{meant}', param="resume")
        return _open(self.root / fitting[0])

    def fork(self, session: Session) -> Session:
        """A copy under another id, with its files; the first one stays as it is."""
        old, id = read_transcript(session.file), _new_id()
        # What code left there may be links to files that it could not read: they stay links.
        shutil.copytree(session.folder, self.root / id, symlinks=True, ignore=_left)
        copy_turns(old, self.root / id / FILE, None, {**new_head(id), "created": time.time()}).close()
        return _open(self.root / id)


def _left(folder: str, names: list[str]) -> list[str]:
    """What of a folder is not copied: the transcript, and what is neither file nor folder, such as a pipe."""
    kinds = {name: os.lstat(os.path.join(folder, name)).st_mode for name in names}
    usual = (stat.S_ISREG, stat.S_ISDIR, stat.S_ISLNK)
    return [name for name, kind in kinds.items() if name == FILE or not any(is_one(kind) for is_one in usual)]


def _new_id() -> str:
    return time.strftime("%Y%m%d-%H%M%S-") + secrets.token_hex(2)


def _open(folder: Path) -> Session:
    transcript = read_transcript(folder / FILE)
    head = dict(transcript.header)
    if head.get(FOREIGN):  # tools, rules and servers that somebody else has chosen
        head = {name: value for name, value in head.items() if name not in FACTS or name == "model"}
    return Session(folder, head, transcript)
