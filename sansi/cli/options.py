"""Options that several verbs share."""

from __future__ import annotations

from typing import Annotated

import typer

DEFAULT_MODEL = "checkpoints/nano"
DEVICE_HELP = '"auto" (CUDA when there is one), "cpu" or "cuda".'

Device = Annotated[str, typer.Option(help=DEVICE_HELP)]
Budget = Annotated[
    int | None,
    typer.Option(
        "--thinking-budget", "-b", help="Most tokens of thought; 0 answers without thinking. Default: unlimited."
    ),
]
System = Annotated[str | None, typer.Option("--system", "-s", help="The system message.")]
Quantize = Annotated[str | None, typer.Option(help="int8 or int4: smaller weights, on the CPU.")]
Sampling = Annotated[float | None, typer.Option(help="Default: the preset of the mode.")]
