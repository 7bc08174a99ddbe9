"""Reasoning problems with verifiable answers, and worked solutions for them.

The questions and the scoring are reasoning-gym's, word for word; the thoughts are written by solvers of ours, which
read nothing but the question.
"""

from sansi.data.problems.families import (
    FAMILIES,
    Family,
    Problem,
    evaluation_set,
    generate,
    is_right,
    training_problems,
)
from sansi.data.problems.solvers import Solution, solve

__all__ = [
    "FAMILIES",
    "Family",
    "Problem",
    "Solution",
    "evaluation_set",
    "generate",
    "is_right",
    "solve",
    "training_problems",
]
