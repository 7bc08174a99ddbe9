"""Worked solutions: from the text of a question to a thought that shows each step, and the answer it ends in.

The notation is terse, because every character of a number is a token: `47+38:7+8=15,4+3+1=8;85` adds column by
column from the ones and puts the sum behind the semicolon. A solver reads only the question, as a model does.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

from sansi.base.errors import SansiError, did_you_mean


@dataclass(frozen=True)
class Solution:
    thought: str
    answer: str


def solve(family: str, question: str) -> Solution:
    """The worked solution of a question. Raises SansiError when the family is unknown or the text is not its own."""
    return _SOLVERS[_known(family)](*operands(family, question))


def operands(family: str, question: str) -> tuple[str, ...]:
    """What the question is about, without its words: the expression of a sum, the two numbers of a GCD, and so on.

    Raises SansiError as `solve` does.
    """
    pattern = _QUESTIONS[_known(family)]
    found = re.search(pattern, question, re.DOTALL)
    if not found:
        raise SansiError(f"the question does not read as expected ({pattern!r}): {question!r}")
    return found.groups()


def canonical(task: str, question: str) -> tuple[str, ...]:
    """What makes two questions the same problem: of a task with a solver its operands, without what does not matter.

    Neither spaces nor the order of a GCD's numbers nor the name of an unknown; of any other task, the question's words.
    """
    found = re.search(_QUESTIONS[task], question, re.DOTALL) if task in _QUESTIONS else None
    if not found:
        return (" ".join(question.split()),)
    facts = [fact.replace(" ", "") for fact in found.groups()]
    if task == "letter_counting":
        facts = [fact.lower() for fact in found.groups()]
    elif task == "spell_backward":
        facts = [facts[0].lower()]
    elif task == "gcd":
        facts.sort()
    elif task == "simple_equations":
        facts[0] = re.sub("[a-z]", "x", facts[0])
    return tuple(facts)


def _known(family: str) -> str:
    if family not in _SOLVERS:
        raise SansiError(f'no solver for "{family}"{did_you_mean(family, _SOLVERS)}', param="family")
    return family


_QUESTIONS = {
    "chain_sum": r"problem: (.*) =$",
    "count_bits": r"number (\d+)\?",
    "gcd": r"numbers: (\d+), (\d+)\.",
    "letter_counting": r'letter "(.)" appear in the text: "(.*)"\?$',
    "simple_equations": r": ([^:]*) = (-?\d+)$",
    "spell_backward": r"-> nus\): (\S+)$",
}


# --- sums ---------------------------------------------------------------------------------------------------------


def _columns_add(a: int, b: int) -> str:
    """Column sums of a + b from the ones up, with the carry as a third summand."""
    steps, carry = [], 0
    low, high = str(b)[::-1], str(a)[::-1]
    for i in range(max(len(low), len(high))):
        digits = [n[i] for n in (high, low) if i < len(n)] + (["1"] if carry else [])
        total = sum(map(int, digits))
        steps.append(f"{'+'.join(digits)}={total}" if len(digits) > 1 else digits[0])
        carry = total >= 10
    return ",".join(steps)


def _columns_subtract(a: int, b: int) -> str:
    """Column differences of a - b, a >= b, from the ones up; a borrowed ten is written into the column."""
    steps, borrow = [], 0
    low, high = str(b)[::-1], str(a)[::-1]
    for i in range(len(high)):
        top, below = int(high[i]) - borrow, int(low[i]) if i < len(low) else 0
        borrow = top < below
        top += 10 * borrow
        steps.append(f"{top}-{below}={top - below}")
    return ",".join(steps)


def add_step(total: int, term: int) -> str:
    """One line that shows `total + term`, by columns when both have two digits or more."""
    value = total + term
    sign = "+" if term >= 0 else "-"
    left, right = abs(total), abs(term)
    if left < 10 or right < 10:
        return f"{total}{sign}{right}={value}"
    if (total < 0) == (term < 0):
        rewritten = f"=-({left}+{right})" if total < 0 else ""
        columns = _columns_add(left, right)
    else:
        big, small = max(left, right), min(left, right)
        plain = total > 0 and left >= right
        rewritten = "" if plain else f"={'-' if value < 0 else ''}({big}-{small})"
        columns = _columns_subtract(big, small)
    return f"{total}{sign}{right}{rewritten}:{columns};{value}"


def _chain_sum(expression: str) -> Solution:
    terms = [int(term) for term in re.findall(r"[+-]?\d+", expression.replace(" ", ""))]
    total, lines = terms[0], []
    for term in terms[1:]:
        lines.append(add_step(total, term))
        total += term
    return Solution("\n".join(lines), str(total))


# --- other arithmetic -----------------------------------------------------------------------------------------------


def _gcd(first: str, second: str) -> Solution:
    """Euclid's algorithm: quotient by a product, then the rest."""
    b, a = sorted((int(first), int(second)))
    lines = []
    while b:
        quotient = a // b
        lines.append(f"{a}:{b}*{quotient}={b * quotient},{a % b}")
        a, b = b, a % b
    return Solution("\n".join(lines), str(a))


def _count_bits(number: str) -> Solution:
    """Halve until nothing is left, counting the odd ones."""
    n = int(number)
    steps, ones = [], 0
    while n:
        ones += n % 2
        steps.append(f"{n}:{ones}")
        n //= 2
    return Solution(",".join(steps), str(ones))


def _simple_equations(left: str, right: str) -> Solution:
    """Bring the constant to the other side, then divide by the coefficient."""
    coefficient, constant, variable = 0, 0, ""
    for term in re.findall(r"[+-]?[^+-]+", left.replace(" ", "")):
        if unknown := re.fullmatch(r"([+-]?)(?:(\d+)\*)?([a-z])", term):
            coefficient += int(unknown[1] + (unknown[2] or "1"))
            variable = unknown[3]
        else:
            constant += int(term)
    other = int(right)
    if coefficient < 0:  # a*x = constant - right keeps the coefficient positive
        coefficient, constant, other = -coefficient, other, constant
    lines = []
    total = other - constant
    if constant:
        lines.append(add_step(other, -constant))
    value = total // coefficient
    if coefficient > 1:
        lines.append(f"{coefficient}{variable}={total}")
        lines.append(f"{coefficient}*{value}={total}")
    lines.append(f"{variable}={value}")
    return Solution("\n".join(lines), str(value))


# --- letters --------------------------------------------------------------------------------------------------------


def _letter_counting(letter: str, text: str) -> Solution:
    """Spell every word and put the running count behind each letter that counts."""
    count, words = 0, []
    for word in text.lower().split():
        spelled = []
        for character in word:
            count += character == letter
            spelled.append(f" {character}" + (str(count) if character == letter else ""))
        words.append("".join(spelled))
    return Solution(",".join(words), str(count))


def _spell_backward(word: str) -> Solution:
    """Number the letters, then read them from the last to the first."""
    numbered = [f" {letter}{i}" for i, letter in enumerate(word, 1)]
    return Solution("".join(numbered) + "\n" + "".join(reversed(numbered)), word[::-1])


_SOLVERS: dict[str, Callable[..., Solution]] = {
    "chain_sum": _chain_sum,
    "count_bits": _count_bits,
    "gcd": _gcd,
    "letter_counting": _letter_counting,
    "simple_equations": _simple_equations,
    "spell_backward": _spell_backward,
}
