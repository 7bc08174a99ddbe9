"""One run, step by step: ask the model, answer its calls, until an answer, a cap, or somebody stops it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass, replace
from typing import Any

from sansi.agents.context import ToolContext
from sansi.agents.events import (
    CallArguments,
    CallStarted,
    ContentText,
    Finished,
    MessageAdded,
    Notice,
    ReasoningText,
    ReplyDone,
    StepStarted,
)
from sansi.agents.loop.calls import Caller, Emit, Fitted, Gate
from sansi.agents.loop.conversation import Conversation
from sansi.agents.loop.limits import RESERVED, Limits, ThinkingLedger
from sansi.agents.loop.replies import repeatable, results_of, with_own_ids
from sansi.agents.loop.run import AgentRun, Pending, RunState, StoppedReason
from sansi.agents.loop.stop import Stop
from sansi.agents.observation import Observation, head_and_tail
from sansi.agents.tool import Tool
from sansi.base import SansiError
from sansi.client import AssistantReply, ChatClient, deltas_of, estimated_tokens
from sansi.text import ClosingPhrase, Content, Message, Reasoning, ToolCall

WHOLE = ("stop", "tool_calls")  # reasons that end a reply which is not cut
CUT = Observation("error: not executed: the reply that made this call was cut", "not_executed")
STOPPED = Observation("error: cancelled: the run was stopped before this call ended", "cancelled")
NO_TOOLS_LEFT = Observation("error: not executed: no tools are left; this was the last reply", "not_executed")


@dataclass(frozen=True)
class Settings:
    """What is the same for all runs of an agent."""

    client: ChatClient
    tools: Mapping[str, Tool]
    options: Mapping[str, Any]
    limits: Limits
    gate: Gate | None = None


@dataclass
class _Heard:
    """What has come of a reply that may never become whole."""

    thought: str = ""
    content: str = ""
    reply: AssistantReply | None = None


class Driver:
    """Drives one run; `state` is where it is."""

    def __init__(self, settings: Settings, conversation: Conversation, state: RunState, emit: Emit, stop: Stop):
        self._settings, self._conversation, self.state, self._emit, self._stop = (
            settings,
            conversation,
            state,
            emit,
            stop,
        )
        self._ledger = ThinkingLedger.of(settings.limits)
        self._ledger.granted, self._ledger.spent = state.granted, state.spent
        self._caller = Caller(settings.tools, settings.gate, emit, self._context, self._fit, state.held)
        self._specs = [tool.spec for tool in settings.tools.values()]
        self._pending: list[Pending] = []
        self._before = state.seconds
        self._begun = time.monotonic()

    async def run(self) -> AgentRun:
        """The whole run; the last event is `Finished`. Never raises, but for a cancellation of the waiting task."""
        loop, error = asyncio.get_running_loop(), None
        steps = asyncio.ensure_future(self._steps())

        def stop() -> None:
            if not loop.is_closed():
                loop.call_soon_threadsafe(steps.cancel)

        self._stop.listen(stop)
        if self._stop.is_set:
            steps.cancel()  # before it begins
        reason: StoppedReason
        try:
            reason = await steps
        except asyncio.CancelledError:
            if not self._stop.is_set:
                raise
            reason = "cancelled"
        except SansiError as raised:
            reason, error = "failed", raised
        finally:
            self._stop.forget(stop)
            if not steps.done():
                steps.cancel()
                await asyncio.wait({steps}, timeout=1.0)  # the model's stream is closed before we leave
        return self._finished(reason, error)

    def _finished(self, reason: StoppedReason, error: SansiError | None) -> AgentRun:
        if reason != "paused" and self.state.open_calls():
            self._close(self.state.open_calls(), STOPPED)
        state, limits = self.state, self._settings.limits
        state.seconds = self._seconds()
        self._conversation.tainted = state.tainted
        self._conversation.messages = tuple(state.messages)
        run = AgentRun(
            messages=tuple(state.messages),
            calls=tuple(state.records),
            stopped_reason=reason,
            usage=state.usage,
            report=state.report(limits.thinking_budget),
            conversation=state.conversation,
            pending=tuple(self._pending),
            tainted=state.tainted,
            error=None if error is None else str(error),
            state=state,
        )
        told = {f: getattr(run.report, f) for f in run.report.__dataclass_fields__}
        self._emit(Finished(run.status, reason, run.answer, run.usage, told, run.error, run))
        return run

    async def _steps(self) -> StoppedReason:
        if (open_calls := self.state.open_calls()) and not await self._answer(open_calls):
            return "paused"
        while True:
            last = self._check_caps()
            reply = await self._ask(last)
            if reply is None:
                if last:
                    return self.state.limit or "max_seconds"
                self._reach("max_seconds", "the time of the run is nearly up")
                continue
            whole = reply.finish_reason in WHOLE
            if not whole and not last and self._cut_by_the_run(reply):
                self._reach("max_tokens", "the tokens of the run are nearly used up")
                continue
            message = with_own_ids(reply.message)
            self._add(repeatable(message))
            if not whole or last:
                self._close(message.tool_calls, NO_TOOLS_LEFT if whole else CUT)
                return self.state.limit or ("length" if reply.finish_reason == "length" else "abort")
            if not message.tool_calls:
                return "answer"
            if not await self._answer(message.tool_calls):
                return "paused"

    # --- asking ------------------------------------------------------------------------------------------------------

    async def _ask(self, last: bool) -> AssistantReply | None:
        """One reply; None where the run's time ended it."""
        grant = self._ledger.grant(last)
        options = self._options(last, grant)
        self._emit(StepStarted(len(self.state.spent), thinking_budget=grant, last=last))
        heard = _Heard()
        try:
            async with asyncio.timeout(self._seconds_left(last)):
                await self._hear(heard, options)
        except TimeoutError:
            self._account(grant, _partial(heard, "length"))
            if last and heard.content:
                self._add(Message("assistant", heard.content, heard.thought or None))
            return None
        if heard.reply is None:
            raise SansiError("the client's stream ended without a reply")
        self._account(grant, heard.reply)
        self._emit(ReplyDone.of(heard.reply, heard.reply.message))
        return heard.reply

    async def _hear(self, heard: _Heard, options: dict[str, Any]) -> None:
        names: dict[int, str] = {}
        stream = deltas_of(self._settings.client, tuple(self.state.messages), self._specs, options)
        async with aclosing(stream):
            async for delta in stream:
                if isinstance(delta, AssistantReply):
                    heard.reply = delta
                elif isinstance(delta, Reasoning):
                    heard.thought += delta.text
                    self._emit(ReasoningText(delta.text, isinstance(delta, ClosingPhrase)))
                elif isinstance(delta, Content):
                    heard.content += delta.text
                    self._emit(ContentText(delta.text))
                else:
                    if delta.index not in names:
                        names[delta.index] = delta.name or ""
                        self._emit(CallStarted(delta.index, delta.id, delta.name or ""))
                    if delta.arguments:
                        self._emit(CallArguments(delta.index, delta.id, delta.arguments))

    def _options(self, last: bool, grant: int | None) -> dict[str, Any]:
        """The client's options, with what the step may use. A call that was asked for is asked for once."""
        options = dict(self._settings.options)
        if self._specs and last:
            options["tool_choice"] = "none"
        elif self.state.records and options.get("tool_choice") not in (None, "auto", "none"):
            options["tool_choice"] = "auto"  # else it would have to call for ever
        if grant is not None:
            options["thinking_budget"] = grant
        left = self._tokens_left(last)
        if left is not None:
            options["max_tokens"] = min(left, options.get("max_tokens") or left)
        return options

    def _account(self, grant: int | None, reply: AssistantReply) -> None:
        """Add up what a reply has used; where a server does not count, its text is."""
        usage, message = reply.usage, reply.message
        if not usage.completion_tokens:
            written = [message.content, message.reasoning_content or "", *(c.arguments for c in message.tool_calls)]
            usage = replace(usage, completion_tokens=sum(estimated_tokens(text) for text in written if text))
        if not usage.reasoning_tokens and message.reasoning_content and "mode" not in reply.report:
            thought = min(estimated_tokens(message.reasoning_content), usage.completion_tokens)
            usage = replace(usage, reasoning_tokens=thought)
            self.state.count("thoughts_estimated")
        self.state.usage += usage
        self._ledger.spend(grant, usage.reasoning_tokens)

    # --- answering ---------------------------------------------------------------------------------------------------

    async def _answer(self, calls: Sequence[ToolCall]) -> bool:
        """Answer calls, and tell the model in call order; False if some wait for somebody who is not there."""
        refused = self._over_the_cap(calls)
        left = [call for call in calls if call.id not in self.state.held]
        self._pending = await self._caller.answer(left, refused, self.state.tainted, self.state.messages)
        if self._pending:
            return False
        self._take(calls)
        return True

    def _over_the_cap(self, calls: Sequence[ToolCall]) -> dict[str, Observation]:
        cap = self._settings.limits.max_calls
        if cap is None:
            return {}
        over = [call for i, call in enumerate(calls) if len(self.state.records) + i >= cap]
        if not over:
            return {}
        self._reach("max_calls", f"the limit of {cap} tool calls is reached")
        text = f"error: not executed: the limit of {cap} tool calls is reached; answer without tools"
        return {call.id: Observation(text, "not_executed") for call in over}

    def _close(self, calls: Sequence[ToolCall], seen: Observation) -> None:
        """Answer calls that are not run, so that the conversation can go on; those that ended keep their answer."""
        for call in calls:
            if call.id not in self.state.held:
                self._caller.record(call, Fitted(seen), 0.0)
        self._take(calls)

    def _take(self, calls: Sequence[ToolCall]) -> None:
        """What is held becomes messages, in call order."""
        shown = self.state.messages[-1].tool_calls
        for message in results_of(shown, self.state.held):
            record = self.state.held[message.tool_call_id or ""]
            self.state.records.append(record)
            self.state.tainted |= record.tainted
            self._add(message, record.tainted)
        self.state.held.clear()

    def _context(self, tool: Tool, call: ToolCall, abreast: int) -> ToolContext:
        return ToolContext(
            conversation=self.state.conversation,
            room=tool.max_result_chars,
            folder=lambda: self._conversation.folder,
            progress=self._caller.progress_of(call),
            call_id=call.id,
        )

    def _fit(self, seen: Observation, tool: Tool, call: ToolCall, context: ToolContext) -> Fitted:
        return Fitted(seen.with_text(head_and_tail(seen.text, context.room, "{cut} characters left out")))

    # --- caps --------------------------------------------------------------------------------------------------------

    def _check_caps(self) -> bool:
        """Whether the next reply is the last one, because a cap has been reached."""
        left, limits = self._tokens_left(last=False), self._settings.limits
        if self.state.limit is None and left is not None and left < 1:
            self._reach("max_tokens", "the tokens of the run are nearly used up")
        if self.state.limit is None and limits.max_seconds is not None and self._seconds_left(last=False) == 0:
            self._reach("max_seconds", "the time of the run is nearly up")
        return self.state.limit is not None

    def _reach(self, limit: StoppedReason, why: str) -> None:
        if self.state.limit is None:
            self.state.limit = limit
            self._emit(Notice("limit", f"{why}: the model is asked for its answer, without tools", {"limit": limit}))

    def _cut_by_the_run(self, reply: AssistantReply) -> bool:
        own = self._settings.options.get("max_tokens")
        left = self._tokens_left(last=True)
        return (
            reply.finish_reason == "length"
            and left is not None
            and (own is None or reply.usage.completion_tokens < own)
        )

    def _tokens_left(self, last: bool) -> int | None:
        cap = self._settings.limits.max_tokens
        if cap is None:
            return None
        return max(1 if last else 0, cap - self.state.usage.completion_tokens - (0 if last else -(-cap // RESERVED)))

    def _seconds_left(self, last: bool) -> float | None:
        cap = self._settings.limits.max_seconds
        if cap is None:
            return None
        return max(0.0, cap * (1 if last else 1 - 1 / RESERVED) - self._seconds())

    def _seconds(self) -> float:
        return self._before + time.monotonic() - self._begun

    def _add(self, message: Message, tainted: bool = False) -> None:
        self.state.messages.append(message)
        self._emit(MessageAdded(message, tainted))


def _partial(heard: _Heard, reason: str) -> AssistantReply:
    return AssistantReply(Message("assistant", heard.content, heard.thought or None), reason)
