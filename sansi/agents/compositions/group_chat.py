"""A group chat: agents with names talk in turn, or as a chairing model calls them up, until somebody is done."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sansi.agents.compositions import prompts
from sansi.agents.compositions.asking import named_in, reply_to, whole_answer
from sansi.agents.loop import Agent
from sansi.agents.running import run_sync
from sansi.base import SansiError
from sansi.client import ChatClient
from sansi.text import Message


@dataclass(frozen=True)
class Said:
    """What somebody said."""

    name: str
    text: str
    tainted: bool = False  # whoever said it has read text of strangers


@dataclass(frozen=True)
class Member:
    """An agent, and who it is in this chat."""

    agent: Agent
    persona: str


@dataclass
class GroupChat:
    """Members take turns in order; a `chair` (with `options`) names who is next; `done` may end it after a text."""

    members: Mapping[str, Member]
    chair: ChatClient | None = None
    done: Callable[[str], bool] = lambda text: False
    options: Mapping[str, Any] = field(default_factory=dict)

    def run(self, topic: str, max_turns: int = 8, by: str = "User") -> list[Said]:
        """All that is said, the topic first. Raises SansiError as `Agent.run` does."""
        return run_sync(self.arun(topic, max_turns, by))

    async def arun(self, topic: str, max_turns: int = 8, by: str = "User") -> list[Said]:
        """As `run`, on the event loop of the caller."""
        if not self.members:
            raise SansiError("a group chat needs at least one member", param="members")
        talk = [Said(by, topic)]
        for turn in range(max_turns):
            if (turn and self.done(talk[-1].text)) or (name := await self._next(talk, turn)) is None:
                break
            run = await self.members[name].agent.arun(self._heard_by(name, talk))
            text = re.sub(rf"^\s*{re.escape(name)}\s*[:：]\s*", "", whole_answer(run))
            talk.append(Said(name, text, run.tainted))
        return talk

    async def _next(self, talk: Sequence[Said], turn: int) -> str | None:
        names = list(self.members)
        if self.chair is None:
            return names[turn % len(names)]
        prompt = prompts.CHAIR.format(talk="\n".join(f"{s.name}: {s.text}" for s in talk), names=", ".join(names))
        return named_in(await reply_to(self.chair, prompt, self.options), names)

    def _heard_by(self, name: str, talk: Sequence[Said]) -> list[Message]:
        """The talk as one member has heard it: its own words are the assistant's, those between them the user's."""
        others = ", ".join(other for other in self.members if other != name)
        messages = [Message("system", f"You are {name}. {self.members[name].persona}\nThe others: {others}.")]
        for said in talk:
            own, text = said.name == name, f"{said.name}: {said.text}"
            if not own and (messages[-1].role, messages[-1].tainted) == ("user", said.tainted):
                text = f"{messages.pop().content}\n{text}"
            messages.append(Message("assistant" if own else "user", said.text if own else text, tainted=said.tainted))
        return messages if messages[-1].role == "user" else [*messages, Message("user", "Please go on.")]
