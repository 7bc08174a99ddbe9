"""Questions to the user in the middle of calls: each is told as it is asked and answered; without a user, declined."""

from __future__ import annotations

import itertools
from contextlib import nullcontext
from dataclasses import replace

from sansi.agents.events import InputAnswered, InputAsked, Notice
from sansi.agents.forms import Action, Ask, Question, Reply, reply_to
from sansi.agents.loop.calls import Emit, Waiting
from sansi.agents.loop.run import RunState
from sansi.text import ToolCall


class Inputs:
    """Those of one run. ask: asks the user; None: nobody is there. waiting: entered while somebody is asked."""

    def __init__(self, ask: Ask | None, emit: Emit, state: RunState, waiting: Waiting = nullcontext):
        self._ask, self._emit, self._state, self._waiting = ask, emit, state, waiting
        self._numbers = itertools.count(1)

    def of(self, call: ToolCall) -> Ask:
        """Whom a call asks. Its questions have ids of their own, since a call may ask several."""

        async def ask(question: Question) -> Reply:
            return await self._answered(call, replace(question, id=f"{call.id}-input-{next(self._numbers)}"))

        return ask

    async def _answered(self, call: ToolCall, question: Question) -> Reply:
        if self._ask is None:
            return self._declined(question)
        asked = question.id, question.server, question.message, question.schema, question.url
        self._emit(InputAsked(call.id, call.name, *asked))
        action: Action = "cancel"  # where the call ends meanwhile
        try:
            with self._waiting():
                reply = await reply_to(self._ask, question)
            action = reply.action
            return reply
        finally:
            self._emit(InputAnswered(call.id, call.name, question.id, action))

    def _declined(self, question: Question) -> Reply:
        self._state.count("inputs_declined")
        text = f"{question.server} asked the user “{question.message}”, which was declined: nobody is here to answer"
        self._emit(Notice("input_declined", text, {"server": question.server, "message": question.message}))
        return Reply("decline")
