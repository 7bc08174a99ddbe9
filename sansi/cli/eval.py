"""`sansi eval`: a command for each kind of measurement."""

from __future__ import annotations

from typing import Annotated

import typer

from sansi.base.errors import SansiError
from sansi.cli.extras import need
from sansi.cli.help import Command, Group, show_help
from sansi.cli.models import find_model
from sansi.cli.options import DEFAULT_MODEL, Hub, ModelOption

DEFAULT_BUDGETS = "0,8,16,32,64,128,256"

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
    chosen = {} if seed is None else {"seed": seed}
    found = find_model(model, hub, max_batch=batch)
    curve.run(found.folder, problems, parsed, out, batch=batch, name=found.name, **chosen)


def _budgets(text: str) -> list[int]:
    parts = [part.strip() for part in text.split(",")]
    if not all(part.isdecimal() for part in parts):
        raise SansiError(f'--budgets "{text}": must be whole numbers of at least 0, separated by commas: 0,32,256')
    return [int(part) for part in parts]
