"""Options that several verbs share."""

from __future__ import annotations

from typing import Annotated

import typer

from sansi.base.errors import SansiError

DEFAULT_MODEL = "nano"
MODEL_HELP = "A folder, nano, smollm2, a name such as Qwen3-0.6B, or OWNER/NAME of a hub (@REVISION after it)."
MODEL_OR_SERVER_HELP = f"{MODEL_HELP} Default: {DEFAULT_MODEL}, or the server's first."
DEVICE_HELP = "auto (CUDA when there is one), cpu or cuda."
QUANTIZE_HELP = "int8 or int4: smaller weights, on the CPU."
HUB_HELP = "huggingface or modelscope: where names are looked up."
LOOP_BREAKER_HELP = "The same call with the same result ends the calls at this time, from 2 on; 0: never."

Model = Annotated[str, typer.Argument(metavar="MODEL", help=MODEL_HELP)]
ModelOption = Annotated[str, typer.Option("--model", "-m", help=MODEL_HELP)]
Hub = Annotated[str, typer.Option("--hub", help=HUB_HELP)]
Device = Annotated[str, typer.Option(help=DEVICE_HELP)]
Budget = Annotated[
    int | None,
    typer.Option(
        "--thinking-budget", "-b", help="Most tokens of thought; 0 answers without thinking. Default: unlimited."
    ),
]
Think = Annotated[
    bool | None,
    typer.Option(
        "--think/--no-think",
        help="Think first, or answer without a thought. Default: think, unless the question itself says not to.",
    ),
]
Seed = Annotated[int | None, typer.Option(help="The same seed gives the same answer.")]
KeyFile = Annotated[str | None, typer.Option("--api-key-file", help="With --url: file whose first line is the key.")]
KeyVariable = Annotated[str | None, typer.Option("--api-key-env", help="With --url: a variable that holds the key.")]
EMBEDDINGS_URL_HELP = "With retrieval: a server with /v1/embeddings, to search by meaning; documents are sent there."
EMBEDDINGS_MODEL_HELP = "Its model; default: the server's first."
EMBEDDINGS_KEY_HELP = "A variable that holds its key."
System = Annotated[str | None, typer.Option("--system", "-s", help="The system message.")]
Adapter = Annotated[
    str | None, typer.Option("--adapter", help="A PEFT folder (LoRA) that answers in the model's place.")
]
Quantize = Annotated[str | None, typer.Option(help=QUANTIZE_HELP)]
Sampling = Annotated[float | None, typer.Option(help="Default: the preset of the mode.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object instead of text.")]


def check_times(times: int) -> int:
    """Of --loop-breaker: what a call is once is no repetition."""
    if times < 0 or times == 1:
        raise typer.BadParameter(f"{times} is neither 0, for never, nor 2 or more")
    return times


def list_tools() -> None:
    """Of --tools list: the built-in tools, a line each."""
    from sansi.agents.toolset import ABOUT

    for name, about in sorted(ABOUT.items()):
        typer.echo(f"{name:<17} {about}")


def agreed(think: bool | None, budget: int | None) -> bool | None:
    """What --think and --no-think say. Raises SansiError where the budget says the opposite."""
    if think is not None and budget is not None and think != (budget > 0):
        name = "--think" if think else "--no-think"
        raise SansiError(f"{name} and --thinking-budget {budget} contradict each other; give one of them")
    return think
