"""Runs pieces of code one after the other in one namespace, as the cells of a notebook."""

from __future__ import annotations

import _ast
import _signal
import builtins
import sys

from . import plots

ONLY_AST, TOP_LEVEL_AWAIT, COROUTINE = 0x400, 0x2000, 0x80  # as in ast.py and inspect.py, whose import takes long
LONGEST_ERROR, MOST_FRAMES = 8_000, 12  # characters, calls shown of a traceback

TYPE_CHECKING = False  # typing's own would import it
if TYPE_CHECKING:
    from types import CodeType
    from typing import Any

    Reply = dict[str, Any]


class Notebook:
    """One namespace and its count of cells."""

    def __init__(self) -> None:
        self.module = type(sys)("__main__")
        self.module.__dict__["__builtins__"] = builtins
        sys.modules["__main__"] = self.module
        sys.meta_path.insert(0, plots.QuietFonts)
        builtins.__dict__.update(exit=sys.exit, quit=sys.exit)  # as `site` does, which is left out
        self.sources: dict[str, str] = {}  # of every cell, for tracebacks
        self.running = False
        _signal.signal(_signal.SIGINT, self._interrupt)

    def run(self, source: str) -> tuple[Reply, list[bytes]]:
        """What became of the code: its error, if any, and its figures. What it prints goes to the standard output."""
        name = f"<cell {len(self.sources) + 1}>"
        self.sources[name] = source
        plots.begin()
        error = None
        try:
            self.running = True
            self._execute(source, name)
        except BaseException as raised:  # SystemExit too: the process stays
            self.running = False
            error = self._told(raised, source)
        self.running = False
        names, blobs = plots.finish()
        return {"error": error, "figures": names}, blobs

    def _execute(self, source: str, name: str) -> None:
        tree = compile(source, name, "exec", ONLY_AST | TOP_LEVEL_AWAIT, dont_inherit=True)
        last = tree.body.pop() if tree.body and isinstance(tree.body[-1], _ast.Expr) else None
        self._evaluate(compile(tree, name, "exec", TOP_LEVEL_AWAIT, dont_inherit=True))
        if last is not None:
            expression = _ast.Expression(body=last.value)
            value = self._evaluate(compile(expression, name, "eval", TOP_LEVEL_AWAIT, dont_inherit=True))
            _show(value, self.module.__dict__)

    def _evaluate(self, code: CodeType) -> Any:
        value = eval(code, self.module.__dict__)
        if code.co_flags & COROUTINE:
            import asyncio

            return asyncio.run(value)
        return value

    def _told(self, raised: BaseException, source: str) -> str:
        try:
            return _told(raised, source, self.sources)
        except BaseException:  # no memory, no open file, or no sense is left for a traceback
            return f"{type(raised).__name__}: {raised.args[0] if raised.args else ''}"[:LONGEST_ERROR]

    def _interrupt(self, number: int, frame: Any) -> None:
        if self.running:  # else the code had just ended
            raise KeyboardInterrupt


def _show(value: Any, namespace: dict[str, Any]) -> None:
    if value is None or plots.take(value):
        return
    namespace["_"] = value
    print(repr(value))


def _told(raised: BaseException, source: str, sources: dict[str, str]) -> str:
    """The error as a traceback through the user's code alone, and a hint where one is known to help."""
    import linecache
    import traceback

    for name, text in sources.items():
        linecache.cache[name] = (len(text), None, text.splitlines(True), name)

    if isinstance(raised, SystemExit):
        return f"the code called exit({'' if raised.code is None else repr(raised.code)}); variables are kept"
    if isinstance(raised, KeyboardInterrupt):
        return "KeyboardInterrupt"
    told = traceback.TracebackException.from_exception(raised, limit=None)
    told.stack = _cells_only(told.stack)
    text = "".join(told.format()).rstrip()
    if len(text) > LONGEST_ERROR:
        text = f"{text[: LONGEST_ERROR // 2]}\n[...]\n{text[-LONGEST_ERROR // 2 :]}"
    return text + _hint(raised, source)


def _cells_only(stack: Any) -> Any:
    """Without our own frames and those between the user's code and where a library raised."""
    import traceback

    own = [index for index, frame in enumerate(stack) if frame.filename.startswith("<cell ")]
    kept = [stack[index] for index in own][-MOST_FRAMES:]
    if stack and (not own or own[-1] != len(stack) - 1) and "/inside/" not in stack[-1].filename:
        kept.append(stack[-1])
    return traceback.StackSummary.from_list(kept)


def _hint(raised: BaseException, source: str) -> str:
    if isinstance(raised, SyntaxError) and any(line.lstrip()[:1] in ("!", "%") for line in source.splitlines()):
        return "\n(This is Python without IPython: lines with ! or % do not work; subprocess runs programs.)"
    if isinstance(raised, EOFError):
        return "\n(Nobody can type here: input() has nothing to read.)"
    if isinstance(raised, MemoryError):
        return "\n(The memory limit of the sandbox was reached.)"
    return ""
