"""What may be handed to the gym's scorers: some evaluate an answer as Python, some accept what is no answer at all.

A model's answer is nobody's program. Where a scorer would run it, only text passes that can do nothing when it runs.
"""

from __future__ import annotations

import ast
import re

from sansi.data.problems.task import Problem

LONGEST_EXPRESSION = 20_000  # characters
# Their scorers call eval() on an answer that is not the expected text, to give partial credit for a list.
EVALUATED = {"string_insertion", "spiral_matrix", "binary_matrix", "n_queens"}
# Their scorers call sympy's parse_expr, which is eval() with sympy's names and Python's.
SUMS = {"countdown", "puzzle24"}
FORMULAS = {"simple_integration", "intermediate_integration", "polynomial_multiplication"}
_FUNCTIONS = {
    *("sin", "cos", "tan", "sec", "csc", "cot", "asin", "acos", "atan", "sinh", "cosh", "tanh", "asinh", "acosh"),
    *("atanh", "exp", "log", "ln", "sqrt", "Abs", "pi", "E"),
}
_SUM = re.compile(r"[0-9+\-*/(). ]+")
_FORMULA = re.compile(r"[0-9A-Za-z+\-*/^(). ]+")
_TOWER = re.compile(r"\d\s*(?:\*\*|\^)\s*\(?\s*(?:\d{4,}|\d+\s*(?:\*\*|\^))")  # 9**9**9 has no end
# These take whatever is not the one word for the other.
ONE_OF = {"game_of_life_halting": {"True", "False"}}


def acceptable(name: str, answer: str, problem: Problem) -> str | None:
    """Why an answer is wrong before the scorer sees it; None where the scorer may look."""
    if name in EVALUATED:
        return None if answer == str(problem.answer).strip() or _is_literal(answer) else "neither the answer nor a list"
    if name in SUMS:
        return _sum(answer, problem)
    if name in FORMULAS:
        return _formula(answer)
    if name in ONE_OF and answer not in ONE_OF[name]:
        return f"none of {', '.join(sorted(ONE_OF[name]))}"
    return None


def _is_literal(answer: str) -> bool:
    try:
        ast.literal_eval(answer)
    except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
        return False
    return True


def _sum(answer: str, problem: Problem) -> str | None:
    if len(answer) > LONGEST_EXPRESSION or not _SUM.fullmatch(answer) or "**" in answer or "//" in answer:
        return "not an expression of numbers, + - * / and brackets"
    given = problem.metadata.get("numbers")
    # The gym's scorer of puzzle24 takes any four numbers.
    if given is not None and sorted(map(int, re.findall(r"\d+", answer))) != sorted(map(int, given)):
        return "not the numbers of the puzzle, each used once"
    return None


def _formula(answer: str) -> str | None:
    words = re.findall(r"[A-Za-z]+", answer)
    if len(answer) > LONGEST_EXPRESSION or not _FORMULA.fullmatch(answer):
        return "not a formula"
    if odd := [word for word in words if len(word) > 1 and word not in _FUNCTIONS]:
        return f"not a formula: {odd[0]:.20}"
    if _TOWER.search(answer):
        return "not a formula: a power of a power of numbers"
    # An attribute needs a letter behind a dot; a number may have one before its digits.
    return "not a formula" if re.search(r"\.\s*[A-Za-z]", answer) else None
