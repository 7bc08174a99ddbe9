"""Asking and grading: in order, seeded one by one, scored by the gym on the answer text alone."""

from __future__ import annotations

import math

import pytest
from graded_answers import graded, result
from sansi.chat import ChatOptions
from sansi.data.problems import generate
from sansi.eval.problem_set import Score, ask


def test_score_by_hand():
    answers = [
        graded("gcd", True, reasoning_tokens=10, end="natural"),
        graded("gcd", False, reasoning_tokens=20, end="budget"),
        graded("chain_sum", True, reasoning_tokens=0),
        graded("gcd", True, reasoning_tokens=30, end="natural"),
    ]
    score = Score.of(answers)
    assert (score.problems, score.accuracy, score.reasoning_tokens) == (4, 0.75, 15)
    assert score.standard_error == pytest.approx(math.sqrt(0.75 * 0.25 / 4))
    assert score.by_family == {"chain_sum": 1.0, "gcd": pytest.approx(2 / 3)}
    assert list(score.by_family) == ["chain_sum", "gcd"]
    assert score.end_reasons == {"natural": 2, "budget": 1, "None": 1}


class AnswersInTurn:
    """Stands in for a chat model: gives its answers in turn, and keeps what it was asked."""

    def __init__(self, answers: list[str | None]):
        self.answers = answers

    def complete_batch(self, conversations, options, progress=False):
        self.conversations, self.options = conversations, options
        return [result(answer) for answer in self.answers]


def test_answers_are_graded_in_order_by_the_gym_and_each_has_its_own_seed():
    problems = [generate("chain_sum", 7_000_000, i) for i in range(4)]
    right = [problem.answer for problem in problems]
    chat = AnswersInTurn([right[0], f" {right[1]}\n", f"It is {right[2]}.", None])
    answers = ask(chat, problems, ChatOptions(temperature=0.5), suffix=" /think", seed=40)
    assert [g.right for g in answers] == [True, True, False, False]
    assert [g.problem for g in answers] == problems
    assert [o.seed for o in chat.options] == [40, 41, 42, 43] and {o.temperature for o in chat.options} == {0.5}
    assert chat.conversations[2] == [{"role": "user", "content": problems[2].question + " /think"}]
    told = answers[2].to_dict()
    assert (told["expected"], told["answer"], told["right"]) == (right[2], f"It is {right[2]}.", False)
