"""`sansi make`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from sansi.base.errors import SansiError
from sansi.cli.options import Device

if TYPE_CHECKING:
    from sansi.recipes.runner import Runner

Name = Annotated[str | None, typer.Argument(metavar="RECIPE", help="A TOML file, or the name of one that came along.")]


def make(
    recipe: Name = None,
    out: Annotated[
        str | None, typer.Option(metavar="FOLDER", help="Where the stages' folders go. Default: runs/NAME.")
    ] = None,
    changes: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="STAGE.KEY=VALUE", help='Change a value; also seed=1, or "*.KEY=VALUE".'),
    ] = None,
    until: Annotated[str | None, typer.Option(metavar="STAGE", help="Stop after this stage.")] = None,
    restart: Annotated[
        list[str] | None,
        typer.Option(metavar="STAGE", help="Move it and what stands behind it aside, and make them anew."),
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show the plan: sizes, tokens, time, memory. Nothing is made.")
    ] = False,
    show_list: Annotated[bool, typer.Option("--list", help="Show the recipes that came along, and the kinds.")] = False,
    device: Device = "auto",
    threads: Annotated[int | None, typer.Option(min=1, help="CPU threads. Default: torch's choice.")] = None,
) -> None:
    """Make a model by a recipe: every stage that is missing, from raw text to a folder that serves.

    Examples:

      sansi make tiny                              # every stage, much too short, in a minute

      sansi make nano --dry-run                    # what the bundled model takes

      sansi make my.toml --until s1                # a recipe of one's own; docs/guide.md shows how they are written

      sansi make my.toml --set s1.steps=2000 --restart s1

    A recipe that was killed, or stopped with Ctrl-C, goes on when it is started again. Each stage leaves a folder with
    `stage.json`: its configuration, the digests of its inputs, the commit. A stage whose configuration or input has
    changed is not used in silence: what differs is said, and --restart makes it anew. `sansi info FOLDER` tells the
    history of what came out.
    """
    if show_list:
        _list()
        return
    if recipe is None:
        raise SansiError("which recipe? `sansi make --list` shows those that came along; a TOML file works too")
    from sansi.recipes.overrides import parse_override
    from sansi.recipes.recipe import load_recipe
    from sansi.recipes.runner import Runner

    loaded = load_recipe(recipe, [parse_override(change) for change in changes or ()])
    runner = Runner(loaded, out or f"runs/{loaded.name}", device)
    for name in [*(restart or ()), *([until] if until else [])]:
        loaded.stage(name)  # an unknown one is refused before anything is looked at
    if dry_run:
        from sansi.recipes.plan import plan

        typer.echo(plan(runner, until, restart or ()))
        return
    if threads is not None:
        runner.use_threads(threads)
    _run(runner, until, restart or ())


def _run(runner: Runner, until: str | None, restart: list[str] | tuple[str, ...]) -> None:
    try:
        runner.run(until, restart)
    except KeyboardInterrupt:
        typer.echo("\nstopped; the same command (without --restart) goes on from here", err=True)
        raise


def _list() -> None:
    from sansi.recipes.kinds import KINDS
    from sansi.recipes.recipe import packaged, parse_toml

    typer.secho("Recipes", bold=True)
    for name, file in packaged().items():
        typer.echo(f"  {name.ljust(10)}  {parse_toml(file).get('about', '')}")
        typer.secho(f"  {'':10}  {file}", dim=True)
    typer.secho("Kinds of stages", bold=True)
    for kind in KINDS.values():
        reads = ", ".join(f"[{name}]" if role.optional else name for name, role in kind.inputs.items())
        typer.echo(f"  {kind.name.ljust(15)} {kind.about}")
        typer.secho(f"  {'':15} reads {reads or 'nothing'}; leaves {kind.gives}", dim=True)
