"""An agent in an environment: the loop of agents, turn by turn, until there is a verdict."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sansi.agents import Agent, AgentRun, CallRecord, Limits, Tool
from sansi.client import ChatClient, Usage
from sansi.data.problems.environment import Environment, Episode, Step
from sansi.data.problems.task import Problem, Verdict, check_whole, unknown
from sansi.text import Message, read_messages


@dataclass(frozen=True)
class Play:
    """A finished episode."""

    problem: Problem
    messages: tuple[Message, ...]
    """The whole conversation: thoughts, calls, what tools and the user said."""
    calls: tuple[CallRecord, ...]
    turns: int
    """Answers that the user was given."""
    verdict: Verdict
    usage: Usage


def play(
    environment: Environment,
    client: ChatClient,
    seed: int,
    difficulty: int = 0,
    *,
    max_turns: int = 16,
    max_calls: int = 16,
    options: Mapping[str, Any] | None = None,
) -> Play:
    """Run one episode. `max_calls` bounds the tool calls of a turn, `max_turns` the turns: beyond them it is cut.

    An answer that a limit ended is cut, an aborted one and an environment that raises are unknown: nothing but an
    unreachable model stops a run (SansiError, as its client raises it).
    """
    check_whole("max_turns", max_turns, 1)
    episode = environment.reset(seed, difficulty)
    tools = [Tool.from_function(function) for function in episode.tools]
    # The model alone is judged: nobody tells it that it repeats itself, or claims what it has not done.
    limits = Limits(max_calls=max_calls, loop_breaker=None, ask_again=False)
    agent = Agent(client, tools, limits=limits, options=options)
    messages: tuple[Message, ...] = read_messages(episode.problem.messages)
    calls: tuple[CallRecord, ...] = ()
    usage = Usage()
    for turn in range(1, max_turns + 1):
        run = agent.run(messages)
        messages, calls, usage = run.messages, calls + run.calls, usage + run.usage
        step = _step(environment, episode, run)
        if step.verdict is not None:
            return Play(episode.problem, messages, calls, turn, step.verdict, usage)
        messages = (*messages, *step.messages)
    verdict = Verdict(0.0, "cut", detail=f"not over after {max_turns} turns")
    return Play(episode.problem, messages, calls, max_turns, verdict, usage)


def _step(environment: Environment, episode: Episode, run: AgentRun) -> Step:
    if run.stopped_reason in ("length", "context"):
        return Step(verdict=Verdict(0.0, "cut", detail="a limit ended the answer"))
    if run.stopped_reason == "abort":
        return Step(verdict=unknown("aborted", "the answer was aborted before its end"))
    try:
        return environment.step(episode, next(m for m in reversed(run.messages) if m.role == "assistant"))
    except Exception as error:
        return Step(verdict=unknown("raised", f"{type(error).__name__}: {error}"))
