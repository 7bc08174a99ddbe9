"""A reward is for a right answer in the right form, and for nothing else."""

from __future__ import annotations

import pytest
from sansi.base import SansiError
from sansi.data.problems import Problem, Verdict, generate, verify_safely
from sansi.post.rewards import Reward, reasoning_reward
from sansi.text import Message

PROBLEM = Problem("gcd", "?", "12", {})


@pytest.mark.parametrize(
    ("thought", "answer", "end", "expected"),
    [
        ("24:12*2=24,0", "12", "natural", (1.0, True, True)),
        ("24:12*2=24,0", "  12\n", "natural", (1.0, True, True)),
        ("24:12*2=24,0", "13", "natural", (0.0, False, True)),
        ("24:12*2=24,0", "The answer is 12", "natural", (0.0, False, True)),  # the gym's partial credit
        ("24:12*2=24,0", "", "natural", (0.0, False, False)),
        ("  \n", "12", "natural", (0.0, True, False)),  # no thought
        (None, "12", None, (0.0, True, False)),
        ("24:", "12", "budget", (0.0, True, False)),  # closed for the model
        ("24:12*2", "", "length", (0.0, False, False)),
    ],
)
def test_reasoning_reward(thought, answer, end, expected):
    message = Message("assistant", answer, reasoning_content=thought)
    verdict = verify_safely(None, PROBLEM, message)
    reward = reasoning_reward(verdict, message, end)
    assert (reward.value, reward.right, reward.well_formed) == expected


def test_full_marks_are_the_gyms_own():
    problem = generate("spell_backward", 7_000_000, 0)
    for answer, value in ((problem.answer, 1.0), (problem.answer.upper(), 1.0), (problem.answer + "x", 0.0)):
        message = Message("assistant", answer, reasoning_content=".")
        assert reasoning_reward(verify_safely(None, problem, message), message, "natural").value == value


def test_marks_in_between_and_verdicts_that_are_unknown():
    message = Message("assistant", "12", reasoning_content="24")
    half, unknown = Verdict(0.5, "wrong"), Verdict(None, "unknown", detail="raised: no")
    assert reasoning_reward(half, message, "natural") == Reward(0.5, False, True)
    assert reasoning_reward(half, message, "budget") == Reward(0.0, False, False)
    assert reasoning_reward(unknown, message, "natural") == Reward(None, False, True, "raised: no")
    for value in ("1", float("nan"), float("-inf")):
        with pytest.raises(SansiError, match='"reward" is'):
            Reward(value, True, True)
    assert isinstance(Reward(1, True, True).value, float)
