"""Verifiers of one's own, in a module that a worker process imports quickly."""

from __future__ import annotations

from sansi.data.problems import Problem, Verdict
from sansi.text import Message


def generous(problem: Problem, message: Message) -> float:
    """Half marks for any answer but the expected one."""
    return 0.0 if message.content == problem.answer else 0.5


def broken(problem: Problem, message: Message) -> float:
    raise RuntimeError("out of order")


class Contrary:
    """A task that wants another answer."""

    name, levels = "contrary", 1

    def problem(self, seed: int, difficulty: int = 0) -> Problem:
        return Problem(self.name, "Say it.", "yes")

    def verify(self, problem: Problem, message: Message) -> Verdict:
        right = message.content != problem.answer
        return Verdict(float(right), "right" if right else "wrong")
