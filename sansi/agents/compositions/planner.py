"""A planner: a plan first, then each of its steps by an agent with tools, then the answer from what the steps found."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from sansi.agents.compositions import prompts
from sansi.agents.compositions.asking import items_of, reply_to
from sansi.agents.compositions.plan import PlanRun, StepDone, listed
from sansi.agents.events import Finished
from sansi.agents.loop import Agent
from sansi.agents.loop.agent import succeeded
from sansi.agents.running import run_sync
from sansi.agents.tool import Tool
from sansi.base import SansiError
from sansi.client import ChatClient
from sansi.text import Message


@dataclass
class Planner:
    """Plans with `client`, and works with `tools`; each step has the limits of `settings` for itself."""

    client: ChatClient
    tools: Sequence[Tool]
    max_steps: int = 6
    options: Mapping[str, Any] | None = None
    settings: Mapping[str, Any] = field(default_factory=dict)
    """Further arguments of each step's Agent: limits, gate."""

    def run(self, task: str, begun: PlanRun | None = None) -> PlanRun:
        """Stops at a step that waits for approval; `begun` goes on with it, once the gate has the answer.

        Raises SansiError where there is no plan, or none that waits, or as `Agent.run` does."""
        return run_sync(self.arun(task, begun))

    async def arun(self, task: str, begun: PlanRun | None = None) -> PlanRun:
        """As `run`, on the event loop of the caller."""
        agent = Agent(self.client, self.tools, options=self.options, **self.settings)
        plan = await self._resumed(agent, begun) if begun else PlanRun("", (), await self._steps(task))
        while plan.left and not plan.waiting:
            step, *left = plan.left
            done = StepDone(step, await agent.arun(_asked(task, plan, step)))
            plan = PlanRun("", (*plan.steps, done), tuple(left))
        if plan.waiting:
            return plan
        prompt = prompts.ANSWER.format(task=task, done=listed(plan.steps))
        return replace(plan, answer=await reply_to(self.client, prompt, self.options))

    async def _steps(self, task: str) -> tuple[str, ...]:
        names = ", ".join(f"{tool.name} ({tool.description.splitlines()[0]})" for tool in self.tools) or "none"
        prompt = prompts.PLAN.format(task=task, tools=names, most=self.max_steps)
        steps = items_of(await reply_to(self.client, prompt, self.options), self.max_steps)
        if not steps:
            raise SansiError("the model wrote no plan", param="task")
        return tuple(steps)

    async def _resumed(self, agent: Agent, begun: PlanRun) -> PlanRun:
        if begun.waiting is None or begun.waiting.state is None:
            raise SansiError("the plan does not wait: each step that was begun has ended", param="begun")
        ends = [e.run async for e in agent.resume_astream(begun.waiting.state) if isinstance(e, Finished)]
        return replace(begun, steps=(*begun.steps[:-1], replace(begun.steps[-1], run=succeeded(ends[-1]))))


def _asked(task: str, plan: PlanRun, step: str) -> list[Message]:
    """Of the two only the task is the user's words; what steps found may be those of strangers."""
    prompt, tainted = prompts.STEP.format(done=listed(plan.steps), step=step), any(s.run.tainted for s in plan.steps)
    asked = Message("user", prompt, None, origin="the steps", tainted=tainted)
    return [Message("user", prompts.TASK.format(task=task)), asked]
