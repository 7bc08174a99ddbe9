"""A plan as far as it has come: the steps that were done, the answer, or the run that waits."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sansi.agents.loop.run import AgentRun


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
    """The answer, and how it came about. Empty where a step waits for approval or was cancelled: see `waiting`."""

    answer: str
    steps: tuple[StepDone, ...]
    left: tuple[str, ...] = ()
    """Steps that were not begun."""

    @property
    def waiting(self) -> AgentRun | None:
        """The run at which the plan stopped: paused (its `pending` calls wait for an answer) or cancelled."""
        return self.steps[-1].run if self.steps and self.steps[-1].run.status in ("paused", "cancelled") else None


def listed(done: Sequence[StepDone]) -> str:
    """Steps and their results, for a prompt."""
    return "\n".join(f"{i}. {step.step}: {step.result}" for i, step in enumerate(done, 1)) or "nothing yet"
