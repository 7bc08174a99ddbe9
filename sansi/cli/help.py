"""How help pages look: every name whole and its meaning beside it, in the groups of the options, at any width."""

from __future__ import annotations

from typing import Any, get_args, get_origin

import typer
from typer.core import TyperCommand, TyperGroup

_KINDS = {int: "N", float: "X", bool: ""}
NAME_WIDTH = 30  # columns; a longer name has a line of its own


class Command(TyperCommand):
    """A verb."""

    def format_options(self, ctx: Any, formatter: Any) -> None:
        write_parameters(self, ctx, formatter)


class Group(TyperGroup):
    """Verbs that belong together; without one of them it shows its help."""

    def format_options(self, ctx: Any, formatter: Any) -> None:
        write_parameters(self, ctx, formatter)
        verbs = {name: self.get_command(ctx, name) for name in self.list_commands(ctx)}
        with formatter.section(_title("Commands")):
            formatter.write_dl([(name, _summary(verb)) for name, verb in verbs.items() if verb and not verb.hidden])


def show_help(ctx: typer.Context) -> None:
    """For the callback of a Group: its help where nothing was asked of it."""
    if ctx.invoked_subcommand is None:
        typer.echo(ctx.get_help())


def write_parameters(command: Any, ctx: Any, formatter: Any) -> None:
    """Arguments and options, under the headings that they were given."""
    groups: dict[str, list[tuple[str, str]]] = {}
    for parameter in command.get_params(ctx):
        if getattr(parameter, "hidden", False):
            continue
        argument = parameter.param_type_name == "argument"
        title = getattr(parameter, "rich_help_panel", None) or ("Arguments" if argument else "Options")
        groups.setdefault(title, []).append((_names(parameter, argument), _meaning(parameter)))
    for title, rows in groups.items():
        with formatter.section(_title(title)):
            formatter.write_dl(rows, col_max=NAME_WIDTH)


def _names(parameter: Any, argument: bool) -> str:
    if argument:
        return str(parameter.metavar or parameter.name.upper())
    shown = [", ".join(sorted(names, key=len)) for names in (parameter.opts, parameter.secondary_opts) if names]
    return f"{' / '.join(shown)} {_kind(parameter)}".rstrip()


def _kind(parameter: Any) -> str:
    """What follows the name: N for a whole number, X for another, TEXT, or nothing."""
    if parameter.metavar:
        return str(parameter.metavar)
    descriptor = getattr(parameter, "type_descriptor", None)
    annotation = getattr(descriptor, "annotation", bool)  # --help and its like bring none
    if get_origin(annotation) is list:
        (annotation,) = get_args(annotation)
    return _KINDS.get(annotation, "TEXT")


def _meaning(parameter: Any) -> str:
    notes = [_default(parameter), _bounds(parameter)]
    if getattr(parameter, "multiple", False):
        notes.append("may be repeated")
    if parameter.required:
        notes.append("required")
    told = "; ".join(filter(None, notes))
    return f"{parameter.help or ''}{f'  [{told}]' if told else ''}"


def _default(parameter: Any) -> str:
    value = parameter.default
    if value is None or value is False or callable(value) or "Default" in (parameter.help or ""):
        return ""
    return "default: yes" if value is True else f"default: {value}"


def _bounds(parameter: Any) -> str:
    low, high = getattr(parameter, "min", None), getattr(parameter, "max", None)
    if low is None:
        return "" if high is None else f"at most {high}"
    return f"at least {low}" if high is None else f"from {low} to {high}"


def _title(text: str) -> str:
    return typer.style(text, bold=True)


def _summary(command: Any) -> str:
    """The first paragraph of what a verb says of itself, whole."""
    return " ".join((command.help or "").strip().split("\n\n")[0].split())
