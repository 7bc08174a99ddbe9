"""Rule-based rewards."""

from __future__ import annotations

from dataclasses import dataclass

from sansi.data.problems import Problem, is_right
from sansi.text import Message


@dataclass(frozen=True)
class Reward:
    """What a rollout earned, and for what."""

    value: float
    right: bool
    """The gym's own scorer accepts the answer text."""
    well_formed: bool
    """One thought that the model closed itself, then a non-empty answer."""


def reasoning_reward(problem: Problem, message: Message, thought_end: str | None) -> Reward:
    """1 for a right answer in the right form, else 0. `thought_end` is the engine's reason why the thought ended."""
    answer = (message.content or "").strip()
    well_formed = bool(answer) and bool((message.reasoning_content or "").strip()) and thought_end == "natural"
    right = is_right(problem, answer)
    return Reward(float(right and well_formed), right, well_formed)
