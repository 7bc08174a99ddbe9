"""Keeps the conversation of a run within the model's context, and tells the user what it does to that end."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sansi.agents.events import Notice, NoticeAbout
from sansi.agents.loop.calls import Emit, Fitted
from sansi.agents.loop.conversation import Conversation
from sansi.agents.loop.crowding import ADVICE, crowding
from sansi.agents.loop.results import Results
from sansi.agents.loop.run import RunState
from sansi.agents.loop.window import OVERFLOW, Window
from sansi.agents.observation import Observation
from sansi.agents.tool import Tool
from sansi.base import SansiError
from sansi.base.words import count
from sansi.client import ChatClient


class ContextKeeper:
    """Of one run; `error` says why the conversation does not fit any longer."""

    def __init__(
        self,
        client: ChatClient,
        options: Mapping[str, Any],
        conversation: Conversation,
        state: RunState,
        emit: Emit,
    ):
        self._results, self._state, self._emit = Results(conversation), state, emit
        self.window = Window(client, options, self._results)
        self.error: SansiError | None = None
        self._tried = False  # since the last reply, because a server said that the prompt is too long

    async def fits(self, specs: Sequence[Any]) -> bool:
        """Whether the prompt fits the model, once older results are shortened where they must be."""
        await self.window.measure(self._state.messages, specs)
        return not self.window.overflow or await self._trim(specs, None)

    async def make_room(self, refusal: SansiError, specs: Sequence[Any]) -> bool:
        """After a server has said that the prompt is too long; once for each reply."""
        excess = self.window.excess(self._state.messages, specs, refusal)
        if not self._tried and excess > 0:
            self._tried = True
            return await self._trim(specs, excess)
        self.error = SansiError(f"the conversation does not fit the model any longer: {refusal}", code=refusal.code)
        return False

    def replied(self) -> None:
        """The prompt has fitted: the next refusal may be tried again."""
        self._tried = False

    def fit(self, seen: Observation, tool: Tool, abreast: int) -> Fitted:
        """An observation in the room that one of `abreast` calls has."""
        fitted = self._results.fit(seen, tool, self.window.room(abreast))
        if fitted.whole is not None:
            self._state.count("results_cut")
            told = f"{tool.name} gave {count(len(seen.text), 'character')}, of which the model reads head and tail"
            self._notice("result_cut", told, name=fitted.whole, characters=len(seen.text))
        return fitted

    async def _trim(self, specs: Sequence[Any], excess: int | None) -> bool:
        trimmed = await self.window.trim(self._state.messages, specs, excess)
        if trimmed.results:
            self._state.count("trimmed_tokens", max(0, trimmed.before.tokens - trimmed.after.tokens))
            figures = {"before": trimmed.before.tokens, "after": trimmed.after.tokens, "results": trimmed.results}
            self._notice("context_trimmed", trimmed.told, **figures, counted_by=trimmed.after.source)
        if not trimmed.fits:
            of_tools, advice = "", "begin a new conversation"
            if described := crowding(specs, self.window.context_length):
                of_tools = f", about {described} of them descriptions of its {count(len(specs), 'tool')},"
                advice = ADVICE
            self.error = SansiError(
                f"the conversation has {trimmed.after} tokens{of_tools} and its reply needs {self.window.reply_room}; "
                f"the model's context holds {self.window.context_length}, and no result is left to shorten: {advice}",
                code=OVERFLOW,
            )
        return trimmed.fits

    def _notice(self, about: NoticeAbout, text: str, **details: Any) -> None:
        self._emit(Notice(about, text, details))
