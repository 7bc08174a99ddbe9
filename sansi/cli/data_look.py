"""The commands of `sansi data` that look into what is there."""

from __future__ import annotations

import typer

from sansi.cli.data_find import find, steps
from sansi.cli.data_inspect import inspect
from sansi.cli.data_show import show
from sansi.cli.help import Command


def register(app: typer.Typer) -> None:
    """Add them to the group."""
    for name, command in (("inspect", inspect), ("show", show), ("find", find), ("steps", steps)):
        app.command(name, cls=Command)(command)
