"""An agent in an environment: tools, a user over several turns, and a verdict whatever happens."""

from __future__ import annotations

import json
import re

import pytest
from sansi.base import SansiError
from sansi.client import AssistantReply, Usage
from sansi.data.problems.environment import Environment, Episode, Step
from sansi.data.problems.environments import Till
from sansi.data.problems.task import Problem, Verdict
from sansi.eval.play import play
from sansi.text import Message, ToolCall


class Cashier:
    """Looks up every good of the user's last message with the tool, and adds up; `slip` is added to each total."""

    def __init__(self, slip: int = 0, finish: str = "stop", says: str = "{}"):
        self.slip, self.finish, self.says, self.total = slip, finish, says, 0

    def complete(self, messages, tools, **options):
        goods = re.findall(
            r"(\d+) ([a-z]+?)s?\b(?= and| more|\.)", [m for m in messages if m.role == "user"][-1].content
        )
        told = []
        for message in reversed(messages):
            if message.role != "tool":
                break
            told.insert(0, int(message.content))
        if not told:
            made = tuple(ToolCall(f"c{i}", "price", json.dumps({"good": good})) for i, (_, good) in enumerate(goods))
            return AssistantReply(Message("assistant", "", "To the tool.", made), "tool_calls", Usage(1, 1, 1))
        self.total += sum(int(count) * price for (count, _), price in zip(goods, told, strict=True))
        answer = self.says.format(self.total + self.slip)
        return AssistantReply(Message("assistant", answer, "Sum."), self.finish, Usage(1, 1, 1))


@pytest.mark.parametrize("difficulty", range(4))
def test_who_looks_up_and_adds_is_right(difficulty):
    done = play(Till(), Cashier(), seed=3, difficulty=difficulty)
    assert (done.verdict.outcome, done.verdict.score, done.turns) == ("right", 1.0, 2)
    assert done.verdict.parts["first"] == done.verdict.parts["both"] == 1.0
    assert len(done.calls) == difficulty + 2 and all(call.status == "ok" for call in done.calls)
    assert [m.role for m in done.messages if m.role != "tool"] == ["system", *["user", "assistant", "assistant"] * 2]
    assert done.usage == Usage(4, 4, 4)
    assert play(Till(), Cashier(), seed=3, difficulty=difficulty).messages == done.messages


def test_other_outcomes():
    assert play(Till(), Cashier(slip=1), 3).verdict.outcome == "wrong"
    assert play(Till(), Cashier(says="much"), 3).verdict.outcome == "malformed"
    assert play(Till(), Cashier(finish="length"), 3).verdict.outcome == "cut"
    assert play(Till(), Cashier(finish="abort"), 3).verdict.outcome == "unknown"
    cut = play(Till(), Cashier(), 3, max_turns=1)
    assert cut.verdict.outcome == "cut" and cut.verdict.detail == "not over after 1 turns"
    with pytest.raises(SansiError, match="max_turns"):
        play(Till(), Cashier(), 3, max_turns=0)


def test_an_environment_that_raises_is_unknown():
    class Broken(Till):
        def step(self, episode, message):
            raise KeyError("shelf")

    verdict = play(Broken(), Cashier(), 3).verdict
    assert (verdict.outcome, verdict.score, verdict.detail) == ("unknown", None, "raised: KeyError: 'shelf'")


def test_environments_and_steps_are_checked():
    assert isinstance(Till(), Environment)
    episode = Till().reset(0)
    assert isinstance(episode, Episode) and isinstance(episode.problem, Problem)
    with pytest.raises(SansiError, match="difficulty 4"):
        Till().reset(0, 4)
    with pytest.raises(SansiError, match="either"):
        Step()
    with pytest.raises(SansiError, match="either"):
        Step((Message("user", "x"),), Verdict(0.0, "wrong"))
    with pytest.raises(SansiError, match="must be the user's"):
        Step((Message("assistant", "x"),))


def test_the_model_is_judged_without_help():
    class Talker:
        asked = 0

        def complete(self, messages, tools, **options):
            Talker.asked += 1
            return AssistantReply(Message("assistant", "Let me look up the price."), "stop", Usage(1, 1, 1))

    done = play(Till(), Talker(), 3)
    assert done.verdict.outcome == "malformed" and Talker.asked == done.turns
