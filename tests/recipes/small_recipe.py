"""A recipe of stages that take no time: letters are written down, joined, and counted step by step."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from sansi.base.config import Config
from sansi.data.problems import Problem
from sansi.data.problems.registry import task_of
from sansi.data.problems.task import as_verdict
from sansi.recipes.kinds import KINDS
from sansi.recipes.kinds.tasks import Problems, problems_of, read_problems
from sansi.recipes.recipe import Recipe
from sansi.recipes.stages import Inputs, Kind, Role, Stage, StageRun
from sansi.text import Message

made: list[str] = []
"""Stages and steps as they were worked at, in order."""
_kill_at: list[Callable[[str], bool]] = []


class Killed(BaseException):
    """Not an Exception, as the end of a process is none."""


def kill_at(place: str, times: int = 1) -> None:
    """Let the work die where `place` is reached for the n-th time."""
    count = itertools.count(1)
    _kill_at[:] = [lambda here: here == place and next(count) == times]


def work(place: str) -> None:
    if any(dies(place) for dies in _kill_at):
        _kill_at.clear()
        raise Killed(place)
    made.append(place)


@dataclass(frozen=True)
class Letters(Config):
    text: str = "a"
    count: int = 1


def write_letters(config: Letters, inputs: Inputs, run: StageRun) -> Path:
    work(run.name)
    joined = "".join(given.path.joinpath("text").read_text() for given in inputs.all("before"))
    (run.path / "text").write_text(joined + config.text * config.count)
    run.record(letters=len(joined) + config.count)
    work(f"{run.name} end")
    return run.path


@dataclass(frozen=True)
class Steps(Config):
    steps: int = 3


def count_steps(config: Steps, inputs: Inputs, run: StageRun) -> Path:
    """Works in its folder: a file for each step, and goes on at the first that is missing."""
    result = run.path / "result"
    result.mkdir(exist_ok=True)
    for step in range(config.steps):
        if not (result / str(step)).exists():
            work(f"{run.name} {step}")
            (result / str(step)).write_text(f"{step}{inputs['before'].joinpath('text').read_text()}{run.seed}")
    return result


BEFORE = Role("what is joined", ("corpus", "file"), many=True, optional=True)
LETTERS = Kind("letters", "writes letters", Letters, write_letters, "corpus", {"before": BEFORE})
STEPS = Kind(
    "steps",
    "counts",
    Steps,
    count_steps,
    "model",
    {"before": Role("what is counted", ("corpus",))},
    resumes=True,
    seeded=True,
)


@dataclass(frozen=True)
class Marks(Config):
    pass


def verify(problem: Problem, message: Message) -> float | None:
    return as_verdict(task_of(problem).verify(problem, message)).score


def give_marks(config: Marks, inputs: Inputs, run: StageRun) -> Path:
    work(run.name)
    problems = read_problems(inputs["problems"])
    (run.path / "marks").write_text(str([verify(p, Message("assistant", "ab")) for p in problems]))
    return run.path


JUDGE = Kind(
    "judge",
    "judges answers",
    Marks,
    give_marks,
    "evaluation",
    {"problems": Role("what is asked", ("problems",))},
    judged=lambda config, inputs: problems_of(inputs, "problems"),
)


def judging_recipe(file: Path) -> Recipe:
    """asked -> judged: problems of a file, and an answer that their verifiers judge."""
    given: dict[str, tuple[str, ...]] = {"file": (str(file),)}
    asked = Stage("asked", KINDS["problems"], Problems(draw="file"), given)
    return Recipe("judging", (asked, Stage("judged", JUDGE, Marks(), {"problems": ("asked",)})), until="judged")


def small_recipe(seed: int = 0, outside: Path | None = None, **changes: Config) -> Recipe:
    """first -> second -> steps, and beside them apart; `changes` are configurations by name of the stage."""
    before = {"before": (str(outside),)} if outside else {}
    stages = (
        Stage("first", LETTERS, Letters("a"), before),
        Stage("apart", LETTERS, Letters("z"), {}),
        Stage("second", LETTERS, Letters("b"), {"before": ("first",)}),
        Stage("steps", STEPS, Steps(), {"before": ("second",)}),
    )
    changed = tuple(Stage(s.name, s.kind, changes.get(s.name, s.config), s.inputs) for s in stages)
    return Recipe("small", changed, seed, until="steps")
