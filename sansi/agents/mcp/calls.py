"""The requests that wait over one connection, and what their server asks the user meanwhile."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field

import anyio
import mcp_types as types

from sansi.agents.forms import Ask, Question, Reply, reply_to
from sansi.agents.mcp.deadline import Deadline
from sansi.agents.mcp.definitions import Caller
from sansi.agents.mcp.foreign import description, one_line
from sansi.agents.mcp.process import LINE_TOLD
from sansi.agents.mcp.traffic import Traffic
from sansi.base import SansiError
from sansi.text.schema import check_tool_schema

MOST_QUESTIONS = 20  # to the user of one conversation, of one server, while calls of it run
GIVEN_UP_SECONDS = 60.0  # in which a server may still ask for a call that was given up
LONGEST_URL = 10_000  # characters


@dataclass(eq=False)
class Call:
    """One request that waits for its answer."""

    caller: Caller
    deadline: Deadline
    questions: set[anyio.CancelScope] = field(default_factory=set)
    """What the user is asked for it, which nobody wants to know once it is over."""
    answered: bool = False
    """By a result or an error; a call that was given up may go on at the server."""


_ASKING: ContextVar[Call | None] = ContextVar("asking", default=None)
"""The call whose own answer was a question (2026-07-28); before, a question does not say which call it is about."""


class Calls:
    """Those of one connection to `server`. ask: whom to ask in the place of those whom the calls name."""

    def __init__(self, server: str, traffic: Traffic, ask: Ask | None):
        self._server, self._traffic, self._ask = server, traffic, ask
        self._running: list[Call] = []
        self._idle = anyio.Event()
        self._asked: Counter[str | None] = Counter()
        """Questions, by the conversation of the calls that run."""
        self._given_up: dict[str | None, float] = {}
        """When a call of a conversation was given up last; its server may ask for it still."""

    async def idle(self) -> None:
        """Until no request waits for its answer."""
        while self._running:
            self._idle = anyio.Event()
            await self._idle.wait()

    @contextmanager
    def running(self, caller: Caller, deadline: Deadline) -> Iterator[Call]:
        """Within it a request of `caller` waits. Whoever gets the answer says so."""
        call = Call(caller, deadline)
        self._running.append(call)
        asking = _ASKING.set(call)
        try:
            yield call
        except Exception:
            call.answered = True
            raise
        finally:
            _ASKING.reset(asking)
            if not call.answered:
                self._given_up[caller.conversation] = anyio.current_time()
            self._end(call)

    def _end(self, call: Call) -> None:
        self._running.remove(call)
        for scope in call.questions:
            scope.cancel()
        if call.caller.conversation not in {each.caller.conversation for each in self._running}:
            self._asked.pop(call.caller.conversation, None)
        if not self._running:
            self._idle.set()

    async def elicit(self, params: types.ElicitRequestParams) -> types.ElicitResult:
        """Ask the user what the server wants to know; without a user, decline. No call's time runs meanwhile."""
        own = _ASKING.get()
        calls = [own] if own is not None else list(self._running)
        question = self._question(params)
        if declined := self._why_declined(calls, question):
            self._traffic.odd(f"asked the user a question, which was declined {declined}", params.message)
            return types.ElicitResult(action="decline")
        self._asked[calls[-1].caller.conversation] += 1
        with ExitStack() as stack:
            for call in calls:
                stack.enter_context(call.deadline.paused())
                if call.caller.progress is not None:
                    call.caller.progress(f"waiting for the user's answer: {told_in_a_line(params.message)}")
            reply = await self._answered(calls, question)
        fills_in = reply.action == "accept" and question.schema is not None
        return types.ElicitResult(action=reply.action, content=dict(reply.content) if fills_in else None)

    def _question(self, params: types.ElicitRequestParams) -> Question:
        message = description(params.message)
        if isinstance(params, types.ElicitRequestFormParams):
            return Question(self._server, message, dict(params.requested_schema))
        return Question(self._server, message, url=params.url)

    async def _answered(self, calls: list[Call], question: Question) -> Reply:
        """What the user says. Any of these calls may be the one that asks: when that ends under which the question
        stands, it is asked under another; when all have ended, nobody wants to know."""
        while left := [call for call in calls if call in self._running]:
            ask = self._ask or left[-1].caller.ask
            with anyio.CancelScope() as scope:
                left[-1].questions.add(scope)
                return await reply_to(ask, question) if ask is not None else Reply("decline")
        return Reply("cancel")

    def _conversations(self, calls: list[Call]) -> set[str | None]:
        """Those that a question may be of: whose calls run, or were given up not long ago."""
        since = anyio.current_time() - GIVEN_UP_SECONDS
        self._given_up = {name: when for name, when in self._given_up.items() if when > since}
        return {call.caller.conversation for call in calls} | set(self._given_up)

    def _why_declined(self, calls: list[Call], question: Question) -> str:
        if not calls:
            return "as it was asked outside of any call"
        if self._ask is None and _ASKING.get() is None and len(self._conversations(calls)) > 1:
            return "as calls of several conversations run, and it does not say which of them asks"
        if self._ask is None and calls[-1].caller.ask is None:
            return "as nobody is there"
        if wrong := _wrong_form(question):
            return f"as {wrong}"
        asked = self._asked[calls[-1].caller.conversation]
        return f"as it had asked {asked} already" if asked >= MOST_QUESTIONS else ""


def _wrong_form(question: Question) -> str:
    """Why nobody could fill it in, or read the address; "" where one can."""
    if len(question.url or "") > LONGEST_URL:
        return f"its address is longer than {LONGEST_URL:,} characters"
    try:
        check_tool_schema({"type": "object", **(question.schema or {})}, "its form")
    except SansiError as error:
        return one_line(str(error))
    return ""


def told_in_a_line(text: str) -> str:
    """A server's words in a line that stands for a moment."""
    text = one_line(text)
    return text if len(text) <= LINE_TOLD else f"{text[:LINE_TOLD]}…"
