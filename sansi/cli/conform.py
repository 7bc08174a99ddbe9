"""`sansi conform`."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from sansi.base.errors import SansiError, did_you_mean
from sansi.cli.chat import read_key
from sansi.cli.options import AsJson, KeyFile, KeyVariable

if TYPE_CHECKING:
    from sansi.deploy.conform import Finding

MARKS = {"passed": "green", "failed": "red", "not offered": "yellow", "error": "red"}

Url = Annotated[str | None, typer.Argument(metavar="URL", help="http://HOST:PORT or its /v1.")]
ModelName = Annotated[str | None, typer.Option("--model", "-m", help="Default: the first of /v1/models.")]
Switch = Annotated[str, typer.Option(help="Spelling of the switch: chat_template_kwargs, enable_thinking or think.")]
Reference = Annotated[
    str | None,
    typer.Option(metavar="FOLDER", help="Model folder whose template the prompt must match."),
]
Only = Annotated[list[str] | None, typer.Option("--only", help="This check alone; may be given several times.")]
Out = Annotated[str | None, typer.Option("--report", metavar="FILE", help="Write a Markdown report for a bug tracker.")]


def conform(
    url: Url = None,
    model: ModelName = None,
    switch: Switch = "chat_template_kwargs",
    reference: Reference = None,
    only: Only = None,
    report: Out = None,
    max_tokens: Annotated[int, typer.Option(min=16, help="Of an ordinary answer, thought included.")] = 512,
    timeout: Annotated[float, typer.Option(min=1, help="Seconds for one request.")] = 120.0,
    api_key_file: KeyFile = None,
    api_key_env: KeyVariable = None,
    checks: Annotated[bool, typer.Option("--list", help="List the checks.")] = False,
    as_json: AsJson = False,
) -> None:
    """Ask an OpenAI-compatible server whether it keeps its promises: modes, budgets, tools, schemas, usage, errors.

    Each check passes, fails with what was seen, or is not offered: the server refuses it, which is honest; what it
    ignores in silence has failed.

    Examples:

      sansi conform http://127.0.0.1:8000

      sansi conform http://127.0.0.1:8000/v1 --reference Qwen3-0.6B --report report.md

      sansi conform http://127.0.0.1:11434 --switch think --only budget --only switch

    Exit code 0 where nothing failed.
    """
    from sansi.deploy.conform import CHECKS, SWITCHES, Endpoint, Probe, run_suite

    if checks:
        typer.echo("\n".join(f"{c.name:<14}{c.title}" for c in CHECKS.values()))
        return
    if url is None:
        raise SansiError("give the address of a server: sansi conform http://127.0.0.1:8000; --list lists the checks")
    if switch not in SWITCHES:
        raise SansiError(f'--switch "{switch}" is unknown{did_you_mean(switch, SWITCHES)}')
    endpoint = Endpoint(url, model, read_key(api_key_file, api_key_env), timeout)
    probe = Probe(endpoint, switch, _counter(reference), max_tokens)
    found = run_suite(probe, only, (lambda finding: None) if as_json else _tell)
    if report:
        Path(report).write_text(found.to_markdown(), encoding="utf-8")
    if as_json:
        typer.echo(json.dumps(found.to_dict(), indent=2, ensure_ascii=False))
    else:
        typer.echo(f"{found.model} at {found.url}: {found.summary()}" + (f"; {report} written" if report else ""))
    if not found.ok:
        raise typer.Exit(1)


def _tell(finding: Finding) -> None:
    mark = typer.style(f"{finding.outcome:<12}", fg=MARKS[finding.outcome])
    typer.echo(f"{mark}{finding.check:<14}{finding.title}")
    if finding.words and finding.words != "holds":
        typer.echo(f"{'':<26}{typer.style(finding.words, dim=True)}")


def _counter(reference: str | None) -> Callable[[list[dict[str, Any]], bool], int] | None:
    if reference is None:
        return None
    from sansi.cli.models import find_local
    from sansi.text import open_codec

    found = find_local(reference)
    codec = open_codec(found.folder if found else reference)
    return lambda messages, thinking: len(codec.render(messages, enable_thinking=thinking).ids)
