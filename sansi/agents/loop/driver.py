"""One run, step by step: ask the model, answer its calls, until an answer, a cap, or somebody stops it."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from sansi.agents.context import ToolContext
from sansi.agents.events import Finished, MessageAdded, Notice, NoticeAbout, ReplyDone, StepStarted
from sansi.agents.loop.asking import Heard, Settings, counted, hear, partial
from sansi.agents.loop.calls import Caller, Emit, Fitted
from sansi.agents.loop.context_keeper import ContextKeeper
from sansi.agents.loop.conversation import Conversation
from sansi.agents.loop.honesty import unmade
from sansi.agents.loop.inputs import Inputs
from sansi.agents.loop.limits import Meter, ThinkingLedger
from sansi.agents.loop.repetition import LoopBreaker
from sansi.agents.loop.replies import repeatable, results_of
from sansi.agents.loop.results import room_in_chars
from sansi.agents.loop.run import AgentRun, CallRecord, Pending, RunState, StoppedReason
from sansi.agents.loop.stop import Stop
from sansi.agents.loop.window import is_overflow
from sansi.agents.observation import Observation
from sansi.agents.tool import Tool
from sansi.agents.tools.read_result import READ_RESULT
from sansi.base import SansiError
from sansi.client import AssistantReply
from sansi.text import Message, ToolCall

# Reasons that end a reply which is not cut: OpenAI's, and what other servers call them.
WHOLE = ("stop", "tool_calls", "function_call", "eos_token", "stop_sequence", "end_turn", "tool_use")
CUT = Observation("error: not executed: the reply that made this call was cut", "not_executed")
STOPPED = Observation("error: cancelled: the run was stopped before this call ended", "cancelled")
LOOP = "the loop"
NO_TOOLS_LEFT = Observation("error: not executed: no tools are left; this was the last reply", "not_executed")

ANSWER_TOKENS = 1024
"""Beside the thought, of a reply whose server does not hold the budget."""
SLACK = 4
"""A thought that is counted by its text may be off by this part, and some servers count the words that close it."""


class Driver:
    """Drives one run; `state` is where it is."""

    def __init__(self, settings: Settings, conversation: Conversation, state: RunState, emit: Emit, stop: Stop):
        self.state = state
        self._settings, self._conversation, self._emit, self._stop = settings, conversation, emit, stop
        self._ledger = ThinkingLedger.of(settings.limits, state.granted, state.spent)
        self._meter = Meter(settings.limits, state.seconds)
        self._context = ContextKeeper(settings.client, settings.options, conversation, state, emit)
        self._tools = dict(settings.tools)
        self._caller = Caller(
            self._tools,
            settings.gate,
            emit,
            self._context_of,
            self._fit,
            self._seconds_for_calls,
            self._meter.watch.waiting,
            state.held,
        )
        self._inputs = Inputs(settings.ask, emit, state, self._meter.watch.waiting)
        self._breaker = LoopBreaker(self._tools, self._settings.limits.loop_breaker)
        for record in state.records:
            self._breaker.note(record)
        self._pending: list[Pending] = []
        self._heard = Heard()
        self._abreast = 1
        self._answer_now = False  # the next reply is the last one, though no cap has been reached
        self._error: SansiError | None = None

    async def run(self) -> AgentRun:
        """The whole run; the last event is `Finished`. Never raises, but for a cancellation of the waiting task."""
        loop = asyncio.get_running_loop()
        steps = asyncio.ensure_future(self._steps())

        def stop() -> None:
            if not loop.is_closed():
                loop.call_soon_threadsafe(steps.cancel)

        self._stop.listen(stop)
        if self._stop.is_set:
            steps.cancel()  # before it begins
        try:
            reason: StoppedReason = await steps
        except asyncio.CancelledError:
            if not self._stop.is_set:
                raise
            reason = "cancelled"
        except SansiError as raised:
            reason, self._error = "failed", raised
        finally:
            self._stop.forget(stop)
            if not steps.done():
                steps.cancel()
                await asyncio.wait({steps}, timeout=1.0)  # the model's stream is closed before we leave
        return self._finished(reason)

    def _finished(self, reason: StoppedReason) -> AgentRun:
        if reason == "cancelled" and self._heard.content and self._heard.reply is None:
            self._add(partial(self._heard).message)  # what the user has seen of the answer stays
        if reason != "paused" and self.state.open_calls():
            self._close(self.state.open_calls(), STOPPED)
        state = self.state
        state.seconds = self._meter.seconds()
        self._conversation.messages = tuple(state.messages)
        run = AgentRun(
            messages=tuple(state.messages),
            calls=tuple(state.records),
            stopped_reason=reason,
            usage=state.usage,
            report=state.report(self._settings.limits.thinking_budget),
            conversation=state.conversation,
            pending=tuple(self._pending),
            tainted=state.tainted,
            error=None if self._error is None else str(self._error),
            state=state,
        )
        told = {name: getattr(run.report, name) for name in run.report.__dataclass_fields__}
        self._emit(Finished(run.status, reason, run.answer, run.usage, told, run.error, run))
        return run

    async def _steps(self) -> StoppedReason:
        if (open_calls := self.state.open_calls()) and (ended := await self._answer(open_calls)):
            return ended
        while True:
            last = self._check_caps()
            try:
                reply = await self._ask(last) if (fits := await self._context.fits(self._specs())) else None
            except SansiError as error:
                if not is_overflow(error):
                    raise
                if await self._context.make_room(error, self._specs()):
                    continue
                fits = False
            if not fits:
                self._error = self._context.error
                return "context"
            if reply is None and last:
                return self.state.limit or "max_seconds"
            if reply is None:
                self._without_time()
            elif ended := await self._take_reply(reply, last):
                return ended

    # --- asking ------------------------------------------------------------------------------------------------------

    async def _ask(self, last: bool) -> AssistantReply | None:
        """One reply; None where the run's time ended it."""
        grant = self._ledger.grant(last)
        specs, window = self._specs(), self._context.window
        count = window.count
        self._emit(
            StepStarted(
                len(self.state.spent),
                prompt_tokens=None if count is None else count.tokens,
                counted_by=None if count is None else count.source,
                context_length=window.context_length,
                thinking_budget=grant,
                tools=tuple(self._tools),
                last=last,
            )
        )
        taken = {call.id for message in self.state.messages for call in message.tool_calls}
        self._heard = heard = Heard(holds_content=self._ledger.may_starve(grant, last), taken=taken)
        options = self._options(last, grant)
        try:
            async with asyncio.timeout(self._meter.seconds_left(last)):
                await hear(heard, self._settings.client, tuple(self.state.messages), specs, options, self._emit)
        except TimeoutError:
            self._account(grant, partial(heard))
            if last and heard.content:
                self._add(partial(heard).message)
            return None
        assert heard.reply is not None
        self._context.replied()
        self._account(grant, heard.reply)
        self._emit(ReplyDone.of(heard.reply, heard.reply.message))
        return heard.reply

    def _specs(self) -> list[dict[str, Any]]:
        """The tools that are offered; once a result was cut, the tool that reads on in it is among them."""
        if self._tools and self._conversation.has_results:
            self._tools.setdefault(READ_RESULT.name, READ_RESULT)
        return [tool.spec for tool in self._tools.values()]

    def _options(self, last: bool, grant: int | None) -> dict[str, Any]:
        """The client's options, with what the step may use. A call that was asked for is asked for once."""
        options = dict(self._settings.options)
        if self._tools and last:
            options["tool_choice"] = "none"
        elif self.state.records and options.get("tool_choice") not in (None, "auto", "none"):
            options["tool_choice"] = "auto"  # else it would have to call for ever
        if grant is not None:
            options["thinking_budget"] = grant
        left, given = self._meter.tokens_left(self.state.usage, last), options.get("max_tokens")
        caps = [left] if left is not None else []
        if grant is not None and self.state.counts.get("budget_exceeded"):
            caps.append(grant + ANSWER_TOKENS)
        if caps:
            options["max_tokens"] = min([*caps, given] if given else caps)
        return options

    def _account(self, grant: int | None, reply: AssistantReply) -> None:
        usage, estimated = counted(reply)
        self.state.usage += usage
        self._ledger.spend(grant, usage.reasoning_tokens)
        if estimated:
            self.state.count("thoughts_estimated")
        if grant is not None and usage.reasoning_tokens > grant + grant // SLACK + 8:
            self._tell_of_the_budget(grant, usage.reasoning_tokens)

    def _tell_of_the_budget(self, grant: int, spent: int) -> None:
        """Once a run: the server thinks for longer than it is told; from now on `max_tokens` is the bound."""
        if self.state.count("budget_exceeded") == 1:
            text = f"the server thought for {spent:,} tokens where {grant:,} were granted: it does not hold the budget"
            self._notice("budget_exceeded", f"{text}; replies are bounded by max_tokens", granted=grant, spent=spent)

    # --- what came ---------------------------------------------------------------------------------------------------

    async def _take_reply(self, reply: AssistantReply, last: bool) -> StoppedReason | None:
        """Do what a reply asks for; why the run ends, if it does."""
        whole = reply.finish_reason in WHOLE
        if not whole and not last and self._cut_by_the_run(reply):
            self._reach("max_tokens", "the tokens of the run are nearly used up")
            return None
        message = reply.message
        if whole and not message.tool_calls and not last and self._ledger.starved():
            text = "the thinking budget left little for this step: the answer is asked for again, with its reserve"
            self._notice("answer_again", text, granted=self._ledger.granted[-1], reserve=self._ledger.reserve)
            self._answer_now = True
            return None
        self._heard.release(self._emit)
        self._add(repeatable(message))
        if not whole:
            self._close(message.tool_calls, CUT)
            return self.state.limit or ("length" if reply.finish_reason == "length" else "abort")
        if last or not message.tool_calls:
            self._close(message.tool_calls, NO_TOOLS_LEFT)
            return None if self._asked_again(message, last) else self.state.limit or "answer"
        return await self._answer(message.tool_calls)

    def _asked_again(self, message: Message, last: bool) -> bool:
        """Whether the model is asked once more, because it says that it calls, or has called, and has not."""
        found = unmade(message, self.state.messages[:-1], self._settings.tools)
        if found is None:
            return False
        self.state.count(f"{found.kind}_unmade")
        if last or not self._settings.limits.ask_again or self.state.counts.get("asked_again"):
            return False
        self.state.count("asked_again")
        what = "announced a call and made none" if found.kind == "planned" else "claimed what no call has done"
        self._notice("asked_again", f"the reply {what} (“{found.quote}”): it is asked once more", claim=found.kind)
        self._add(Message("user", found.request, origin=LOOP))  # it quotes the model, and is not the user's word
        return True

    # --- answering ---------------------------------------------------------------------------------------------------

    async def _answer(self, calls: Sequence[ToolCall]) -> StoppedReason | None:
        """Answer calls, and tell the model in call order. Why the run ends: calls wait for somebody who is not there,
        or a result ends it."""
        refused = self._over_the_cap(calls)
        left = [call for call in calls if call.id not in self.state.held]
        self._abreast = len(left) - len(refused)
        self._pending = await self._caller.answer(left, refused, self.state.tainted, self.state.messages)
        if self._pending:
            return "paused"
        self._take_results()
        return "tool" if any(record.ends_run for record in self.state.records[-len(calls) :]) else None

    def _over_the_cap(self, calls: Sequence[ToolCall]) -> dict[str, Observation]:
        cap = self._settings.limits.max_calls
        over = [] if cap is None else [c for i, c in enumerate(calls) if len(self.state.records) + i >= cap]
        if not over:
            return {}
        self._reach("max_calls", f"the limit of {cap} tool calls is reached")
        text = f"error: not executed: the limit of {cap} tool calls is reached; answer without tools"
        return {call.id: Observation(text, "not_executed") for call in over}

    def _close(self, calls: Sequence[ToolCall], seen: Observation) -> None:
        """Answer calls that are not run, so that the conversation can go on; those that ended keep their answer."""
        for call in calls:
            if call.id not in self.state.held:
                self._caller.record(call, Fitted(seen))
        if calls:
            self._take_results()

    def _take_results(self) -> None:
        """What is held becomes messages, in call order."""
        shown = self.state.messages[-1].tool_calls
        for call in shown:
            self.state.held[call.id] = record = self._looked_at(self.state.held[call.id])
            self.state.records.append(record)
            self.state.tainted |= record.tainted
        self._conversation.tainted = self.state.tainted
        for message in results_of(shown, self.state.held):
            self._add(message, self.state.held[message.tool_call_id or ""].tainted)
        self.state.held.clear()

    def _looked_at(self, record: CallRecord) -> CallRecord:
        """The record, with what has to be said where its call repeats itself."""
        repetition = self._breaker.note(record)
        if repetition is None:
            return record
        call, times = record.call, repetition.times
        details = {"name": call.name, "arguments": call.arguments, "times": times}
        if repetition.stops:
            self._notice("loop_stopped", f"{call.name} gave the same result {times} times: no more calls", **details)
            self._reach("loop", f"{call.name} was called {times} times with the same result")
        else:
            self.state.count("loops_told")
            self._notice("loop_told", f"{call.name} gave the same result {times} times: the model is told", **details)
        return replace(record, remark=repetition.remark)

    def _context_of(self, tool: Tool, call: ToolCall) -> ToolContext:
        return ToolContext(
            conversation=self.state.conversation,
            room=room_in_chars(tool, self._context.window.room(self._abreast)),
            folder=lambda: self._conversation.folder,
            progress=self._caller.progress_of(call),
            call_id=call.id,
            tainted=self.state.tainted,
            ask=self._inputs.of(call),
        )

    def _fit(self, seen: Observation, tool: Tool) -> Fitted:
        return self._context.fit(seen, tool, self._abreast)

    # --- caps --------------------------------------------------------------------------------------------------------

    def _check_caps(self) -> bool:
        """Whether the next reply is the last one, because a cap has been reached."""
        left = self._meter.tokens_left(self.state.usage, last=False)
        if left is not None and left < 1:
            self._reach("max_tokens", "the tokens of the run are nearly used up")
        if self._meter.seconds_left(last=False) == 0:
            self._without_time()
        return self.state.limit is not None or self._answer_now

    def _reach(self, limit: StoppedReason, why: str) -> None:
        if self.state.limit is None:
            self.state.limit = limit
            self._notice("limit", f"{why}: the model is asked for its answer, without tools", limit=limit)

    def _without_time(self) -> None:
        self._reach("max_seconds", "the time of the run is nearly up")

    def _cut_by_the_run(self, reply: AssistantReply) -> bool:
        """Whether the run's own cap, not the user's option, has cut a reply."""
        if reply.finish_reason != "length" or self._settings.limits.max_tokens is None:
            return False
        own = self._settings.options.get("max_tokens")
        return own is None or counted(reply)[0].completion_tokens < own

    def _seconds_for_calls(self) -> float | None:
        return self._meter.seconds_left(last=False)

    def _notice(self, about: NoticeAbout, text: str, **details: Any) -> None:
        self._emit(Notice(about, text, details))

    def _add(self, message: Message, tainted: bool = False) -> None:
        self.state.messages.append(message)
        self._emit(MessageAdded(message, tainted))
