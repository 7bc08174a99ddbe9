"""A calculator that evaluates arithmetic and nothing else: a whitelist of syntax, with bounded work and numbers."""

from __future__ import annotations

import ast
import math
import operator
from collections.abc import Callable
from typing import Any

from sansi.agents.tool import Tool
from sansi.base import SansiError
from sansi.base.errors import did_you_mean

Number = int | float

MAX_CHARS = 500
MAX_DEPTH = 250  # a sum of MAX_CHARS characters is at most this deep; only towers of signs and brackets are deeper
MAX_BITS = 4096  # integers beyond about 1,233 digits help nobody and can eat all memory

_NAMES = {"pi": math.pi, "e": math.e, "tau": math.tau}
_SIGNS = str.maketrans({"×": "*", "·": "*", "÷": "/", "−": "-", "–": "-"})  # as people and models write them


def calculator(expression: str) -> str:
    """Compute an arithmetic expression, for example "(17 * 23 - 4) / 3".

    It knows + - * / // % ** and brackets; pi, e, tau; abs, round, floor, ceil, min, max, sqrt, exp, log, log2, log10,
    sin, cos, tan, gcd, lcm, factorial. Whole numbers are exact; other results have 15 significant digits.

    Args:
        expression: The arithmetic expression.
    """
    value = evaluate(expression)
    return str(value) if isinstance(value, int) else format(value, ".15g")


def tools(workspace: Any = None) -> list[Tool]:
    return [Tool.from_function(calculator, timeout=5.0, origin="built-in")]


def evaluate(expression: str) -> Number:
    """The value of an arithmetic expression. Raises SansiError for anything else and for results out of bounds.

    A division of integers without a remainder stays an integer, unlike in Python.
    """
    if len(expression) > MAX_CHARS:
        raise SansiError(f"the expression has {len(expression)} characters; at most {MAX_CHARS} are allowed")
    try:
        tree = ast.parse(expression.translate(_SIGNS).strip(), mode="eval")
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        raise SansiError(f"not an arithmetic expression: {_reason(error)}") from error
    return _value(tree.body, 0)


def _value(node: ast.expr, depth: int) -> Number:
    if depth > MAX_DEPTH:
        raise SansiError("the expression is nested too deeply")
    match node:
        case ast.Constant(value=int() | float() as number) if not isinstance(number, bool):
            return _bounded(number)
        case ast.Name(id=name) if name in _NAMES:
            return _NAMES[name]
        case ast.UnaryOp(op=ast.USub() | ast.UAdd() as sign, operand=operand):
            value = _value(operand, depth + 1)
            return -value if isinstance(sign, ast.USub) else value
        case ast.BinOp(left=left, op=op, right=right) if type(op) in _OPERATORS:
            return _apply(_OPERATORS[type(op)], _value(left, depth + 1), _value(right, depth + 1))
        case ast.Call(func=ast.Name(id=name), args=args, keywords=[]) if name in _FUNCTIONS:
            return _apply(_FUNCTIONS[name], *[_value(arg, depth + 1) for arg in args])
    raise SansiError(_refusal(node))


def _apply(function: Callable[..., Number], *values: Number) -> Number:
    try:
        return _bounded(function(*values))
    except SansiError:
        raise
    except ZeroDivisionError as error:
        raise SansiError("division by zero") from error
    except (ValueError, TypeError, OverflowError) as error:
        shown = ", ".join(format(v, ".6g") if isinstance(v, float) else str(v)[:20] for v in values)
        raise SansiError(f"{function.__name__.lstrip('_')}({shown}): {_reason(error)}") from error


def _bounded(value: Any) -> Number:
    if isinstance(value, int) and value.bit_length() > MAX_BITS:
        raise SansiError(f"a number in the computation has over {MAX_BITS} bits")
    if isinstance(value, complex):
        raise SansiError("the result is not a real number")
    if not isinstance(value, int) and not math.isfinite(value):
        raise SansiError("the result is too large for a floating-point number")
    return value


def _divide(left: Number, right: Number) -> Number:
    exact = isinstance(left, int) and isinstance(right, int) and right != 0 and left % right == 0
    return left // right if exact else left / right


def _power(base: Number, exponent: Number) -> Any:
    # Checked before computing: the result has at least this many bits, and less than twice as many.
    if isinstance(base, int) and isinstance(exponent, int) and (abs(base).bit_length() - 1) * exponent > MAX_BITS:
        raise SansiError(f"a number in the computation has over {MAX_BITS} bits")
    return base**exponent


def _factorial(number: Number) -> int:
    if number > MAX_BITS:
        raise SansiError(f"a number in the computation has over {MAX_BITS} bits")
    return math.factorial(number)  # type: ignore[arg-type]  # a fraction raises TypeError, which is reported


def _round(number: Number, digits: int = 0) -> Number:
    if isinstance(digits, int) and abs(digits) > 1000:  # round(1, -10**9) would compute 10**10**9
        raise SansiError("round takes -1000 to 1000 digits")
    return round(number, digits) if digits else round(number)


_OPERATORS: dict[type[ast.operator], Callable[..., Any]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: _divide,
    ast.FloorDiv: operator.floordiv,
    ast.Mod: operator.mod,
    ast.Pow: _power,
}
_FUNCTIONS: dict[str, Callable[..., Any]] = {
    **{f.__name__: f for f in (abs, min, max, math.floor, math.ceil, math.sqrt, math.exp, math.log, math.log2)},
    **{f.__name__: f for f in (math.log10, math.sin, math.cos, math.tan, math.gcd, math.lcm)},
    "round": _round,
    "factorial": _factorial,
}


def _refusal(node: ast.expr) -> str:
    match node:
        case ast.BinOp(op=ast.BitXor()):
            return 'the operator "^" is not known; write "**" for a power'
        case ast.Tuple():
            return "one number is wanted, not several; write numbers without thousands separators"
        case ast.Name(id=name):
            return f'unknown name "{name}"{did_you_mean(name, [*_NAMES, *_FUNCTIONS])}'
        case ast.Call(func=ast.Name(id=name), keywords=[]) if name not in _FUNCTIONS:
            return f'unknown function "{name}"{did_you_mean(name, _FUNCTIONS)}'
    return f"only arithmetic is allowed, not {type(node).__name__}"


def _reason(error: BaseException) -> str:
    return error.msg if isinstance(error, SyntaxError) else str(error) or type(error).__name__
