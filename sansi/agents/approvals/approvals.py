"""Approvals of one session: the policy, what was answered so far, what is remembered, and whom to ask."""

from __future__ import annotations

import asyncio
import inspect
import json
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from operator import attrgetter
from pathlib import Path
from typing import Any

from sansi.agents.approvals.definitions import change_of, definition_of, fingerprint_of, key_of
from sansi.agents.approvals.destinations import with_addresses
from sansi.agents.approvals.learned import Learned
from sansi.agents.approvals.policy import HOME_TOOLS, Action, Circumstances, Mode, Policy, Ruling, UnknownTool
from sansi.agents.approvals.questions import LONGER, Answer, Approver, Choice, Copied, NotAsked, Question
from sansi.agents.approvals.remembered import Approved, Remembered
from sansi.agents.approvals.rules import Described, Rule
from sansi.agents.approvals.scope import scope_of
from sansi.agents.approvals.taint import Provenance, Suspicion
from sansi.agents.approvals.turns import Turn
from sansi.agents.events import AgentEvent, ApprovalAnswered, ApprovalAsked, Notice
from sansi.agents.forms import said_to
from sansi.agents.loop.run import Pending, PlannedCall
from sansi.agents.observation import Observation
from sansi.agents.running import run_sync
from sansi.agents.showing import asked_call, not_asked, visible
from sansi.base import SansiError
from sansi.text import Message, ToolCall
from sansi.text.schema import conform, parse_arguments


@dataclass(frozen=True)
class Decision:
    """What is to be done with one call."""

    action: Action
    reason: str = ""
    """Of a refusal, for the model."""
    question: Question | None = None
    """What is to be asked, where the action is "ask"."""
    notice: str = ""
    """What the user is to be told beside it; mostly nothing."""


