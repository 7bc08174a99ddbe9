"""Sets to evaluate on and streams to train on, from several sources in turn or at random, never from the same seeds."""

from __future__ import annotations

import functools
import itertools
import random
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence

from sansi.base.errors import SansiError
from sansi.data.problems.registry import as_task
from sansi.data.problems.seeds import EVALUATION_SEED, check_evaluation_seed, first_training_seed
from sansi.data.problems.task import Problem, Task, check_level, check_whole

Draw = Callable[[int], Problem]
"""Problem i of a sequence."""
USUAL_COUNT = 100
MOST_REPEATS = 20_000  # questions in a row that were drawn before: so many, and a source has no more to give


def evaluation_problems(
    tasks: Sequence[Task | str], count: int | None = None, difficulty: int | None = None, seed: int = EVALUATION_SEED
) -> list[Problem]:
    """`count` distinct problems of each task, the tasks in turn, from seeds that no training draws from.

    count: None for USUAL_COUNT, and all of a task of a fixed size (a file). Such a task gives its first ones, whatever
    the seed: it can not know what was trained on, so keep a file for evaluation. difficulty: None for the lowest level,
    and all levels of a task of a fixed size. Raises SansiError where a task has too few.
    """
    check_evaluation_seed(seed)
    if count is not None:
        check_whole("count", count, 1)
    found = named_tasks(tasks)
    if difficulty is not None:
        for task in found.values():
            check_level(task, difficulty)
    sets = [_evaluation_set(task, count, difficulty, seed) for task in found.values()]
    return [p for turn in itertools.zip_longest(*sets) for p in turn if p is not None]


def _evaluation_set(task: Task, count: int | None, difficulty: int | None, seed: int) -> list[Problem]:
    size = getattr(task, "size", None)
    if size is None:
        level = difficulty or 0
        return distinct({task.name: lambda i: task.problem(seed + i, level)}, count or USUAL_COUNT)
    if difficulty is None and (given := getattr(task, "problems", None)):
        problems = list(given)
    else:
        problems = [task.problem(i, difficulty or 0) for i in range(size)]
    different: dict[tuple[str, str], Problem] = {}
    for problem in problems:
        different.setdefault(_asked(problem), problem)
    if count is not None and count > len(different):
        where = f"{task.name} has {len(different)} problems" + ("" if difficulty is None else f" of level {difficulty}")
        raise SansiError(f"{where}, not {count}; ask for fewer", param="count")
    return list(different.values())[:count]


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
    found = named_tasks(list(tasks))
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
        asked = _asked(problem)
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


def _asked(problem: Problem) -> tuple[str, str]:
    return problem.question, str(problem.context)


def named_tasks(tasks: Sequence[Task | str]) -> dict[str, Task]:
    """The tasks by their names, in order. Raises SansiError for an empty list, and for a task that is named twice."""
    if isinstance(tasks, str) or not tasks:
        raise SansiError(
            f"tasks must be a list of tasks or names, with one at least, not {tasks!r:.80}; give one task at least",
            param="tasks",
        )
    found = {}
    for task in map(as_task, tasks):
        if task.name in found:
            raise SansiError(f"task {task.name} is named twice", param="tasks")
        found[task.name] = task
    return found
