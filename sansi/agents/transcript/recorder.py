"""Writes what happens in a run as it happens, with what the run needs to go on."""

from __future__ import annotations

import time
from typing import Any

from sansi.agents.approvals import Approvals
from sansi.agents.events import (
    AgentEvent,
    CallArguments,
    CallStarted,
    ContentText,
    Progress,
    ReasoningText,
    message_to_json,
)
from sansi.agents.loop.run import RunState
from sansi.agents.transcript.lines import Writer
from sansi.agents.transcript.plain import figures_of
from sansi.agents.transcript.reading import Turn
from sansi.base import SansiError

PIECES = (ReasoningText, ContentText, CallStarted, CallArguments, Progress)
"""They tell what comes whole later; a run that is resumed does not need them."""


class Recorder:
    """Given to `Agent.resume_stream` as `watch`. A line is written before what it tells of goes on, so that a call that
    has begun is known to have begun.

    turn: follows, as somebody who reads the file would. approvals: those of the run; what they have learned is written
    with each answer.
    """

    def __init__(self, writer: Writer, turn: Turn, state: RunState, approvals: Approvals | None = None):
        self._writer, self._turn, self._state, self._approvals = writer, turn, state, approvals
        self._known = list(state.messages)
        self._failed = False

    def __call__(self, event: AgentEvent) -> None:
        if self._failed:  # it was told once; the rest of the run is its end
            return
        line = self._line(event)
        try:
            self._writer.write(line)
        except SansiError:
            self._failed = True
            raise
        self._turn.take(line, keep=False)

    def _line(self, event: AgentEvent) -> dict[str, Any]:
        """The event, the time, and what changed in the run's state."""
        line = {**event.to_json(), "at": round(time.time(), 3)}
        if isinstance(event, PIECES):
            return line
        line["state"] = figures_of(self._state)
        if replaced := self._replaced():
            line["replaced"] = replaced
        if self._approvals is not None and event.kind in ("approval_answered", "call_running", "finished"):
            line["approvals"] = self._approvals.to_json(definitions=event.kind != "call_running")
        return line

    def _replaced(self) -> dict[str, Any]:
        """Messages that the loop has shortened since the last line, by their index."""
        messages = self._state.messages
        changed = {
            str(i): message_to_json(messages[i])
            for i, known in enumerate(self._known[: len(messages)])
            if known is not messages[i]
        }
        self._known = list(messages)
        return changed
