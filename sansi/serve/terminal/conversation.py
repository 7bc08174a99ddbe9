"""A conversation that can be taken back and changed. No torch."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from sansi.base.errors import SansiError
from sansi.text import Message


@dataclass
class Turn:
    """One message, and what is known about how it came to be."""

    message: Message
    stopped: bool = False
    """The user stopped the answer: it is not whole."""
    details: dict[str, Any] = field(default_factory=dict)
    """What a saved conversation keeps beside the message, in the names of the chat page: "report", "ask", …"""

    @property
    def role(self) -> str:
        return self.message.role


@dataclass
class Conversation:
    """The turns so far, and the system message that goes before them."""

    system: str = ""
    turns: list[Turn] = field(default_factory=list)

    def messages(self) -> list[Message]:
        """What the model is given. Its own turns carry their ids, so that a kept history is exact."""
        system = [Message("system", self.system)] if self.system else []
        return [*system, *(turn.message for turn in self.turns)]

    def asking(self, text: str) -> Conversation:
        """With one more question; this one stays as it is."""
        return self.having(Turn(Message("user", text)))

    def having(self, *turns: Turn) -> Conversation:
        """With more turns; this one stays as it is."""
        return Conversation(self.system, [*self.turns, *turns])

    def without_last_answer(self) -> Conversation:
        """Up to the last question, which can be asked again. Raises SansiError where there is none."""
        return Conversation(self.system, self.turns[: self._last_question() + 1])

    def without_last_question(self) -> Conversation:
        """Up to what was before the last question. Raises SansiError where there is none."""
        return Conversation(self.system, self.turns[: self._last_question()])

    def without_first_question(self) -> Conversation:
        """From the second question on. Raises SansiError where there is none to go on from."""
        questions = [i for i, turn in enumerate(self.turns) if turn.role == "user"]
        if len(questions) < 2:
            raise SansiError("there is nothing older than the last question; /new starts over")
        return Conversation(self.system, self.turns[questions[1] :])

    def last_question(self) -> str:
        return self.turns[self._last_question()].message.content

    def open_calls(self) -> list[str]:
        """Ids of the tool calls of the last answer that have no result yet."""
        answered: set[str | None] = set()
        for turn in reversed(self.turns):
            if turn.role != "tool":
                calls = turn.message.tool_calls
                return [call.id for call in calls if call.executable and call.id not in answered]
            answered.add(turn.message.tool_call_id)
        return []

    def _last_question(self) -> int:
        for i in reversed(range(len(self.turns))):
            if self.turns[i].role == "user":
                return i
        raise SansiError("nothing has been asked yet")
