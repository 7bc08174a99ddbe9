"""Hand-off: agents that pass a conversation on to each other by a tool, each with instructions and tools of its own."""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sansi.agents.loop import Agent
from sansi.agents.loop.run import AgentRun
from sansi.agents.observation import Result
from sansi.agents.running import run_sync
from sansi.agents.tool import Tool
from sansi.base import SansiError
from sansi.client import ChatClient
from sansi.text import Message, read_messages

HAND_OVER = "hand_over"


@dataclass(frozen=True)
class TeamMember:
    """What the others know of a member (`description`), and what it knows itself."""

    description: str
    instructions: str
    tools: Sequence[Tool] = ()


@dataclass(frozen=True)
class TeamRun:
    """Who had the conversation, in order, and the run of the last one; its messages are the whole conversation."""

    names: tuple[str, ...]
    run: AgentRun


@dataclass
class Team:
    """Members that share a client. The first one begins; a conversation is passed on at most `max_handoffs` times."""

    client: ChatClient
    members: Mapping[str, TeamMember]
    max_handoffs: int = 8
    settings: Mapping[str, Any] = field(default_factory=dict)  # of each Agent: options, limits, gate

    def run(self, messages: Sequence[Message | Mapping[str, Any]]) -> TeamRun:
        """The answer of whoever has the conversation in the end. Raises SansiError as `Agent.run` does."""
        return run_sync(self.arun(messages))

    async def arun(self, messages: Sequence[Message | Mapping[str, Any]]) -> TeamRun:
        """As `run`, on the event loop of the caller."""
        if not self.members:
            raise SansiError("a team needs at least one member", param="members")
        chat = [message for message in read_messages(messages) if message.role != "system"]
        names, conversation = [next(iter(self.members))], f"team-{secrets.token_hex(6)}"
        while True:
            agent = Agent(self.client, self._tools(names[-1], len(names) <= self.max_handoffs), **self.settings)
            system = Message("system", self.members[names[-1]].instructions)
            run = await agent.arun([system, *chat], conversation=conversation)
            chat = list(run.messages[1:])
            passed = [r.observation for r in run.calls if r.call.name == HAND_OVER and r.ends_run]
            if not passed:
                return TeamRun(tuple(names), run)
            names.append(passed[-1].removeprefix("handed over to "))

    def _tools(self, name: str, may_pass: bool) -> list[Tool]:
        others = {other: member for other, member in self.members.items() if other != name}
        return [*self.members[name].tools, *([_hand_over(others)] if others and may_pass else [])]


def _hand_over(others: Mapping[str, TeamMember]) -> Tool:
    listed = "; ".join(f"{name}: {member.description}" for name, member in others.items())
    fields = {"to": {"enum": list(others)}, "why": {"type": "string"}}
    schema = {"type": "object", "properties": fields, "required": ["to"]}
    description = f"Hand the conversation over to somebody who is better placed: {listed}"
    pass_on = lambda to, why="": Result(f"handed over to {to}", ends_run=True)  # noqa: E731
    return Tool(HAND_OVER, description, schema, pass_on, origin="built-in")
