"""Reasoning problems with verifiable answers, and worked solutions for them.

The questions and the scoring are reasoning-gym's, word for word; the thoughts are written by solvers of ours, which
read nothing but the question. A problem may be asked in other words (`reword`), and there are problems of our own that
the gym does not draw (`ordinary_problems`).
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
from sansi.data.problems.ordinary import held_out_sums, ordinary_problem, ordinary_problems
from sansi.data.problems.solvers import Solution, operands, solve
from sansi.data.problems.wordings import reword

__all__ = [
    "FAMILIES",
    "Family",
    "Problem",
    "Solution",
    "evaluation_set",
    "generate",
    "held_out_sums",
    "is_right",
    "operands",
    "ordinary_problem",
    "ordinary_problems",
    "reword",
    "solve",
    "training_problems",
]
