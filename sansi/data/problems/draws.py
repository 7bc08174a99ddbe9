"""Sets to evaluate on and streams to train on, from several sources in turn or at random, never from the same seeds."""

from __future__ import annotations

import functools
import random
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence

from sansi.base.errors import SansiError
from sansi.data.problems.registry import as_task
from sansi.data.problems.seeds import EVALUATION_SEED, check_evaluation_seed, first_training_seed
from sansi.data.problems.task import Problem, Task, check_level, check_whole

Draw = Callable[[int], Problem]
"""Problem i of a sequence."""
MOST_REPEATS = 20_000  # questions in a row that were drawn before: so many, and a source has no more to give


def evaluation_problems(
    tasks: Sequence[Task | str], count: int, difficulty: int = 0, seed: int = EVALUATION_SEED
) -> list[Problem]:
    """`count` distinct problems of each task, the tasks in turn, from seeds that no training draws from.

    A task of a fixed size (a file) gives its first `count` of that level, whatever the seed: it can not know what was
    trained on, so keep a file for evaluation. Raises SansiError where a task has too few.
    """
    check_evaluation_seed(seed)
    check_whole("count", count, 1)
    found = _named(tasks)
    for task in found.values():
        check_level(task, difficulty)
    starts = {name: 0 if getattr(task, "size", None) else seed for name, task in found.items()}
    draws = {name: _draw(task, starts[name], difficulty) for name, task in found.items()}
    return distinct(draws, count * len(draws))


def task_problems(
    tasks: Sequence[Task | str] | Mapping[str, float],
    seed: int,
    difficulty: int | tuple[int, int] = 0,
    held_out: Collection[tuple[str, ...]] = frozenset(),
) -> Iterator[Problem]:
    """An endless, reproducible stream of training problems of several tasks in random order.

    tasks: in equal shares, or names with weights. difficulty: a level, or the lowest and the highest to draw from.
    held_out: the `key` of problems that are left out. Streams of different seeds (0 to 999) do not meet.
    """
    found = _named(list(tasks))
    weights = [float(tasks[name]) for name in found] if isinstance(tasks, Mapping) else None
    if weights is not None and (min(weights) < 0 or not 0 < sum(weights) < float("inf")):
        raise SansiError(f"weights of tasks must be at least 0, and one of them above: {weights}", param="tasks")
    low, high = difficulty if isinstance(difficulty, tuple) else (difficulty, difficulty)
    for task in found.values():
        check_level(task, low), check_level(task, high)
    if low > high:
        raise SansiError(f"difficulty {low} to {high}: the lowest comes first", param="difficulty")
    levels = random.Random(f"levels {seed}")
    start = first_training_seed(seed)

    def draw(task: Task, i: int) -> Problem:
        return task.problem(start + i, levels.randint(low, high))

    draws = {name: functools.partial(draw, task) for name, task in found.items()}
    return stream(draws, f"tasks {seed}", held_out, weights)


def distinct(draws: Mapping[str, Draw], count: int) -> list[Problem]:
    """`count` different questions, the sources in turn. Raises SansiError for a source that has too few."""
    names, indices = list(draws), dict.fromkeys(draws, 0)
    problems: dict[tuple[str, str], Problem] = {}
    repeats = 0
    while len(problems) < count:
        name = names[len(problems) % len(names)]
        problem = draws[name](indices[name])
        indices[name] += 1
        asked = (problem.question, str(problem.context))
        repeats = repeats + 1 if asked in problems else 0
        if repeats > MOST_REPEATS:
            raise SansiError(f"{name} has too few different questions for {count} problems; ask for fewer")
        problems.setdefault(asked, problem)
    return list(problems.values())


def stream(
    draws: Mapping[str, Draw],
    order: str,
    held_out: Collection[tuple[str, ...]] = frozenset(),
    weights: Sequence[float] | None = None,
) -> Iterator[Problem]:
    """An endless stream of the sources in a random order of that name, without problems whose `key` is held out."""
    names, rng, index = list(draws), random.Random(order), 0
    while True:
        name = rng.choice(names) if weights is None else rng.choices(names, weights)[0]
        problem = draws[name](index)
        index += 1
        if problem.key not in held_out:
            yield problem


def _named(tasks: Sequence[Task | str]) -> dict[str, Task]:
    if isinstance(tasks, str) or not tasks:
        raise SansiError(f"tasks must be a list of tasks or names, with one at least, not {tasks!r:.80}", param="tasks")
    found = {}
    for task in map(as_task, tasks):
        if task.name in found:
            raise SansiError(f"task {task.name} is named twice", param="tasks")
        found[task.name] = task
    return found


def _draw(task: Task, start: int, difficulty: int) -> Draw:
    return lambda i: task.problem(start + i, difficulty)
