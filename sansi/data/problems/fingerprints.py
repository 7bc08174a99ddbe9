"""Who judges, as digests: what a verifier is made of, so that a run notices when another one would go on with it.

A digest is of a function's source without comments and layout, of its defaults and of the values that it closes over,
and of whatever of the same module it names: helpers, constants, classes. What comes with Sansi counts by its
name, what is installed by its name and version.
"""

from __future__ import annotations

import ast
import contextlib
import functools
import hashlib
import importlib.metadata
import inspect
import json
import sys
import textwrap
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from types import CodeType, FunctionType, ModuleType
from typing import Any

from sansi.base.errors import SansiError
from sansi.data.problems.attributes import load_attribute
from sansi.data.problems.gym import GymTask
from sansi.data.problems.own import JsonlTask, VerifierTask, is_function
from sansi.data.problems.registry import FunctionTask, task_of
from sansi.data.problems.task import Problem, Task

LONGEST_PLAIN = 100_000  # characters of a value's description that is still compared
MOST_PARTS = 2_000


def judge_fingerprint(task: Task | None, problems: Iterable[Problem]) -> dict[str, str]:
    """A digest for each verifier that will judge answers to `problems`, by name. task: as in `judge`; None: each
    problem's own."""
    if task is not None and not isinstance(task, JsonlTask):
        return {task.name: task_digest(task)}
    tasks: dict[tuple[str, str], Task] = {}
    for problem in problems:
        if (key := _key(problem)) not in tasks:
            own = task_of(problem) if task is None else task
            tasks[key] = VerifierTask.of(problem) if isinstance(own, JsonlTask) else own
    return {_name(found): task_digest(found) for found in tasks.values()}


def known_verifiers(problems: Iterable[Problem]) -> dict[str, str]:
    """A digest for each verifier of the problems, by name; one that can not be loaded now is left out."""
    found: dict[str, str] = {}
    for problem in {_key(problem): problem for problem in problems}.values():
        with contextlib.suppress(SansiError):
            found |= judge_fingerprint(None, [problem])
    return found


def _key(problem: Problem) -> tuple[str, str]:
    """Problems with the same one have the same verifier."""
    return problem.task, json.dumps(problem.verifier, sort_keys=True, default=repr)


def task_digest(task: Task) -> str:
    """What judges, in sixteen hexadecimal digits: the same in every process that has the same code."""
    digest = hashlib.sha256()
    for part in _parts_of(task):
        digest.update(f"{part}\0".encode("utf-8", "surrogatepass"))
    return digest.hexdigest()[:16]


def _name(task: Task) -> str:
    if not isinstance(task, VerifierTask):
        return task.name
    verifier = task.verifier
    return verifier if isinstance(verifier, str) else str(verifier.get("name", "verifier"))


def _parts_of(task: Task) -> Iterator[str]:
    if isinstance(task, GymTask):
        yield f"reasoning-gym {_version('reasoning-gym')} {task.name}"
    elif isinstance(task, VerifierTask) and is_function(task.verifier):
        yield from _Walk().parts(load_attribute(task.verifier))
    elif isinstance(task, VerifierTask):
        yield json.dumps(task.verifier, sort_keys=True, default=repr)
    elif isinstance(task, FunctionTask):
        yield from _Walk().parts(task.function)
    else:
        yield from _Walk().parts(task)


@functools.cache
def _version(package: str) -> str:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return "unknown"


