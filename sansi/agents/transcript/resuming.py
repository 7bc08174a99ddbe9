"""Going on with a run elsewhere: paused runs as one file of JSON, and calls whose outcome nobody knows."""

from __future__ import annotations

import json
from collections.abc import Generator, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from secrets import token_hex
from typing import Any

from sansi.agents.approvals import Answer, Approvals, Question
from sansi.agents.events import AgentEvent, Notice, ObservationMade
from sansi.agents.loop import Agent, AgentRun, RunState, Stop
from sansi.agents.observation import Observation
from sansi.agents.tool import Tool
from sansi.agents.transcript.lines import SEAL
from sansi.agents.transcript.plain import state_from_json, state_to_json
from sansi.agents.transcript.reading import ELSEWHERE, of_strangers
from sansi.base import SansiError
from sansi.base.errors import did_you_mean
from sansi.base.files import as_path, read_json, write_json
from sansi.base.seal import is_sealed, seal_of
from sansi.text import ToolCall

FORMAT = 1
UNKNOWN = (
    "outcome unknown: the program ended while this call was running, so it may have had its effect. It was not made "
    "again. Look whether it has, before you make it again."
)
NOT_OURS = (
    "the run was not saved by your Sansi on this machine, or was changed since: what it says was approved does not "
    "count, and its words count as those of strangers"
)
Answers = Mapping[str, Answer | str | Mapping[str, Any]]


@dataclass(frozen=True)
class SavedRun:
    """A run that can go on: where it is, what it waits for, and what its approvals had learned."""

    state: RunState
    pending: tuple[Question, ...] = ()
    approvals: Mapping[str, Any] | None = None
    foreign: bool = False
    """Somebody else wrote it, or changed it: its approvals are left out, and its words are those of strangers."""

    def to_json(self) -> dict[str, Any]:
        """With a seal, by which `from_json` knows what this user's programs have written on this machine."""
        saved = {
            "format": FORMAT,
            "kind": "run",
            "state": state_to_json(self.state),
            "pending": [question.to_json() for question in self.pending],
            "approvals": self.approvals,
        }
        return saved if self.foreign else {**saved, SEAL: seal_of(_bytes(saved))}

    @classmethod
    def from_json(cls, saved: Any) -> SavedRun:
        """What `to_json` wrote. Raises SansiError for anything else."""
        if not isinstance(saved, dict) or saved.get("kind") != "run":
            raise SansiError("this is no saved run; `save_run` writes them", param="run")
        if saved.get("format") != FORMAT:
            raise SansiError(f"the run's format is {saved.get('format')!r:.40}; this version of Sansi reads {FORMAT}")
        try:
            pending = tuple(Question.from_json(question) for question in saved["pending"])
            state, approvals = state_from_json(saved["state"]), saved["approvals"]
        except (KeyError, TypeError) as error:
            raise SansiError(f"this is no saved run ({error!r:.100})", param="run") from error
        if is_sealed(_bytes({name: value for name, value in saved.items() if name != SEAL}), saved.get(SEAL)):
            return cls(state, pending, approvals)
        return cls(_of_strangers(state), pending, None, True)


def _bytes(saved: Mapping[str, Any]) -> bytes:
    return json.dumps(saved, sort_keys=True, ensure_ascii=False).encode("utf-8", "surrogatepass")


def _of_strangers(state: RunState) -> RunState:
    messages = [of_strangers(message) for message in state.messages]
    held = {id_: replace(record, tainted=True, origin=ELSEWHERE) for id_, record in state.held.items()}
    return replace(state, messages=messages, held=held, tainted=True, conversation=f"elsewhere-{token_hex(6)}")


def save_run(run: AgentRun, path: str | Path, approvals: Approvals | None = None) -> SavedRun:
    """Write a run that is paused, was stopped or failed into one file of JSON.

    approvals: those of the agent, so that what was answered for the session holds when it goes on. Raises SansiError
    for a run that has ended, and where the file can not be written.
    """
    if run.state is None or run.status == "finished":
        raise SansiError(f"this run is over ({run.stopped_reason}); there is nothing to go on with", param="run")
    saved = SavedRun(
        run.state,
        tuple(pending.question for pending in run.pending if isinstance(pending.question, Question)),
        approvals.to_json() if approvals is not None else None,
    )
    write_json(as_path(path, "a saved run").expanduser(), saved.to_json())
    return saved


def load_run(path: str | Path) -> SavedRun:
    """Read what `save_run` wrote. Raises SansiError that names the file."""
    path = as_path(path, "a saved run").expanduser()
    try:
        return SavedRun.from_json(read_json(path))
    except SansiError as error:
        raise error if str(path) in str(error) else SansiError(f"{path}: {error}", param=error.param) from error


def resume_run(
    agent: Agent, saved: SavedRun | str | Path, answers: Answers | None = None, *, stop: Stop | None = None
) -> Generator[AgentEvent, None, None]:
    """Go on with a saved run. answers: to its questions, by the ids of the calls; the rest is asked again.

    An answer is used for the very call that was asked about. Raises SansiError, at the call, for answers to what was
    not asked, and where there is an answer and the agent has no Approvals.
    """
    saved = saved if isinstance(saved, SavedRun) else load_run(saved)
    prepare(agent, saved, answers)
    events = agent.resume_stream(saved.state, stop=stop)
    return _after(Notice("approval", NOT_OURS), events) if saved.foreign else events


def _after(first: AgentEvent, events: Iterable[AgentEvent]) -> Generator[AgentEvent, None, None]:
    yield first
    yield from events


def prepare(agent: Agent, saved: SavedRun, answers: Answers | None) -> None:
    """Give the agent's approvals what the run's had learned, and the answers."""
    gate, asked = agent.gate, {question.id: question for question in saved.pending}
    for id_ in answers or {}:
        if id_ not in asked:
            hint = did_you_mean(id_, asked) if asked else "; the run waits for no answer"
            raise SansiError(f'no question has the id "{id_:.60}"{hint}', param="answers")
    if not isinstance(gate, Approvals):
        if answers:
            raise SansiError("there are answers, but the agent has no Approvals as its gate", param="answers")
        return
    read = {id_: Answer.read(answer) for id_, answer in (answers or {}).items()}
    if saved.approvals is not None:
        gate.restore(saved.approvals)
    gate.waits_with(saved.pending)
    for id_, answer in read.items():
        gate.give(asked[id_], answer)


def repeatable(tool: Tool | None) -> bool:
    """Whether a call may be made again when nobody knows whether it was made: it changes nothing and runs nothing."""
    return tool is not None and "read" in tool.effects and tool.effects <= {"read", "network"}


def unknown_outcome(calls: Sequence[ToolCall], tools: Mapping[str, Tool]) -> list[ObservationMade]:
    """Observations of calls that had begun and can not be made again: nobody knows what became of them."""
    seen = Observation(f"error: {UNKNOWN}", "unknown")
    return [ObservationMade.of(call, seen, 0.0) for call in calls if not repeatable(tools.get(call.name))]


def once(answer: Answer) -> Answer:
    """An answer that was given before, for the call that it was given to: what it says for longer is known already."""
    return answer if answer.choice == "no" else replace(answer, choice="once", exact=False)
