"""`sansi doctor`: what this machine has, and what to do where something is missing."""

from __future__ import annotations

import json
from typing import Annotated

import typer

from sansi.base.errors import SansiError
from sansi.cli.options import AsJson

_MARKS = {"good": ("ok", typer.colors.GREEN), "note": ("--", typer.colors.YELLOW), "bad": ("!!", typer.colors.RED)}


def doctor(
    as_json: AsJson = False,
    offline: Annotated[bool, typer.Option("--offline", help="Do not ask the hub whether it can be reached.")] = False,
) -> None:
    """Look at this machine (CPU, kernels, memory, disk, hub, GPU, …), and say what to do where something is wrong.

    Examples:

      sansi doctor

      sansi doctor --json | jq -r '.[] | select(.state == "bad") | .todo'

    "ok" is as it should be, "--" is missing and only some need it, "!!" stands in the way. Exit code 1 with a "!!".
    """
    from sansi.cli.checkup import checkup

    findings = checkup(ask_hub=not offline)
    if as_json:
        typer.echo(json.dumps([vars(finding) for finding in findings], indent=2, ensure_ascii=False))
    else:
        width = max(len(finding.subject) for finding in findings)
        for finding in findings:
            mark, colour = _MARKS[finding.state]
            typer.echo(f"{typer.style(mark, fg=colour, bold=True)}  {finding.subject.ljust(width)}  {finding.found}")
            if finding.todo:
                typer.echo(f"    {' ' * width}  {typer.style(finding.todo, dim=True)}")
    bad = [finding.subject for finding in findings if finding.state == "bad"]
    if bad:
        raise SansiError(f"{', '.join(bad)}: see what to do above" if not as_json else f"{', '.join(bad)}: see todo")