class _Walk:
    """Describes a function or an object, and what it names, each once."""

    def __init__(self) -> None:
        self._seen: set[int] = set()
        self._kept: list[Any] = []  # an id belongs to its object only as long as that lives

    def parts(self, value: Any) -> Iterator[str]:
        if isinstance(value, bool | int | float | complex | str | bytes | type(None)):
            yield repr(value)[:LONGEST_PLAIN]
            return
        if id(value) in self._seen or len(self._seen) > MOST_PARTS:
            return
        self._seen.add(id(value))
        self._kept.append(value)
        yield from self._structure(value)

    def _structure(self, value: Any) -> Iterator[str]:
        if isinstance(value, functools.partial):
            yield from self._all("partial", [value.func, value.args, value.keywords])
        elif inspect.ismethod(value):
            yield from self._all("method", [value.__func__, value.__self__])
        elif isinstance(value, FunctionType):
            yield from self._function(value)
        elif isinstance(value, type):
            yield from self._class(value)
        elif isinstance(value, Mapping):
            yield from self._all("mapping", [part for pair in sorted(value.items(), key=repr) for part in pair])
        elif isinstance(value, set | frozenset):
            yield from self._all("set", sorted(value, key=repr))
        elif isinstance(value, list | tuple):
            yield from self._all("list", value)
        elif isinstance(value, ModuleType) or not hasattr(value, "__dict__"):
            yield _plain_name(value)
        else:
            yield from self._all("object", [type(value), vars(value)])

    def _all(self, kind: str, values: Iterable[Any]) -> Iterator[str]:
        yield kind
        for value in values:
            yield from self.parts(value)

    def _function(self, function: FunctionType) -> Iterator[str]:
        inner = inspect.unwrap(function)
        if inner is not function:
            yield from self.parts(inner)
        if _is_installed(function):
            yield _installed_name(function)
            return
        yield _source(function)
        closed = [cell.cell_contents for cell in function.__closure__ or () if _is_filled(cell)]
        yield from self._all("given", [function.__defaults__, function.__kwdefaults__, closed])
        for name in sorted(_names(function.__code__) & function.__globals__.keys()):
            yield f"{name}="
            yield from self.parts(function.__globals__[name])

    def _class(self, cls: type) -> Iterator[str]:
        if _is_installed(cls):
            yield _installed_name(cls)
            return
        yield cls.__qualname__
        yield from self._all("bases", cls.__bases__)
        for name, value in sorted(vars(cls).items()):
            if isinstance(value, property):
                value = value.fget
            value = getattr(value, "__func__", value)  # of a class's or static method
            if not name.startswith("__") or isinstance(value, FunctionType):
                yield f"{name}="
                yield from self.parts(value)


def _plain_name(value: Any) -> str:
    owner = value if hasattr(value, "__qualname__") or isinstance(value, ModuleType) else type(value)
    return f"{getattr(owner, '__module__', '')}.{getattr(owner, '__qualname__', getattr(owner, '__name__', ''))}"


def _installed_name(value: Any) -> str:
    name = _plain_name(value)
    package = name.split(".")[0]
    known = package != "sansi" and package not in sys.stdlib_module_names
    return f"{name} {_version(package)}" if known else name


def _is_installed(value: Any) -> bool:
    """Whether it comes with Python, with Sansi or from a package, whose versions change rarely and on purpose."""
    module = inspect.getmodule(value)
    file = getattr(module, "__file__", None)
    if module is None or module.__name__ == "__main__":
        return False
    if file is None:
        return module.__name__ in ("builtins", "typing") or not isinstance(value, FunctionType)
    parts = Path(file).parts
    return module.__name__.split(".")[0] == "sansi" or "site-packages" in parts or Path(file).is_relative_to(_STDLIB)


_STDLIB = Path(ast.__file__).parent


def _source(function: FunctionType) -> str:
    """Its source without comments and layout; its byte code where no source can be read."""
    try:
        return ast.unparse(ast.parse(textwrap.dedent(inspect.getsource(function))))
    except (OSError, TypeError, SyntaxError, ValueError):
        return _bytecode(function.__code__)


def _bytecode(code: CodeType) -> str:
    inner = [_bytecode(value) if isinstance(value, CodeType) else repr(value) for value in code.co_consts]
    return f"{code.co_code.hex()} {code.co_names} {code.co_varnames} {inner}"


def _names(code: CodeType) -> set[str]:
    found = set(code.co_names)
    for value in code.co_consts:
        if isinstance(value, CodeType):
            found |= _names(value)
    return found


def _is_filled(cell: Any) -> bool:
    try:
        return cell.cell_contents is not cell
    except ValueError:  # a name that is not bound yet
        return False
