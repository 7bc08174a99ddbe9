"""The `sansi` command: its verbs, and how a mistake of its user ends.

Exit codes: 0; 1 for what could not be done, 2 for a command line that is wrong, 130 after Ctrl-C.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Annotated, NoReturn

import typer

from sansi import __version__
from sansi.base.errors import SansiError
from sansi.cli import (
    agent,
    cached,
    chat,
    conform,
    data,
    doctor,
    eval,
    export,
    info,
    make,
    mcp,
    plan,
    publish,
    quantize,
    run,
    serve,
)
from sansi.cli.extras import what_to_install
from sansi.cli.help import Command, Group, show_help
from sansi.cli.usage import CommandLineError

app = typer.Typer(
    name="sansi",
    cls=Group,
    help="Hybrid-reasoning language models: talk to one, serve it, look inside, measure its thinking budget, make one.",
    epilog="Start with: sansi chat (in the terminal) or sansi serve (in the browser). "
    "Exit codes: 0; 1: it could not be done; 2: the command line is wrong; 130: Ctrl-C.",
    invoke_without_command=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
VERBS: dict[str, Callable[..., None]] = {
    "serve": serve.serve,
    "chat": chat.chat,
    "run": run.run,
    "pull": cached.pull,
    "list": cached.list_models,
    "remove": cached.remove,
    "info": info.info,
    "quantize": quantize.quantize,
    "plan": plan.plan,
    "export": export.export,
    "publish": publish.publish,
    "conform": conform.conform,
    "make": make.make,
    "mcp": mcp.mcp,
    "doctor": doctor.doctor,
}
for name, verb in VERBS.items():
    app.command(name, cls=Command)(verb)
app.add_typer(agent.app, name="agent")
app.add_typer(eval.app, name="eval")
app.add_typer(data.app, name="data")


def main() -> None:
    """Entry point of the console script. A user's mistake ends in one line on stderr and exit code 1 or 2."""
    try:
        sys.exit(app(standalone_mode=False))
    except typer.TyperException as error:  # the command line is wrong
        _fail(_usage(error), error.exit_code)
    except CommandLineError as error:
        _fail(str(error), 2)
    except SansiError as error:
        _fail(str(error))
    except ModuleNotFoundError as error:
        if (error.name or "").startswith("sansi"):
            raise
        _fail(what_to_install(error.name or ""))
    except (KeyboardInterrupt, typer.Abort):  # as a shell expects of a program that an interrupt has ended
        sys.exit(130)
    except BrokenPipeError:  # `sansi run … | head`: the reader had enough
        sys.stderr.close()
        sys.exit(1)
    except OSError as error:  # a file that may not be read, a disk that is full
        where = f"{error.filename}: " if error.filename else ""
        _fail(f"{where}{error.strerror or error}")


def _usage(error: typer.TyperException) -> str:
    """What is wrong with the command line, and where the right one is shown."""
    message = " ".join(error.format_message().split()).rstrip(".")
    context = getattr(error, "ctx", None)
    where = f"; see {context.command_path} --help" if context else ""
    if context and context.info_name == "run" and "unexpected extra argument" in message:
        where = f"; the question is one argument, in quotation marks, and the model is given with -m{where}"
    return f"{message[:1].lower()}{message[1:]}{where}"


def _fail(message: str, code: int = 1) -> NoReturn:
    typer.secho(f"error: {message}", fg=typer.colors.RED, err=True)
    sys.exit(code)


def _print_version(asked: bool) -> None:
    if asked:
        typer.echo(f"sansi {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    ctx: typer.Context,
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    show_help(ctx)
