"""Code that a model wrote is kept where it passes its test, and where the test would find that it does nothing."""

from __future__ import annotations

import ast
import re
import secrets

from sansi.data.ledger import Dropped
from sansi.data.synthesise.parsing import Code
from sansi.sandbox import Limits, Worker

LIMITS = Limits(seconds=10.0, cpu_seconds=10.0, memory=512 * 2**20)
FEWEST_ASSERTS = 3


def check_code(code: Code) -> Dropped | None:
    """Run it in the sandbox. Raises SansiError where no sandbox holds here."""
    try:
        solution, test = ast.parse(code.solution), ast.parse(code.test)
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        return Dropped("code: no Python", type(error).__name__)
    names = {node.name for node in ast.walk(solution) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)}
    if not names:
        return Dropped("code: no function", 0)
    asserts = [node for node in ast.walk(test) if isinstance(node, ast.Assert)]
    if len(asserts) < FEWEST_ASSERTS:
        return Dropped("code: few asserts", len(asserts))
    if names & {node.name for node in ast.walk(test) if isinstance(node, ast.FunctionDef | ast.ClassDef)}:
        return Dropped("code: the test defines what it tests", 0)
    if not any(isinstance(node, ast.Name) and node.id in names for each in asserts for node in ast.walk(each)):
        return Dropped("code: the test asks for nothing", 0)
    if (why := _error(code.solution, code.test)) is not None:
        return Dropped("code: fails its test", why)
    if _error(emptied(solution), code.test) is None:
        return Dropped("code: the test passes without it", 0)
    return None


def emptied(solution: ast.Module) -> str:
    """The solution with functions that do nothing."""
    tree = ast.parse(ast.unparse(solution))
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            node.body = [ast.Return(ast.Constant(None))]
    return ast.unparse(ast.fix_missing_locations(tree))


def _error(solution: str, test: str) -> str | None:
    """Why a test does not pass, in words that are the same at every run; None where it does."""
    done = secrets.token_hex(16)  # nothing that the code could print by itself
    with Worker(limits=LIMITS) as worker:
        result = worker.run(f"{solution}\n\n{test}\n\nprint({done!r})\n")
    if result.timed_out:
        return "takes too long"
    if result.error is not None:
        last = result.error.strip().rpartition("\n")[2]
        found = re.match(r"[A-Za-z_][\w.]*", last)
        return found[0] if found and "Traceback" in result.error else "stopped"
    return None if done in result.text else "ended early"
