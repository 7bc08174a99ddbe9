"""What a rollout earned: the verdict of its task, gated by the form of a reasoning answer."""

from __future__ import annotations

from dataclasses import dataclass

from sansi.data.problems import Verdict
from sansi.data.problems.task import check_finite
from sansi.text import Message


@dataclass(frozen=True)
class Reward:
    """What a rollout earned, and for what. Raises SansiError for a value that is no finite number."""

    value: float | None
    """None where nobody can say, because the verifier failed: such a rollout counts in no mean and is not learned."""
    right: bool
    """The task's verifier gives the answer full marks."""
    well_formed: bool
    """One thought that the model closed itself, then a non-empty answer."""
    detail: str = ""
    """Why, for people, as the verifier says it."""

    def __post_init__(self) -> None:
        if self.value is not None:
            object.__setattr__(self, "value", check_finite("reward", self.value))


def reasoning_reward(verdict: Verdict, message: Message, thought_end: str | None) -> Reward:
    """The verdict's score for an answer in the right form, else 0. `thought_end`: the engine's reason why it ended.

    A right answer in the wrong form earns nothing: there is no reward for the form alone, nor for the answer alone.
    """
    answer, thought = (message.content or "").strip(), (message.reasoning_content or "").strip()
    well_formed = bool(answer) and bool(thought) and thought_end == "natural"
    value = None if verdict.score is None else verdict.score * well_formed
    return Reward(value, verdict.right, well_formed, verdict.detail)
