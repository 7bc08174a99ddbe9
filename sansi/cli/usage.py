"""Mistakes of a command line that only its command can see, told as the command line's: with exit code 2."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator

import typer

from sansi.base.errors import SansiError


class CommandLineError(SansiError):
    """Options that are wrong, or do not go together."""


@contextlib.contextmanager
def command_line(**options: str) -> Iterator[None]:
    """What is wrong in here is wrong with the command line. Raises CommandLineError for any SansiError.

    options: the option by which a parameter at fault is given, where its error cannot know: `folder="--tool-folder"`.
    """
    try:
        yield
    except SansiError as error:
        option = options.get(error.param or "", "")
        told = f"{error} (with {option})" if option and option not in str(error) else str(error)
        raise CommandLineError(told, param=error.param) from error


def is_given(ctx: typer.Context, name: str) -> bool:
    """Whether the user gave an option, its default included."""
    source = ctx.get_parameter_source(name)
    return source is not None and source.name not in ("DEFAULT", "DEFAULT_MAP")


def refuse_given(ctx: typer.Context, names: Iterable[str], why: str) -> None:
    """Options that would be ignored. Raises CommandLineError that names them; why: how the sentence goes on."""
    if given := [f"--{name.replace('_', '-')}" for name in names if is_given(ctx, name)]:
        raise CommandLineError(f"{', '.join(given)}: {why}", param=given[0])