class Approvals:
    """Decides on calls, and learns from the answers. Safe to share between threads.

    approver: asked where the policy wants it; without one the run pauses. remembered: approvals for always; without a
    path they last as long as the object. `Approvals("auto")` is a policy of that mode without rules.
    """

    def __init__(
        self,
        policy: Policy | Mode = "ask",
        approver: Approver | None = None,
        remembered: Remembered | str | Path | None = None,
    ):
        self.policy = Policy(policy) if isinstance(policy, str) else policy
        self.approver = approver
        self.remembered = remembered if isinstance(remembered, Remembered) else Remembered(_path(remembered))
        self._learned = Learned()
        self._asked: dict[str, tuple[Described, dict[str, Any]]] = {}
        self._given: dict[str, tuple[Question, Answer]] = {}
        self._waiting: dict[str, Question] = {}
        self._lock = threading.RLock()
        self._turn = Turn()

    @property
    def mode(self) -> Mode:
        return self.policy.mode

    @mode.setter
    def mode(self, mode: Mode) -> None:
        """The user may change it in the middle of a session. Raises SansiError for none of the four."""
        self.policy = Policy(mode, self.policy.rules)

    def decide(self, call: ToolCall, tool: Described | None, messages: Sequence[Message] = ()) -> Decision:
        """What is to be done with a call that stands at the end of these messages. Never waits, never raises.

        tool: None where nobody has a tool of that name.
        """
        with self._lock:
            return self._decide(call, UnknownTool(call.name) if tool is None else tool, messages)

    def _decide(self, call: ToolCall, tool: Described, messages: Sequence[Message]) -> Decision:
        arguments = _typed(call, tool)
        policy = self.policy.with_rules(self.remembered.rules)
        suspicion, around = Suspicion(), Circumstances()
        if arguments is not None:
            vouched = policy.vouched(tool, arguments)
            suspicion = self._provenance(tool, messages).suspicion(tool, arguments, vouched)
            around = self._circumstances(tool, arguments, suspicion)
        ruling = policy.decide(tool, arguments, around)
        if ruling.action == "deny":
            self._learned.refused += 1
            return Decision("deny", f"not approved: {'; '.join(ruling.reasons)}")
        assert arguments is not None
        if ruling.action == "ask":
            self._asked[call.id] = (tool, arguments)
            return Decision("ask", question=self._question(call, tool, arguments, ruling, suspicion.copied))
        self._learned.refused = 0
        self._note(tool)
        return Decision("allow")

    async def admit(self, planned: PlannedCall, emit: Callable[[AgentEvent], None]) -> Observation | Pending | None:
        """The loop's gate: None lets a call run, an Observation refuses it, a Pending pauses the run.

        Questions of calls that run side by side are asked one after the other, in call order, so that an answer for
        the session counts for the next.
        """
        decision = self.decide(planned.call, planned.tool, planned.messages)
        if decision.action == "ask":
            async with self._turn.mine():
                decision = self.decide(planned.call, planned.tool, planned.messages)
                if decision.question is not None:
                    try:
                        question = await self._with_addresses(decision.question, planned)
                    except SansiError as error:
                        return Observation(f"error: {error}", "error")
                    answered = await self._answered(question, planned, emit)
                    if answered is None:
                        return Pending(planned, question)
                    decision = answered
        elif decision.action == "deny":
            emit(ApprovalAnswered(planned.call.id, planned.tool.name, "no", "policy", decision.reason))
        if decision.notice:
            emit(Notice("approval", decision.notice))
        return None if decision.action == "allow" else Observation(f"error: {decision.reason}", "denied")

    async def _with_addresses(self, question: Question, planned: PlannedCall) -> Question:
        """With where the call leads, to which alone it then connects. Raises SansiError where it can not be made."""
        given, provenance = self._given.get(question.id), self._provenance(planned.tool, planned.messages)
        before = None if given is None else given[0]
        question = await with_addresses(question, planned.tool, planned.arguments, provenance, before)
        planned.addresses[:] = question.addresses
        return question

    async def _answered(
        self, question: Question, planned: PlannedCall, emit: Callable[[AgentEvent], None]
    ) -> Decision | None:
        given = self._given.pop(question.id, None)
        answer = given[1] if given is not None and _same_call(given[0], question) else None
        if answer is None:
            reason = "; ".join(question.reasons)
            name, shown = planned.tool.name, question.shown
            emit(
                ApprovalAsked(question.id, name, planned.arguments, shown, question.origin, reason, question.to_json())
            )
            answer = await self.aask(question)
        if answer is None:
            self.waits_with([question])
            return None
        decision = self.settle(question, answer, planned.tool)
        by = "nobody" if isinstance(answer, NotAsked) else "user"
        emit(
            ApprovalAnswered(
                question.id, planned.tool.name, answer.choice, by, answer.reason, answer.exact, answer.seen
            )
        )
        return decision

    def give(self, question: Question, answer: Answer | str | Mapping[str, Any]) -> None:
        """Answer ahead a question that a paused run waits for: used once, if the very same call is asked about.

        Raises SansiError for what is no answer.
        """
        self._given[question.id] = (question, Answer.read(answer))

    def waits_with(self, questions: Iterable[Question]) -> None:
        """Questions that a run paused with: a tool whose definition changes meanwhile asks, with the difference."""
        with self._lock:
            self._waiting |= {question.id: question for question in questions}

    def give_waiting(self, answers: Mapping[str, Answer]) -> set[str]:
        """Answer ahead, by the ids of the calls, what runs of these approvals paused with: those that did."""
        known = answers.keys() & self._waiting.keys()
        for id_ in known:
            self.give(self._waiting[id_], answers[id_])
        return known

    def ask(self, question: Question) -> Answer | None:
        """The approver's answer; None where there is no approver, or it has none. What goes wrong in it is a "no"."""
        if self.approver is None:
            return None
        return _read_answer(lambda: _waited_for(self.approver(question)))  # type: ignore[misc]

    async def aask(self, question: Question) -> Answer | None:
        """The same, without blocking the loop of events: an approver that is not async gets a thread of its own."""
        if self.approver is None:
            return None
        try:
            answer = await said_to(self.approver, question)
        except Exception as error:
            return _failed(error)
        return _read_answer(lambda: answer)

    def settle(
        self, question: Question, answer: Answer | str | Mapping[str, Any], tool: Described | None = None
    ) -> Decision:
        """What an answer to a question comes to. Raises SansiError for one that is no answer.

        What was answered for longer than once is kept; values that were seen and approved count as the user's words in
        later calls of the tool.
        An answer that the question does not offer holds once. tool: as it is now; if it is not the one that was asked
        about, the call is refused.
        """
        answer = Answer.read(answer)
        with self._lock:
            self._waiting.pop(question.id, None)
            asked, arguments = self._asked.pop(question.id, (tool, json.loads(question.arguments)))
            tool = tool or asked
            if answer.choice == "no":
                self._learned.refused += 1
                if isinstance(answer, NotAsked):
                    return Decision("deny", answer.reason)
                reason = "the user did not approve this call"
                return Decision("deny", f"{reason}: {answer.reason}" if answer.reason else reason)
            if tool is not None and fingerprint_of(definition_of(tool)) != question.fingerprint:
                return Decision("deny", "the tool changed after the user was asked; make the call again")
            self._learned.refused = 0
            self._learned.values += [(question.fingerprint, copied.value) for copied in question.copied]
            kept = answer.choice if answer.choice in question.offers(answer.seen) else "once"
            return Decision("allow", notice=self._keep(question, kept, tool, arguments, answer.exact))

    def _keep(
        self, question: Question, choice: Choice, tool: Described | None, arguments: dict[str, Any], exact: bool
    ) -> str:
        """Keep an approval for as long as it is to hold; what the user must be told of that, or nothing."""
        if choice == "once":
            return ""
        tool = tool or UnknownTool(question.tool)
        scope = scope_of(tool, arguments, exact)
        self._learned.session.append((question.fingerprint, scope))
        self._learned.definitions[key_of(tool)] = definition_of(tool)
        if choice == "session":
            return ""
        if isinstance(tool, UnknownTool):
            return f'"{question.tool}" can not be remembered for always, since it is not here; approved for the session'
        try:
            self.remembered.approve(tool, scope)
        except (OSError, SansiError) as error:
            return f"the approval could not be written down, and holds for this session alone: {error}"
        return ""

    def forget(self, approved: Approved) -> None:
        """Take an approval for always back, with what it approved in this session. Raises SansiError where it cannot be
        written down."""
        with self._lock:
            self.remembered.forget(approved)
            kept = (approved.fingerprint, approved.scope)
            self._learned.session = [each for each in self._learned.session if each != kept]

    def _note(self, tool: Described) -> None:
        """A tool that others define is remembered as it was when it first ran."""
        if tool.origin not in HOME_TOOLS:
            with suppress(OSError, SansiError):  # it is in memory all the same
                self.remembered.note(tool)

    def _provenance(self, tool: Described, messages: Sequence[Message]) -> Provenance:
        """With what the user approved for this tool: an address that may be read is not one that may be written to."""
        fingerprint = fingerprint_of(definition_of(tool))
        return Provenance(messages, [value for known, value in self._learned.values if known == fingerprint])

    def _circumstances(self, tool: Described, arguments: dict[str, Any], suspicion: Suspicion) -> Circumstances:
        fingerprint = fingerprint_of(definition_of(tool))
        in_session = [scope for known, scope in self._learned.session if known == fingerprint]
        approved = any(scope.covers(tool, arguments) for scope in in_session)
        approved = approved or self.remembered.is_approved(tool, arguments)
        _, since = ("", "") if in_session else self._change_of(tool)
        return Circumstances(approved, since, self._learned.refused, suspicion.reasons)

    def _change_of(self, tool: Described) -> tuple[str, str]:
        """What changed in a definition, by lines, since it was approved, for the session or for always, or since a run
        paused with a question about it; and since when, in words."""
        key = key_of(tool)
        before = self._learned.definitions.get(key)
        if told := self.remembered.change_of(tool) if before is None else change_of(tool, before):
            return told, "it was approved"
        asked = (question.definition for question in self._waiting.values() if question.key == key)
        told = next(filter(None, (change_of(tool, definition) for definition in asked)), "")
        return told, "you were asked" if told else ""

    def _question(
        self, call: ToolCall, tool: Described, arguments: dict[str, Any], ruling: Ruling, copied: tuple[Copied, ...]
    ) -> Question:
        definition, shown = definition_of(tool), asked_call(tool, arguments)
        longer = () if ruling.each_time else LONGER
        return Question(
            id=call.id,
            tool=call.name,
            origin=tool.origin,
            title=tool.title or tool.name,
            effects=tuple(sorted(tool.effects)),
            arguments=json.dumps(arguments, ensure_ascii=False),
            fingerprint=fingerprint_of(definition),
            shown=shown.text,
            reasons=tuple(map(visible, ruling.reasons)),
            difference=visible(self._change_of(tool)[0]),
            copied=copied,
            choices=("once", "no") if shown.cut else ("once", *longer, "no"),
            whole=str(shown.whole or ""),
            when_seen=longer if shown.whole else (),
            covers=visible(scope_of(tool, arguments).told(call.name)),
            definition=definition,
        )

    def to_json(self, whole: bool = False, definitions: bool = True) -> dict[str, Any]:
        """What the answers of this session came to, for a run that is saved. whole: with the rules and what is
        remembered, so that `from_json` decides alike. definitions: with those of the tools, which are long."""
        with self._lock:
            saved: dict[str, Any] = {"mode": self.mode, **self._learned.to_json(definitions)}
            if whole:
                saved["rules"] = [[rule.verdict, str(rule)] for rule in self.policy.rules]
                saved["remembered"] = self.remembered.to_json()
            return saved

    def restore(self, saved: Mapping[str, Any]) -> None:
        """Add what the answers of a session came to, as `to_json` wrote it. Policy and what is remembered for always
        stay as they are: they are whoever goes on's to choose. Raises SansiError for anything else."""
        with self._lock:
            self._learned.add(saved)

    @classmethod
    def from_json(cls, saved: Mapping[str, Any], approver: Approver | None = None) -> Approvals:
        """Approvals that decide as those did which `to_json` wrote down. Raises SansiError for anything else."""
        try:
            policy = Policy(saved["mode"], tuple(Rule.parse(verdict, text) for verdict, text in saved["rules"]))
            made = cls(policy, approver, Remembered.from_json(saved["remembered"]))
        except (TypeError, KeyError, ValueError) as error:
            raise SansiError(f"these are no saved approvals ({error!r:.100})", param="approvals") from error
        made.restore(saved)
        return made


def _typed(call: ToolCall, tool: Described) -> dict[str, Any] | None:
    """The arguments as the tool would get them; None where they can not be read, or do not fit."""
    if call.error is not None:
        return None
    try:
        arguments = parse_arguments(call.arguments)
        return arguments if isinstance(tool, UnknownTool) else conform(tool.parameters, arguments)
    except SansiError:
        return None


def _path(given: str | Path | None) -> Path | None:
    return None if given is None else Path(given)


def _waited_for(answer: Any) -> Any:
    async def waiting() -> Any:
        return await answer

    return run_sync(waiting()) if inspect.isawaitable(answer) else answer


def _same_call(one: Question, other: Question) -> bool:
    """What was shown counts, too: it is what was answered, and a saved run may show another thing than it asks for."""
    compared = attrgetter("tool", "fingerprint", "arguments", "shown", "whole")
    return bool(compared(one) == compared(other))


def _read_answer(ask: Any) -> Answer | None:
    try:
        answer = ask()
        return None if answer is None else Answer.read(answer)
    except (Exception, asyncio.CancelledError) as error:  # an approval that fails is not an approval
        return _failed(error)


def _failed(error: BaseException) -> Answer:
    return NotAsked("no", not_asked(error))
