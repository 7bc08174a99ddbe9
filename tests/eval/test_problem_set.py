"""Asking and grading: in order, seeded one by one, scored by the gym on the answer text alone."""

from __future__ import annotations

import math

import pytest
from graded_answers import graded, result
from sansi.base import SansiError
from sansi.chat import ChatOptions
from sansi.data.problems import Problem, generate
from sansi.eval.intervals import wilson_interval
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
    assert score.standard_error == pytest.approx(math.sqrt(0.75 * 0.25 / 4 + 1 / 64) / 1.25)  # Wilson's, by hand
    assert score.outcomes == {"right": 3, "wrong": 1}
    assert score.by_family == {"chain_sum": 1.0, "gcd": pytest.approx(2 / 3)}
    assert list(score.by_family) == ["chain_sum", "gcd"]
    assert score.end_reasons == {"natural": 2, "budget": 1, "None": 1}


class AnswersInTurn:
    """Stands in for a chat model: gives its answers in turn, and keeps what it was asked."""

    finish_reason = "stop"

    def __init__(self, answers: list[str | None]):
        self.answers = answers

    def complete_batch(self, conversations, options, progress=False):
        self.conversations, self.options = conversations, options
        return [result(answer, finish=self.finish_reason) for answer in self.answers]


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
    assert (told["outcome"], told["score"], told["task"]) == ("wrong", 0.0, "chain_sum")
    assert [g.verdict.outcome for g in answers] == ["right", "right", "wrong", "unanswered"]


def test_a_cut_answer_is_cut_and_a_conversation_is_asked_as_it_stands():
    context = ({"role": "system", "content": "Be brief."},)
    problem = Problem("mine", "2 + 3", "5", context=context)
    chat = AnswersInTurn(["5"])
    chat.finish_reason = "length"
    (answer,) = ask(chat, [problem], ChatOptions(), suffix="?")
    assert answer.verdict.outcome == "cut" and not answer.right
    assert chat.conversations == [[{"role": "system", "content": "Be brief."}, {"role": "user", "content": "2 + 3?"}]]


def test_unknown_answers_are_counted_and_in_no_denominator():
    score = Score.of([graded("gcd", True), graded("gcd", None), graded("gcd", False), graded("lcm", None)])
    assert (score.problems, score.accuracy) == (4, 0.5)
    assert score.by_family == {"gcd": 0.5, "lcm": None}
    assert score.outcomes == {"right": 1, "wrong": 1, "unknown": 2}
    nothing = Score.of([graded("gcd", None)])
    assert (nothing.accuracy, nothing.standard_error, nothing.interval) == (None, None, None)


def test_nobody_is_certain_after_ten_answers():
    """A binomial standard error says 0.0 at 0 % and at 100 %."""
    for right in (True, False):
        score = Score.of([graded("gcd", right)] * 10)
        low, high = score.interval
        assert score.accuracy == float(right)
        assert 0.02 < score.standard_error < 0.1
        assert high - low == pytest.approx(0.2775, abs=1e-3) and 0.0 <= low < high <= 1.0
    assert wilson_interval(81, 263)[0] == pytest.approx(0.2553, abs=1e-4)  # Newcombe 1998, table I, method 3
    assert wilson_interval(81, 263)[1] == pytest.approx(0.3662, abs=1e-4)
    many = Score.of([graded("gcd", True)] * 900 + [graded("gcd", False)] * 900)
    assert many.standard_error == pytest.approx(math.sqrt(0.25 / 1800), rel=1e-3)


def test_a_score_of_nothing_is_refused():
    with pytest.raises(SansiError, match="no answers to score"):
        Score.of([])
    with pytest.raises(SansiError, match="no problems"):
        ask(AnswersInTurn([]), [], ChatOptions())
    with pytest.raises(SansiError, match=r"problems\[0\] is 'gcd'"):
        ask(AnswersInTurn([]), ["gcd"], ChatOptions())
