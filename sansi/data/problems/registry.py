"""Tasks by name: the gym's, those of installed packages, a function of one's own, a file of problems."""

from __future__ import annotations

import functools
import importlib.metadata
import inspect
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sansi.base.errors import SansiError, did_you_mean
from sansi.base.installing import install_command
from sansi.data.problems import gym
from sansi.data.problems.attributes import load_attribute
from sansi.data.problems.own import JsonlTask, VerifierTask
from sansi.data.problems.task import Problem, Task, Verdict, as_verdict, check_task
from sansi.text import Message

GROUP = "sansi.tasks"
"""The entry point group in which an installed package names its tasks."""


@dataclass(frozen=True)
class TaskInfo:
    """What can be said of a task before it is loaded."""

    name: str
    source: str
    """Who brings it: "reasoning-gym", or the package whose entry point names it."""
    levels: int | None
    """None: not known before it is loaded."""
    note: str = ""
    """What is special about it: parameters instead of a curriculum, levels that are left out and why."""


@dataclass(frozen=True)
class FunctionTask:
    """A verifier of one's own as a task: it judges problems, and draws none."""

    name: str
    function: Callable[[Problem, Message], Any]
    trusted: bool = False
    levels: int = 1

    def problem(self, seed: int, difficulty: int = 0) -> Problem:
        raise SansiError(f"{self.name} is a verifier alone and draws no problems; give problems with it", param="task")

    def verify(self, problem: Problem, message: Message) -> Verdict:
        return as_verdict(self.function(problem, message))


def get_task(name: str) -> Task:
    """The task of a name: one of `list_tasks()`, a JSONL file, or `module:attribute` (also `file.py:attribute`).

    The attribute is a Task, a function without arguments that makes one, or a verifier `(problem, message)`. Raises
    SansiError for a name that nothing has, and for what is not a task.
    """
    if not isinstance(name, str) or not name:
        raise SansiError(f"a task's name must be a text, not {name!r:.80}", param="task")
    if name in _entry_points():
        return _from_entry_point(name)
    if name in gym.names():
        return gym.GymTask(name)
    if name.endswith((".jsonl", ".json")):
        path = Path(name)
        stat = path.stat() if path.is_file() else None
        return _from_file(name, stat and (stat.st_mtime_ns, stat.st_size))
    if ":" in name:
        return _from_attribute(name)
    known = [*_entry_points(), *gym.names()]
    hint = "" if gym.names() else f"; reasoning-gym's tasks need {install_command('train')}"
    raise SansiError(
        f'there is no task "{name}"{did_you_mean(name, known)} (or a file.jsonl, or module:attribute){hint}',
        param="task",
    )


def list_tasks() -> list[TaskInfo]:
    """Every task that has a name here: of installed packages, then reasoning-gym's."""
    own = [
        TaskInfo(name, point.dist.name if point.dist else "a package", None) for name, point in _entry_points().items()
    ]
    gyms = [TaskInfo(name, "reasoning-gym", gym.levels_of(name), gym.note_of(name)) for name in gym.names()]
    return own + [info for info in gyms if info.name not in _entry_points()]


def task_of(problem: Problem) -> Task:
    """Who verifies a problem: its verifier if it names one, else the task of its name, else an exact comparison."""
    if problem.verifier is not None:
        return VerifierTask.of(problem)
    if ":" in problem.task or problem.task.endswith(".jsonl") or _is_registered(problem.task):
        return get_task(problem.task)
    return VerifierTask.of(problem)


def as_task(task: Task | Callable[[Problem, Message], Any] | str) -> Task:
    """A task from a task, its name, or a verifier `(problem, message) -> bool | marks | Verdict`."""
    if isinstance(task, str):
        return get_task(task)
    if callable(task) and not isinstance(task, type) and not hasattr(task, "verify"):
        name = getattr(task, "__qualname__", type(task).__name__)
        if not _takes_two(task):
            raise SansiError(f"the verifier {name} can not be called with (problem, message); let it take both")
        return FunctionTask(name, task)
    return check_task(task, "task")


def _is_registered(name: str) -> bool:
    return name in _entry_points() or name in gym.names()


@functools.cache
def _entry_points() -> dict[str, importlib.metadata.EntryPoint]:
    found: dict[str, importlib.metadata.EntryPoint] = {}
    for point in importlib.metadata.entry_points(group=GROUP):
        if point.name in found and point.value != found[point.name].value:
            raise SansiError(f'two packages name a task "{point.name}": {found[point.name].value} and {point.value}')
        found[point.name] = point
    return found


@functools.cache
def _from_entry_point(name: str) -> Task:
    point = _entry_points()[name]
    try:
        value = point.load()
    except Exception as error:
        raise SansiError(f'task "{name}" ({point.value}) can not be loaded: {error!r}', param="task") from error
    return _made(name, value, f'task "{name}" ({point.value})')


@functools.lru_cache(maxsize=64)
def _from_file(name: str, state: object) -> Task:
    return JsonlTask.from_file(name)


@functools.lru_cache(maxsize=64)
def _from_attribute(name: str) -> Task:
    return _made(name, load_attribute(name), f'task "{name}"')


def _made(name: str, value: Any, where: str) -> Task:
    """A task from what a name stands for: itself, or what it makes when it is called."""
    if hasattr(value, "verify") and not isinstance(value, type):
        return check_task(value, where)
    if not callable(value):
        return check_task(value, where)
    if not isinstance(value, type) and _takes_two(value):
        return FunctionTask(name, value)
    try:
        made = value()
    except Exception as error:
        raise SansiError(f"{where}: calling it without arguments failed: {error!r}", param="task") from error
    return check_task(made, where)


def _takes_two(function: Callable[..., Any]) -> bool:
    try:
        inspect.signature(function).bind(None, None)
    except ValueError:  # some of those in C have no signature
        return True
    except TypeError:
        return False
    return True
