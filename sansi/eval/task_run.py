"""How a model does on tasks: a set of problems of each, its accuracy with how sure that is, and every outcome."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from sansi.base import SansiError
from sansi.base.files import write_json, write_text
from sansi.base.progress import progress_bar
from sansi.base.words import count
from sansi.chat import ChatModel, ChatOptions
from sansi.data.problems import OUTCOMES, GymTask, Problem, Task, evaluation_problems
from sansi.data.problems.draws import named_tasks
from sansi.data.problems.gym import INSTRUCTION
from sansi.data.problems.seeds import EVALUATION_SEED
from sansi.data.problems.task import check_whole
from sansi.eval.budget_curve import check_thinks, markdown_table, percent
from sansi.eval.outputs import check_output, write_records
from sansi.eval.problem_set import Graded, Score, ask

FILES = ("tasks.json", "tasks.md", "answers.jsonl")
LOWEST, HIGHEST = "lowest", "highest"


@dataclass(frozen=True)
class TaskScore:
    """A model on one task at one level."""

    task: str
    difficulty: int | None
    """None: of several levels, or of none."""
    score: Score


@dataclass(frozen=True)
class TaskReport:
    """A model on several tasks."""

    model: str
    seed: int
    thinking_budget: int | None
    """Most thinking tokens; 0: it did not think; None: no bound."""
    tasks: list[TaskScore]
    total: Score
    """Over all answers together."""

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


def run(
    folder: str,
    tasks: Sequence[Task | str],
    count: int | None = None,
    difficulty: int | str | None = None,
    thinking_budget: int | None = None,
    out: str | None = None,
    seed: int = EVALUATION_SEED,
    batch: int = 128,
    max_tokens: int | None = None,
    name: str | None = None,
    instruction: bool = True,
    adapter: str | None = None,
) -> TaskReport:
    """Ask a model folder `count` problems of each task, print the table and write it, with all answers, to `out`.

    count: None for 100, and all of a file. difficulty: a level, "lowest" or "highest" of each task; None for the
    lowest, and all of a file. thinking_budget: 0 for no thought, None for no bound.
    instruction: the gym's questions say where the answer is to be put; False: they stand as the gym has them, and an
    answer has to be nothing else. adapter: a PEFT folder that answers in the model's place.
    Raises SansiError for an unknown task, a level that one of them has not, a task with too few problems, and an `out`
    that can not be written to, all before the model is loaded.
    """
    if thinking_budget is not None:
        check_whole("thinking_budget", thinking_budget)
    check_whole("batch", batch, 1)
    if out is not None:
        check_output(out, FILES)
    sets = _draw(tasks, count, difficulty, seed, instruction)
    options = ChatOptions(
        enable_thinking=thinking_budget != 0, thinking_budget=thinking_budget or None, max_tokens=max_tokens
    )
    chat = ChatModel.from_pretrained(folder, max_batch=batch, adapter=adapter)
    try:
        if not chat.thinks:  # then there is nothing to ask for, and nothing that a budget could bound
            check_thinks(chat, "thinking_budget", bool(thinking_budget))
            options, thinking_budget = ChatOptions(max_tokens=max_tokens), 0
        with progress_bar("", sum(len(problems) for _, problems in sets), lines=False) as bar:
            answers = []
            for task, problems in sets:
                bar.describe(task.name)
                answers.append(ask(chat, problems, options, progress=bar, task=task))
        scores = [
            TaskScore(task.name, _level(some), Score.of(some)) for (task, _), some in zip(sets, answers, strict=True)
        ]
        every = [graded for some in answers for graded in some]
        report = TaskReport(name or chat.name, seed, thinking_budget, scores, Score.of(every))
    finally:
        chat.engine.close()
    Console().print(_table(report))
    _tell_unknown(every)
    _tell_untagged(every)
    if out is not None:
        _write(report, every, Path(out))
    return report


def _draw(
    tasks: Sequence[Task | str], count: int | None, difficulty: int | str | None, seed: int, instruction: bool
) -> list[tuple[Task, list[Problem]]]:
    found = [task if instruction else _plain(task) for task in named_tasks(tasks).values()]
    return [(task, evaluation_problems([task], count, level_of(task, difficulty), seed)) for task in found]


def _plain(task: Task) -> Task:
    return replace(task, instruction="") if isinstance(task, GymTask) else task


def _level(graded: list[Graded]) -> int | None:
    levels = {item.problem.difficulty for item in graded}
    return levels.pop() if len(levels) == 1 else None


def level_of(task: Task, difficulty: int | str | None) -> int | None:
    """The level that a number or "lowest" or "highest" means. Raises SansiError for another text."""
    if isinstance(difficulty, str):
        if difficulty not in (LOWEST, HIGHEST):
            raise SansiError(f'difficulty "{difficulty}" must be a level, lowest or highest', param="difficulty")
        return 0 if difficulty == LOWEST else task.levels - 1
    return difficulty


def table_rows(report: TaskReport) -> list[list[str]]:
    """A line a task, header first: accuracy, its interval of 95 %, and the outcomes that occur anywhere."""
    occurring = [outcome for outcome in OUTCOMES if outcome in report.total.outcomes]
    rows = [["task", "level", "accuracy", "95% interval", *occurring]]
    lines = [(t.task, "" if t.difficulty is None else str(t.difficulty), t.score) for t in report.tasks]
    if len(report.tasks) > 1:
        lines.append(("all", "", report.total))
    for task, level, score in lines:
        low, high = score.interval or (None, None)
        interval = f"{percent(low)} to {percent(high, 0, '%')}"
        counted = [str(score.outcomes.get(outcome, 0)) for outcome in occurring]
        rows.append([task, level, percent(score.accuracy, 1, "%"), interval, *counted])
    return rows


def _table(report: TaskReport) -> Table:
    head, *lines = table_rows(report)
    tasks = count(len(report.tasks), "task")
    table = Table(title=f"{report.model} on {tasks}", box=None, pad_edge=False)
    for column in head:
        table.add_column(column, justify="left" if column == "task" else "right", overflow="fold")
    for line in lines:
        table.add_row(*line)
    return table


def _tell_unknown(answers: list[Graded]) -> None:
    """Which verifiers failed, so that their owner can mend them; each reason once."""
    details = [graded.verdict.detail for graded in answers if graded.verdict.outcome == "unknown"]
    if details:
        reasons = list(dict.fromkeys(details))
        more = f"; and {len(reasons) - 3} more reasons" if len(reasons) > 3 else ""
        print(f"{len(details)} unknown, in no percentage: {'; '.join(reasons[:3])}{more}", flush=True)


def _tell_untagged(answers: list[Graded]) -> None:
    """Where a model never does what the questions' last sentence asks, its accuracy may say nothing of the task."""
    asked = [graded for graded in answers if graded.problem.asked.endswith(INSTRUCTION)]
    if asked and not any(graded.right or "<answer>" in graded.result.message.content.lower() for graded in asked):
        print(
            "none of the answers stands between the <answer> tags that the questions ask for: a model that never "
            "learned them, such as nano, is measured with --no-instruction",
            flush=True,
        )


def _write(report: TaskReport, answers: list[Graded], out: Path) -> None:
    write_json(out / "tasks.json", report.to_dict())
    write_text(out / "tasks.md", markdown_table(table_rows(report)))
    write_records(out / "answers.jsonl", [graded.to_dict() for graded in answers])
