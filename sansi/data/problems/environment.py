"""Several turns with tools and a user: what an environment gives, what it is told, and when it is over."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Protocol, runtime_checkable

from sansi.base.errors import SansiError
from sansi.data.problems.task import Levelled, Problem, Verdict
from sansi.text import Message


@dataclass
class Episode:
    """One run of an environment: the environment alone changes it, by the tools and in `step`."""

    problem: Problem
    """Its `messages` open the conversation; its answer is hidden."""
    tools: tuple[Callable[..., Any], ...] = ()
    """Typed functions with docstrings that the model may call; an agent makes tools of them."""
    state: dict[str, Any] = field(default_factory=dict)
    """The environment's own."""


@dataclass(frozen=True)
class Step:
    """What follows an answer: the user's next messages, or the verdict on the whole. Raises SansiError for neither."""

    messages: tuple[Message, ...] = ()
    verdict: Verdict | None = None

    def __post_init__(self) -> None:
        if bool(self.messages) == (self.verdict is not None):
            raise SansiError("a step has either the user's next messages or a verdict")
        if self.messages and self.messages[-1].role != "user":
            raise SansiError(f"the last of a step's messages must be the user's, not {self.messages[-1].role}'s")

    @property
    def done(self) -> bool:
        return self.verdict is not None


@runtime_checkable
class Environment(Levelled, Protocol):
    """Episodes from a seed at a difficulty. `sansi.eval.play.play` runs one with an agent."""

    def reset(self, seed: int, difficulty: int = 0) -> Episode:
        """The episode of this seed, always the same. Raises SansiError for a level that there is not."""
        ...

    def step(self, episode: Episode, message: Message) -> Step:
        """What follows the assistant's answer to the user's last message, its tool calls answered."""
        ...
