"""A planner: a plan first, then each of its steps by an agent with tools, then the answer from what the steps found."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sansi.agents.compositions import prompts
from sansi.agents.compositions.asking import items_of, reply_to
from sansi.agents.loop import Agent
from sansi.agents.loop.run import AgentRun
from sansi.agents.running import run_sync
from sansi.agents.tool import Tool
from sansi.base import SansiError
from sansi.client import ChatClient
from sansi.text import Message


@dataclass(frozen=True)
class StepDone:
    """A step of the plan, and what came of it."""

    step: str
    run: AgentRun

    @property
    def result(self) -> str:
        failed = "" if self.run.stopped_reason in ("answer", "tool") else f" (not finished: {self.run.stopped_reason})"
        return f"{self.run.answer or 'no result'}{failed}"


@dataclass(frozen=True)
class PlanRun:
    """The answer, and how it came about."""

    answer: str
    steps: tuple[StepDone, ...]


@dataclass
class Planner:
    """Plans with `client`, and works with `tools`; each step has the limits of `settings` for itself."""

    client: ChatClient
    tools: Sequence[Tool]
    max_steps: int = 6
    options: Mapping[str, Any] | None = None
    settings: Mapping[str, Any] = field(default_factory=dict)
    """Further arguments of each step's Agent: limits, gate."""

    def run(self, task: str) -> PlanRun:
        """Raises SansiError where there is no plan, or as `Agent.run` does."""
        return run_sync(self.arun(task))

    async def arun(self, task: str) -> PlanRun:
        """As `run`, on the event loop of the caller."""
        names = ", ".join(f"{tool.name} ({tool.description.splitlines()[0]})" for tool in self.tools) or "none"
        prompt = prompts.PLAN.format(task=task, tools=names, most=self.max_steps)
        steps = items_of(await reply_to(self.client, prompt, self.options), self.max_steps)
        agent, done = Agent(self.client, self.tools, options=self.options, **self.settings), list[StepDone]()
        if not steps:
            raise SansiError("the model wrote no plan", param="task")
        for step in steps:
            prompt, tainted = prompts.STEP.format(done=_listed(done), step=step), any(s.run.tainted for s in done)
            # Of the two only the task is the user's words; what steps found may be those of strangers.
            asked = [
                Message("user", prompts.TASK.format(task=task)),
                Message("user", prompt, None, origin="the steps", tainted=tainted),
            ]
            done.append(StepDone(step, await agent.arun(asked)))
        answer = await reply_to(self.client, prompts.ANSWER.format(task=task, done=_listed(done)), self.options)
        return PlanRun(answer, tuple(done))


def _listed(done: Sequence[StepDone]) -> str:
    return "\n".join(f"{i}. {step.step}: {step.result}" for i, step in enumerate(done, 1)) or "nothing yet"
