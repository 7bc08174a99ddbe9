"""MLX on the CPU: our launch line for mlx-lm's server, with the exports that it opens.

Installed: `mlx`, its CPU backend for Linux `mlx-cpu`, and `mlx-lm`. On a Mac `mlx-lm` alone brings what it needs.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

from runtime import Runtime, Seen, compared, exported, free_port, judged, launched, main, models, sansi_answers, serving
from runtime import answers as asked

RUNTIME = Runtime(
    "mlx",
    "0.32.2",
    packages=("mlx-lm==0.32.2", "mlx==0.32.4", "mlx-cpu==0.32.4"),
    programs=("mlx_lm.server",),
    known={
        "choices": "one answer is given where n says two",
        "wrong-values": "a role that there is not is accepted",
        "no-tool": "the tools stay in the prompt, and are called",
    },
)


def command(model: Path, port: int) -> list[str]:
    words = launched("mlx-server", model)
    return [str(RUNTIME.program), *words[1:], "--host", "127.0.0.1", "--port", str(port)]


def tried() -> Iterator[Seen]:
    dense, experts = models()
    folder, port = exported(dense, "mlx", "8bit"), free_port()
    ours = sansi_answers(folder)
    with serving(command(folder, port), port, f"mlx-{folder.name}") as url:
        yield judged(RUNTIME, url, str(folder), dense, ours, f"{dense.name}, `--to mlx` 8bit")
    for model, to, kind in ((dense, "hf", "fp32"), (experts, "hf", "fp32"), (experts, "mlx", "4bit")):
        folder, port = exported(model, to, kind), free_port()
        ours = sansi_answers(folder)
        with serving(command(folder, port), port, f"mlx-{folder.name}") as url:
            yield Seen(f"{model.name}, `--to {to}` {kind}", *compared(ours, asked(url, str(folder))))


if __name__ == "__main__":
    sys.exit(main(RUNTIME, tried))
