"""`sansi agent -p`: one question without a user, for scripts: text or JSON lines, and an exit code."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from typing import Any, TextIO

from sansi.agents import Stop
from sansi.agents.approvals import Answer
from sansi.agents.events import AgentEvent, CallReady, ContentText, Finished, Notice, ObservationMade
from sansi.base.errors import SansiError
from sansi.base.words import count
from sansi.serve.terminal.agent.question import EXACTLY, covered, in_part
from sansi.serve.terminal.agent.session import Session
from sansi.serve.terminal.agent.turns import Outcome, Setup, stopped_by_interrupt
from sansi.serve.terminal.agent.view import ENDS
from sansi.serve.terminal.looks import printable


def run(setup: Setup, session: Session, as_json: bool, out: TextIO | None = None, err: TextIO | None = None) -> Outcome:
    """Go on with the session. Text: the answer goes to `out`, what tools do to `err`. JSON: each event is a line."""
    out, err = out or sys.stdout, err or sys.stderr
    stop, outcome, denied = Stop(), None, 0
    for notice in session.notices:
        err.write(printable(notice) + "\n")
    printer = _Json(out, session) if as_json else _Text(out, err, session)
    with stopped_by_interrupt(stop):
        for number, event in enumerate(setup.events(session, stop)):
            if number == 0:  # by now the servers had their time to start
                _tell_servers(setup, err)
            denied += isinstance(event, ObservationMade) and event.status == "denied"
            printer.show(event)
            if isinstance(event, Finished):
                outcome = Outcome(event, denied)
    assert outcome is not None
    return outcome


def _tell_servers(setup: Setup, err: TextIO) -> None:
    """Which MCP servers are not ready, and why, and rules that never speak; nothing where there is nothing amiss."""
    status = setup.tools.status()
    amiss = status is not None and (status.starting or "\n" in str(status))
    for line in [*([str(status)] if amiss else []), *setup.warnings()]:
        err.write(printable(line) + "\n")
    err.flush()


def answer_pending(setup: Setup, session: Session, given: list[str]) -> None:
    """Answers for questions that a paused session waits with: a word for all of them, or CALL=WORD.

    Raises SansiError for one that is no answer, or answers nothing.
    """
    if not session.pending:
        raise SansiError(f"session {session.id} waits for no approval; leave --answer out", param="answer")
    for text in given:
        id, equals, word = text.partition("=")
        ids = [id] if equals else list(session.pending)
        for each in ids:
            if each not in session.pending:
                raise SansiError(f'no call "{each}" waits; waiting: {", ".join(session.pending)}', param="answer")
            setup.approvals.give(session.pending[each], _answer(word if equals else text))


def _answer(text: str) -> Answer:
    """A word, with "exactly" after it for these very arguments alone, "seen" where all of a long call was looked at, or
    "no: why"."""
    choice, _, reason = text.partition(":")
    word, *more = choice.split() or [""]
    if wrong := next((each for each in more if each not in (EXACTLY, SEEN)), None):
        raise SansiError(f'after "{word}" may stand "{EXACTLY}" and "{SEEN}", not "{wrong}"', param="answer")
    return Answer(word, reason.strip(), EXACTLY in more, SEEN in more)  # type: ignore[arg-type]


SEEN = "seen"


class _Json:
    def __init__(self, out: TextIO, session: Session):
        self._out = out
        self._write({"kind": "session", "id": session.id, "file": str(session.file)})

    def show(self, event: AgentEvent) -> None:
        self._write(event.to_json())

    def _write(self, line: Mapping[str, Any]) -> None:
        self._out.write(json.dumps(line, ensure_ascii=False) + "\n")
        self._out.flush()


class _Text:
    def __init__(self, out: TextIO, err: TextIO, session: Session):
        self._out, self._err, self._session = out, err, session
        self._clean = printable if out.isatty() else str
        self._ends_line = True

    def show(self, event: AgentEvent) -> None:
        if isinstance(event, ContentText):
            self._out.write(self._clean(event.text))
            self._out.flush()
            self._ends_line = event.text.endswith("\n") if event.text else self._ends_line
            return
        self._end_line()
        if isinstance(event, CallReady):
            self._note(f"⚙ {event.name} {json.dumps(dict(event.arguments), ensure_ascii=False)}")
        elif isinstance(event, ObservationMade):
            first = event.text.strip().split("\n")[0][:200]
            facts = [event.status, count(len(event.text), "character")]
            facts += [f"{event.seconds:.2f} s"] if event.seconds else []  # what never ran took no time
            self._note(f"  {event.name}: {', '.join(facts)}: {first}")
            for line in self._session.keep(event.attachments):
                self._note(f"  ▤ {line}")
        elif isinstance(event, Notice):
            self._note(event.text)
        elif isinstance(event, Finished):
            self._finish(event)

    def _finish(self, event: Finished) -> None:
        if event.error:
            self._note(f"error: {event.error}")
        elif event.stopped_reason != "answer":
            self._note(ENDS.get(event.stopped_reason, event.stopped_reason))
        for question in self._session.pending.values() if event.status == "paused" else ():
            self._note(f"? {question.tool} ({question.origin}): {'; '.join(question.reasons)}\n{question.shown}")
            for line in [*in_part(question, f' (--answer "session {SEEN}")'), *covered(question)]:
                self._note(f"  {line}")
        if event.status == "paused":
            self._note(f"go on with: sansi agent --resume {self._session.id} --answer once (or session, always, no)")

    def _note(self, text: str) -> None:
        self._err.write(printable(text) + "\n")
        self._err.flush()

    def _end_line(self) -> None:
        if not self._ends_line:
            self._out.write("\n")
            self._out.flush()
        self._ends_line = True
