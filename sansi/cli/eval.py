"""`sansi eval`: a command for each kind of measurement."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from sansi.base.errors import SansiError
from sansi.base.installing import install_command
from sansi.cli.extras import need
from sansi.cli.help import Command, Group, show_help
from sansi.cli.models import adapter_folder, find_model
from sansi.cli.options import DEFAULT_MODEL, Adapter, Hub, ModelOption

DEFAULT_BUDGETS = "0,8,16,32,64,128,256"

NO_TASKS = f"no tasks are installed: {install_command('train')} brings those of reasoning-gym"

app = typer.Typer(help="Measure a model.", cls=Group, invoke_without_command=True, rich_markup_mode=None)


@app.callback()
def _eval(ctx: typer.Context) -> None:
    show_help(ctx)


@app.command("budget-curve", cls=Command)
def budget_curve(
    model: ModelOption = DEFAULT_MODEL,
    problems: Annotated[int, typer.Option(min=1, help="How many held-out problems.")] = 1000,
    budgets: Annotated[str, typer.Option(help="Thinking budgets in tokens, comma-separated.")] = DEFAULT_BUDGETS,
    out: Annotated[str | None, typer.Option(help="Folder for the table and the plot.")] = None,
    seed: Annotated[
        int | None, typer.Option(help="Seed of another set of problems; by default those that no training has seen.")
    ] = None,
    batch: Annotated[int, typer.Option(min=1, help="Problems answered at the same time.")] = 128,
    hub: Hub = "huggingface",
    adapter: Adapter = None,
) -> None:
    """Measure how accuracy rises with the thinking budget.

    Examples:

      sansi eval budget-curve

      sansi eval budget-curve -m my/checkpoint --problems 200 --budgets 0,32,256

      sansi eval budget-curve --out runs/curve
    """
    parsed = _budgets(budgets)
    need("reasoning_gym", *(["matplotlib"] if out else []))
    from sansi.eval import budget_curve as curve

    # The seed of the held-out problems is known to their room alone.
    chosen: dict[str, Any] = {} if seed is None else {"seed": seed}
    adapter = adapter_folder(adapter)
    found = find_model(model, hub, max_batch=batch)
    name = _name(found.name, adapter)
    curve.run(found.folder, problems, parsed, out, batch=batch, name=name, adapter=adapter, **chosen)


@app.command("run", cls=Command)
def run(
    tasks: Annotated[str, typer.Argument(help="Tasks, comma-separated: names, files of problems, module:attribute.")],
    model: ModelOption = DEFAULT_MODEL,
    count: Annotated[
        int | None, typer.Option(min=1, help="How many problems of each task; by default 100, and all of a file.")
    ] = None,
    difficulty: Annotated[
        str | None, typer.Option(help="A level, lowest or highest; by default lowest, and all of a file.")
    ] = None,
    thinking_budget: Annotated[
        int | None, typer.Option(min=0, help="Most thinking tokens; 0 asks without a thought.")
    ] = None,
    instruction: Annotated[
        bool, typer.Option(help="Tell the model to put its answer between tags; without, it has to say nothing else.")
    ] = True,
    max_tokens: Annotated[int | None, typer.Option(min=1, help="Most tokens of thought and answer together.")] = None,
    out: Annotated[str | None, typer.Option(help="Folder for the table and all answers.")] = None,
    seed: Annotated[int | None, typer.Option(help="Seed of another set of problems.")] = None,
    batch: Annotated[int, typer.Option(min=1, help="Problems answered at the same time.")] = 128,
    hub: Hub = "huggingface",
    adapter: Adapter = None,
) -> None:
    """Ask a model problems of tasks, and count what became of its answers.

    Examples:

      sansi eval run chain_sum,gcd --no-instruction

      sansi eval run countdown -m Qwen/Qwen3-0.6B --difficulty highest --count 50

      sansi eval run my_problems.jsonl --out runs/mine
    """
    from sansi.eval import task_run

    chosen: dict[str, Any] = {} if seed is None else {"seed": seed}
    level = int(difficulty) if difficulty and difficulty.removeprefix("-").isdecimal() else difficulty
    adapter = adapter_folder(adapter)
    found = find_model(model, hub, max_batch=batch)
    names = [name.strip() for name in tasks.split(",")]
    task_run.run(
        *(found.folder, names, count, level, thinking_budget, out),
        batch=batch,
        max_tokens=max_tokens,
        name=_name(found.name, adapter),
        instruction=instruction,
        adapter=adapter,
        **chosen,
    )


def _name(model: str, adapter: str | None) -> str:
    return model if adapter is None else f"{model} + {Path(adapter).resolve().name}"


@app.command("tasks", cls=Command)
def tasks(
    pattern: Annotated[str, typer.Argument(help="Show only names that hold this text.", show_default=False)] = "",
) -> None:
    """List the tasks that `sansi eval run` knows by name, with their levels of difficulty.

    Examples:

      sansi eval tasks

      sansi eval tasks sudoku
    """
    from sansi.data.problems import list_tasks

    found = [info for info in list_tasks() if pattern in info.name]
    if not found:
        raise SansiError(f'no task has "{pattern}" in its name' if pattern else NO_TASKS)
    width = max(len(info.name) for info in found)
    for info in found:
        levels = "" if info.levels is None else f"{info.levels} level{'s' if info.levels > 1 else ''}"
        typer.echo(f"{info.name:{width}}  {levels:9}  {info.source}{f' ({info.note})' if info.note else ''}")


def _budgets(text: str) -> list[int]:
    parts = [part.strip() for part in text.split(",")]
    if not all(part.isdecimal() for part in parts):
        raise SansiError(f'--budgets "{text}": must be whole numbers of at least 0, separated by commas: 0,32,256')
    return [int(part) for part in parts]
