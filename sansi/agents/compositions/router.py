"""A router: a model reads what each agent is for, and the one that fits best answers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sansi.agents.compositions import prompts
from sansi.agents.compositions.asking import named_in, reply_to
from sansi.agents.loop import Agent
from sansi.agents.loop.run import AgentRun
from sansi.agents.running import run_sync
from sansi.base import SansiError
from sansi.client import ChatClient
from sansi.text import Message, read_messages


@dataclass(frozen=True)
class Expert:
    """An agent, and what it is for in one sentence."""

    agent: Agent
    description: str


@dataclass(frozen=True)
class Routed:
    """Who answered, and how."""

    name: str
    run: AgentRun
    guessed: bool = False
    """The router named none of the experts, so that the first one answered."""


class Router:
    """Chooses among experts by their descriptions; `options` are those of the choosing model."""

    def __init__(self, client: ChatClient, experts: Mapping[str, Expert], options: Mapping[str, Any] | None = None):
        if not experts:
            raise SansiError("a router needs at least one expert", param="experts")
        self.client, self.experts, self.options = client, dict(experts), options

    def run(self, messages: Sequence[Message | Mapping[str, Any]]) -> Routed:
        """The answer of the expert that fits. Raises SansiError as `Agent.run` does."""
        return run_sync(self.arun(messages))

    async def arun(self, messages: Sequence[Message | Mapping[str, Any]]) -> Routed:
        """As `run`, on the event loop of the caller."""
        question = next((m.content for m in reversed(read_messages(messages)) if m.role == "user"), "")
        listed = "\n".join(f"- {name}: {expert.description}" for name, expert in self.experts.items())
        said = await reply_to(self.client, prompts.ROUTE.format(experts=listed, question=question), self.options)
        name = named_in(said, self.experts)
        chosen = name or next(iter(self.experts))
        return Routed(chosen, await self.experts[chosen].agent.arun(messages), guessed=name is None)
