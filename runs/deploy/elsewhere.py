"""Runtimes that no registry brings to a machine without a GPU; where one is there, its server is tried all the same.

Their launch lines are checked against the flags that the stated version's source accepts, and their packages against
what reads them: `tests/deploy/test_packages.py`.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator

from runtime import Runtime, Seen, exported, free_port, judged, launched, look, models, sansi_answers, serving

SGLANG = Runtime("sglang", "0.5.23", programs=("sglang",), absent="it wants CUDA, or AMX and a build")
KTRANSFORMERS = Runtime("ktransformers", "0.7.2", programs=("kt",), absent="it wants a GPU beside the CPU")
OLLAMA = Runtime(
    "ollama", "0.9 or later", programs=("ollama",), absent="no registry of Python, Node or Debian has its server"
)
LM_STUDIO = Runtime("lmstudio", "model.yaml of 2025", programs=("lms",), absent="it is a desktop program")


def served(runtime: Runtime) -> Iterator[Seen]:
    """By our launch line, where the program is there."""
    model = models()[1]
    folder, port = exported(model, "hf", "fp32"), free_port()
    words = [*launched(runtime.name, folder), "--host", "127.0.0.1", "--port", str(port)]
    ours = sansi_answers(folder)
    with serving(words, port, f"{runtime.name}-{folder.name}") as url:
        yield judged(runtime, url, folder.name, folder, ours, f"{model.name}, `--to hf`")


def ollama(runtime: Runtime) -> Iterator[Seen]:
    """`ollama create` of an export, on a server of its own."""
    import subprocess

    model = models()[0]
    package, port = exported(model, "ollama", "Q8_0"), free_port()
    program, host = str(runtime.program), f"127.0.0.1:{port}"
    with serving([program, "serve"], port, "ollama", OLLAMA_HOST=host) as url:
        made = [program, "create", package.name, "-f", str(package / "Modelfile")]
        subprocess.run(made, check=True, env={"OLLAMA_HOST": host}, cwd=package)
        yield judged(runtime, url, package.name, model, sansi_answers(model), f"{model.name}, `--to ollama`")


def nothing(runtime: Runtime) -> Iterator[Seen]:
    yield Seen("its window", "try `--to lmstudio` by hand", True)


RUNTIMES: tuple[tuple[Runtime, Callable[[Runtime], Iterator[Seen]]], ...] = (
    (SGLANG, served),
    (KTRANSFORMERS, served),
    (OLLAMA, ollama),
    (LM_STUDIO, nothing),
)

if __name__ == "__main__":
    for runtime, tried in RUNTIMES:
        if any(not seen.right for seen in look(runtime, lambda run=tried, which=runtime: run(which))):  # type: ignore[misc]
            sys.exit(1)
