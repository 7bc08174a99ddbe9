"""The calls of one reply: checked, decided on and run side by side; their observations stand in call order."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from typing import Protocol

from sansi.agents.context import ToolContext
from sansi.agents.events import AgentEvent, CallReady, CallRunning, ObservationMade, Progress
from sansi.agents.loop.run import CallRecord, Pending, PlannedCall
from sansi.agents.observation import Observation
from sansi.agents.showing import glanced_call, not_asked
from sansi.agents.tool import Tool, invalid_arguments
from sansi.base import SansiError
from sansi.base.errors import nearest
from sansi.client.chat_client import on_thread
from sansi.text import Message, ToolCall

Emit = Callable[[AgentEvent], None]
Waiting = Callable[[], AbstractContextManager[None]]
LONG = 1_000_000  # characters
NO_TIME = Observation("error: not executed: the time of the run is up", "not_executed")


class Gate(Protocol):
    """Who decides whether a call is made. Asked for every call that could run, for those of one reply side by side."""

    def admit(self, planned: PlannedCall, emit: Emit) -> Awaitable[Observation | Pending | None]:
        """None: run it. An Observation: it is not run, and this is what the model is told. Pending: the run pauses."""
        ...


@dataclass(frozen=True)
class Fitted:
    """An observation in the room that there is for it."""

    observation: Observation
    whole: str | None = None
    """The file with the whole text."""


@dataclass
class Caller:
    """What is the same for all calls of a run."""

    tools: Mapping[str, Tool]
    gate: Gate | None
    emit: Emit
    context: Callable[[Tool, ToolCall], ToolContext]
    fit: Callable[[Observation, Tool], Fitted]

    seconds: Callable[[], float | None] = lambda: None
    """What is left of the run's time for calls; None: no bound."""
    waiting: Waiting = nullcontext
    """Entered while the gate decides."""
    held: dict[str, CallRecord] = field(default_factory=dict)
    """Where each answer goes as it comes, by the id of its call."""
    _messages: tuple[Message, ...] = ()
    _begun: dict[str, float] = field(default_factory=dict)
    """When each call was begun, by its id."""

    async def answer(
        self,
        calls: Sequence[ToolCall],
        refused: Mapping[str, Observation],
        tainted: bool,
        messages: Sequence[Message] = (),
    ) -> list[Pending]:
        """Answer calls into `held`, less those that have an observation in `refused`; what waits comes back. Cancelled,
        it cancels them all.

        They run side by side; those of tools that are `in_order` one after the other, and not at all, for now, after
        one that waits.

        tainted: what the model has read, `messages`, holds text of strangers.
        """
        self._messages = tuple(messages)
        jobs: list[asyncio.Future[Pending | None]] = []
        before: asyncio.Future[Pending | None] | None = None
        for call in calls:
            jobs.append(asyncio.ensure_future(self._one(call, refused.get(call.id), tainted, before)))
            before = jobs[-1] if self._in_order(call) else before
        try:
            waiting = await asyncio.gather(*jobs)
        finally:
            for job in jobs:
                job.cancel()
        return list({id(pending): pending for pending in waiting if pending is not None}.values())

    def _in_order(self, call: ToolCall) -> bool:
        tool = self.tools.get(call.name)
        return tool is not None and tool.in_order

    async def _one(
        self,
        call: ToolCall,
        refused: Observation | None,
        tainted: bool,
        before: asyncio.Future[Pending | None] | None,
    ) -> Pending | None:
        """Answer one call; what it waits for, if it does. before: the last one that is to be done in order."""
        planned = self._planned(call, tainted) if refused is None else refused
        if isinstance(planned, Observation):
            self.record(call, Fitted(planned))
            return None
        if before is not None and planned.tool.in_order and (waiting := await before) is not None:
            return waiting
        verdict = await self._admitted(planned)
        if isinstance(verdict, Pending):
            return verdict
        self.record(call, Fitted(verdict) if verdict is not None else await self._run(planned))
        return None

    def _planned(self, call: ToolCall, tainted: bool) -> PlannedCall | Observation:
        """The call with its tool and typed arguments, or why it can not be made; then nobody is asked about it."""
        tool = self.tools.get(call.name)
        if tool is None:
            near = nearest(call.name, self.tools)
            known = (
                f'; did you mean "{near}"?' if near else ""
            ) + f" (tools: {', '.join(sorted(self.tools)) or 'none'})"
            return Observation(f'error: unknown tool "{call.name}"{known}', "unknown_tool")
        try:
            if not call.executable:  # the codec has found it truncated, malformed or not to fit the tool
                raise SansiError(str(call.error))
            typed = tool.read(call.arguments)
        except SansiError as error:
            return Observation(invalid_arguments(error, tool), "invalid_arguments")
        return PlannedCall(call, tool, typed, tainted, self._messages)

    async def _admitted(self, planned: PlannedCall) -> Observation | Pending | None:
        call, tool = planned.call, planned.tool
        self.emit(CallReady(call.id, tool.name, planned.arguments, tool.origin, glanced_call(tool, planned.arguments)))
        if self.gate is None:
            return None
        try:
            with self.waiting():
                return await self.gate.admit(planned, self.emit)
        except Exception as error:  # an approval that fails is not an approval
            return Observation(f"error: {not_asked(error)}", "denied")

    async def _run(self, planned: PlannedCall) -> Fitted:
        call, tool = planned.call, planned.tool
        context, left = self.context(tool, call), self.seconds()
        context.addresses = tuple(planned.addresses)
        if left is not None and left <= 0:
            return Fitted(NO_TIME)
        self._begun[call.id] = time.perf_counter()  # the time of the question is not the tool's
        self.emit(CallRunning(call.id, tool.name))
        seen = await tool.run(planned.arguments, context, left)
        # A long text takes its time to be measured and written; others must not wait for it.
        return self.fit(seen, tool) if len(seen.text) < LONG else await on_thread(lambda: self.fit(seen, tool))

    def record(self, call: ToolCall, fitted: Fitted) -> None:
        """Hold an observation, and tell of it as it comes, with how long its tool was at work: 0 where it never was."""
        seen, whole = fitted.observation, fitted.whole
        seconds = time.perf_counter() - self._begun[call.id] if call.id in self._begun else 0.0
        self.held[call.id] = CallRecord(
            call, seen.status, seen.text, seconds, seen.attachments, seen.origin, seen.tainted, whole, seen.ends_run
        )
        self.emit(ObservationMade.of(call, seen, seconds, whole))

    def progress_of(self, call: ToolCall) -> Callable[[str], None]:
        return lambda text: self.emit(Progress(call.id, call.name, text))
