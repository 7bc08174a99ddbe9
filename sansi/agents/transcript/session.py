"""Sessions: a conversation with an agent that is written down as it goes, and can be gone on with and forked."""

from __future__ import annotations

import secrets
import time
from collections.abc import AsyncGenerator, Generator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from sansi import __version__
from sansi.agents.approvals import Approvals, definition_of
from sansi.agents.events import AgentEvent, MessageAdded, ObservationMade, event_json, message_to_json
from sansi.agents.loop import Agent, RunState, Stop
from sansi.agents.loop.replies import results_of
from sansi.agents.observation import Observation
from sansi.agents.transcript.lines import Writer
from sansi.agents.transcript.reading import Transcript, Turn, read_transcript
from sansi.agents.transcript.recorder import Recorder
from sansi.agents.transcript.resuming import Answers, SavedRun, once, prepare, unknown_outcome
from sansi.base import SansiError
from sansi.text import Message, ToolCall, read_messages

Given = str | Message | Mapping[str, Any] | Sequence[Message | Mapping[str, Any]]
WENT_ON = Observation("error: not executed: the user went on without saying whether it may be made", "not_executed")


class Session:
    """One conversation and its file. Made by `create`, `open` and `fork`; to be closed, or used as a context.

    `agent` may be another one than before: its model, tools and approvals are those of the turns to come.
    """

    def __init__(self, agent: Agent, writer: Writer, transcript: Transcript):
        self.agent, self._writer = agent, writer
        self.path, self.notices = transcript.path, transcript.notices
        self.id = str(transcript.header["conversation"])
        self._before = transcript.before
        self._turn: Turn | None = transcript.turns[-1] if transcript.turns else None

    @property
    def turn(self) -> Turn | None:
        """The last run, as far as it came."""
        return self._turn

    @classmethod
    def create(
        cls,
        path: str | Path,
        agent: Agent,
        messages: Sequence[Message | Mapping[str, Any]] = (),
        *,
        id: str | None = None,
        facts: Mapping[str, Any] | None = None,
    ) -> Session:
        """A new session in a new file. messages: what was said before, for example by the system. id: by which tools
        keep what belongs to the conversation. facts: more for the first line.

        Raises SansiError where the file is there already, or can not be made.
        """
        before = [message_to_json(message) for message in read_messages(messages)] if messages else []
        writer = Writer.create(Path(path), {**new_head(id, facts), "messages": before})
        return cls(agent, writer, read_transcript(writer.path))

    @classmethod
    def open(cls, path: str | Path, agent: Agent) -> Session:
        """Go on with a session. What of its file can not be read is told in `notices`, and stays in the file.

        Raises SansiError where it is none, or another program has it open.
        """
        read_transcript(path)  # a file that is none is not even opened to be written
        writer = Writer.reopen(Path(path))
        try:
            transcript = read_transcript(writer.path)  # as it is now that nobody else can write
            writer.keep(transcript.lines)
        except BaseException:
            writer.close()
            raise
        return cls(agent, writer, transcript)

    @classmethod
    def fork(
        cls,
        source: str | Path,
        path: str | Path,
        agent: Agent,
        turns: int | None = None,
        *,
        id: str | None = None,
        facts: Mapping[str, Any] | None = None,
    ) -> Session:
        """A session of its own in a new file that begins as another one: with its first `turns` turns, or all of them.

        The source is only read. Raises SansiError where it has not so many turns, or the new file is there already.
        """
        old = read_transcript(source)
        if turns is not None and not 0 <= turns <= len(old.turns):
            raise SansiError(f"{source} has {len(old.turns)} turns, not {turns}", param="turns")
        writer = copy_turns(old, Path(path), turns, new_head(id, facts))
        return cls(agent, writer, read_transcript(writer.path))

    @property
    def messages(self) -> tuple[Message, ...]:
        """All that was said, to the last message that is whole."""
        return self._before if self._turn is None else tuple(self._turn.messages)

    @property
    def unfinished(self) -> SavedRun | None:
        """The last run, where it has not ended by itself, with the questions that it waits for."""
        turn = self._turn
        if turn is None or turn.status == "finished":
            return None
        return SavedRun(turn.state(), tuple(turn.pending()), turn.approvals)

    def send(self, messages: Given, *, stop: Stop | None = None) -> Generator[AgentEvent, None, None]:
        """Say something; the events of the run that answers it. Calls that wait for an answer are given up.

        Raises SansiError, at the call, for wrong messages.
        """
        state = self._begin(messages)
        return self.agent.resume_stream(state, stop=stop, watch=self._recorder(state))

    def asend(self, messages: Given, *, stop: Stop | None = None) -> AsyncGenerator[AgentEvent, None]:
        """As `send`, on the event loop of the caller."""
        state = self._begin(messages)
        return self.agent.resume_astream(state, stop=stop, watch=self._recorder(state))

    def resume(self, answers: Answers | None = None, *, stop: Stop | None = None) -> Generator[AgentEvent, None, None]:
        """Go on with the last run, which paused, was stopped, failed, or whose program was killed.

        answers: to its questions, by the ids of the calls; what was answered before holds, the rest is asked again. A
        call of which only its beginning is known is not made again unless it only reads: the model is told so. Raises
        SansiError, at the call, where there is nothing to go on with, and for answers to what was not asked.
        """
        state = self._go_on(answers)
        return self.agent.resume_stream(state, stop=stop, watch=self._recorder(state))

    def aresume(self, answers: Answers | None = None, *, stop: Stop | None = None) -> AsyncGenerator[AgentEvent, None]:
        """As `resume`, on the event loop of the caller."""
        state = self._go_on(answers)
        return self.agent.resume_astream(state, stop=stop, watch=self._recorder(state))

    def close(self) -> None:
        self._writer.close()

    def __enter__(self) -> Session:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _begin(self, given: Given) -> RunState:
        new = _listed(given)
        read_messages([*self.messages, *self._results_to_come(), *new])
        self._give_up()
        line = {"kind": "turn", "conversation": self.id, "messages": [message_to_json(m) for m in new], **self._setup()}
        self._writer.write(line)
        chat = [*self.messages, *new]
        self._turn = Turn(line, chat, len(chat))
        return RunState(list(chat), self.id, tainted=any(message.tainted for message in chat))

    def _go_on(self, answers: Answers | None) -> RunState:
        saved, turn = self.unfinished, self._turn
        if saved is None or turn is None:
            raise SansiError("there is no run to go on with: say something", param="session")
        prepare(self.agent, saved, answers)
        self._say(turn, turn.unsaid())
        line = {"kind": "resumed", **self._setup()}
        self._writer.write(line)
        turn.take(line, keep=False)
        if isinstance(self.agent.gate, Approvals):
            for call in turn.waiting():
                if call.id in turn.asked and call.id in turn.answered:
                    self.agent.gate.give(turn.asked[call.id], once(turn.answered[call.id]))
        self._tell(turn, unknown_outcome(turn.unknown(), self.agent.tools))
        return turn.state()

    def _results_to_come(self) -> list[Message]:
        turn = self._turn
        calls = [*turn.unsaid(), *turn.messages[-1].tool_calls] if turn is not None else ()
        return [Message("tool", "", tool_call_id=call.id, name=call.name) for call in calls]

    def _give_up(self) -> None:
        """Before another message: calls that wait are answered, so that none stands without its result."""
        turn = self._turn
        if turn is None:
            return
        self._say(turn, turn.unsaid())
        self._tell(turn, unknown_outcome(turn.unknown(), {}))
        self._tell(turn, [ObservationMade.of(call, WENT_ON, 0.0) for call in turn.waiting()])
        self._say(turn, turn.messages[-1].tool_calls)

    def _say(self, turn: Turn, calls: Sequence[ToolCall]) -> None:
        """The results of calls become messages."""
        state = turn.state()
        record = Recorder(self._writer, turn, state)
        for message in results_of(calls, dict(turn.held)):
            state.messages.append(message)
            record(MessageAdded(message, message.tainted))

    def _tell(self, turn: Turn, observations: Sequence[ObservationMade]) -> None:
        record = Recorder(self._writer, turn, turn.state())
        for observation in observations:
            record(observation)

    def _recorder(self, state: RunState) -> Recorder:
        assert self._turn is not None
        gate = self.agent.gate
        return Recorder(self._writer, self._turn, state, gate if isinstance(gate, Approvals) else None)

    def _setup(self) -> dict[str, Any]:
        """What the run is made with, for those who replay it."""
        agent, gate = self.agent, self.agent.gate
        tools = [event_json(definition_of(tool)) | {"tainted": tool.tainted} for tool in agent.tools.values()]
        approvals = gate.to_json(whole=True) if isinstance(gate, Approvals) else None
        options, limits = event_json(agent.options), asdict(agent.limits)
        return {"at": _now(), "tools": tools, "options": options, "limits": limits, "approvals": approvals}


def _listed(given: Given) -> list[Message]:
    if isinstance(given, str):
        return [Message("user", given)]
    return list(read_messages([given] if isinstance(given, Message | Mapping) else given))


def copy_turns(old: Transcript, path: Path, turns: int | None, head: Mapping[str, Any]) -> Writer:
    """A new transcript with the first turns of another one, and another head."""
    header, *lines = old.lines.objects
    forked = {"path": str(old.path), "turns": len(old.turns) if turns is None else turns}
    writer = Writer.create(path, {**header, **head, "forked_from": forked})
    begun = 0
    for line in lines:
        begun += line["kind"] == "turn"
        if turns is not None and begun > turns:
            break
        writer.write({**line, "conversation": head["conversation"]} if line["kind"] == "turn" else line)
    return writer


def new_head(id: str | None = None, facts: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """What the first line of a transcript says, beside what was said before."""
    id = id or f"conversation-{secrets.token_hex(6)}"
    return {**(facts or {}), "conversation": id, "sansi": __version__, "at": _now()}


def _now() -> float:
    return round(time.time(), 3)
