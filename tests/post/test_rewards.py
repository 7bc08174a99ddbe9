"""A reward is for a right answer in the right form, and for nothing else."""

from __future__ import annotations

import pytest
from sansi.data.problems import Problem, generate
from sansi.post.rewards import Reward, reasoning_reward
from sansi.text import Message

PROBLEM = Problem("gcd", "?", "12", {})


@pytest.mark.parametrize(
    ("thought", "answer", "end", "expected"),
    [
        ("24:12*2=24,0", "12", "natural", Reward(1.0, True, True)),
        ("24:12*2=24,0", "  12\n", "natural", Reward(1.0, True, True)),
        ("24:12*2=24,0", "13", "natural", Reward(0.0, False, True)),
        ("24:12*2=24,0", "The answer is 12", "natural", Reward(0.0, False, True)),  # the gym's partial credit
        ("24:12*2=24,0", "", "natural", Reward(0.0, False, False)),
        ("  \n", "12", "natural", Reward(0.0, True, False)),  # no thought
        (None, "12", None, Reward(0.0, True, False)),
        ("24:", "12", "budget", Reward(0.0, True, False)),  # closed for the model
        ("24:12*2", "", "length", Reward(0.0, False, False)),
    ],
)
def test_reasoning_reward(thought, answer, end, expected):
    message = Message("assistant", answer, reasoning_content=thought)
    assert reasoning_reward(PROBLEM, message, end) == expected


def test_full_marks_are_the_gyms_own():
    problem = generate("spell_backward", 7_000_000, 0)
    for answer, value in ((problem.answer, 1.0), (problem.answer.upper(), 1.0), (problem.answer + "x", 0.0)):
        assert reasoning_reward(problem, Message("assistant", answer, reasoning_content="."), "natural").value == value
