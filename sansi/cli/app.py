"""The `sansi` command: its verbs, and how a mistake of its user ends."""

from __future__ import annotations

import sys
from typing import Annotated, NoReturn

import typer

from sansi import __version__
from sansi.base.errors import SansiError
from sansi.cli import chat, eval, info, quantize, run, serve

app = typer.Typer(
    name="sansi",
    help="Hybrid-reasoning language models: talk to one, serve it, look inside, measure its thinking budget.",
    epilog="Start with: [bold]sansi chat[/bold]  (in the terminal)  or  [bold]sansi serve[/bold]  (in the browser).",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
for verb in (serve.serve, chat.chat, run.run, info.info, quantize.quantize):
    app.command()(verb)
app.add_typer(eval.app, name="eval")


def main() -> None:
    """Entry point of the console script. A user's mistake ends in one line on stderr and exit code 1."""
    try:
        app()
    except SansiError as error:
        _fail(str(error))
    except ModuleNotFoundError as error:
        if (error.name or "").startswith("sansi"):
            raise
        _fail(f"this needs the package {error.name}; install Sansi's extras: pip install -e '.[train]'")
    except KeyboardInterrupt:  # as a shell expects of a program that an interrupt has ended
        sys.exit(130)
    except BrokenPipeError:  # `sansi run … | head`: the reader had enough
        sys.stderr.close()
        sys.exit(1)


def _fail(message: str) -> NoReturn:
    typer.secho(f"error: {message}", fg=typer.colors.RED, err=True)
    sys.exit(1)


def _print_version(asked: bool) -> None:
    if asked:
        typer.echo(f"sansi {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    pass
