"""Formats of weights at the shape of the 0.6B model: written, loaded, and computed with beside llama.cpp.

    python bench/formats.py export [--kinds Q4_K_M Q4_0 Q8_0] [--folder FOLDER]
    python bench/formats.py speed  [--kinds Q4_K_M Q4_0] [--threads 2] [--rounds 7]
    python bench/formats.py speed --files model.gguf [--openvino-python INTERPRETER]

export: a folder in bfloat16 (random weights, or --folder) to each kind: seconds, and peak memory of the process.
speed: load time and peak memory, decode (one token after 512, of one sequence and of eight) and prefill of 512, of the
same file in Sansi and in llama.cpp (`make build/llama_cpp`), and in OpenVINO GenAI where an interpreter has it, in turn
within each round; medians, and the median of the rounds' ratios.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

import torch
from common import ROOT, commit, machine, peak_memory

sys.path.insert(0, str(ROOT / "tests"))

PROMPT, STEPS, MANY = 512, 16, 8
SHAPE = "Qwen3-0.6B"


def random_folder(folder: Path) -> Path:
    """A model of SHAPE in bfloat16 with random weights."""
    from safetensors.torch import save_file
    from sansi.model import ModelConfig
    from sansi.model.formats.weights import shapes_of

    config, generator = ModelConfig.preset(SHAPE), torch.Generator().manual_seed(0)

    def draw(shape: tuple[int, ...]) -> torch.Tensor:
        return torch.ones(shape) if len(shape) == 1 else torch.randn(shape, generator=generator) * 0.02

    folder.mkdir(parents=True, exist_ok=True)
    tensors = {name: draw(shape).bfloat16() for name, shape in shapes_of(config).items()}
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
    (folder / "config.json").write_text(json.dumps({**config.to_hf(), "torch_dtype": "bfloat16"}))
    return folder


def export(folder: Path, target: Path, kind: str) -> dict[str, Any]:
    """Written in this process, which is new."""
    from sansi.model.formats.gguf.write import write_gguf
    from sansi.model.formats.source import open_source

    start = time.perf_counter()
    written = write_gguf(open_source(folder), target, kind, overwrite=True)
    return {"seconds": time.perf_counter() - start, "bytes": written.nbytes, "peak": peak_memory()}


def load(file: Path, threads: int) -> dict[str, Any]:
    """Loaded in this process, which is new."""
    from sansi.model.native import NativeModel

    start = time.perf_counter()
    model = NativeModel.from_pretrained(file, threads=threads, cache_dtype=None)
    return {"seconds": time.perf_counter() - start, "weights": model.weight_bytes, "peak": peak_memory()}


def apart(*arguments: str) -> dict[str, Any]:
    """What `arguments` measure in a process of their own."""
    done = subprocess.run([sys.executable, __file__, "--inner", *arguments], capture_output=True, text=True, check=True)
    return json.loads(done.stdout.splitlines()[-1])


@dataclass(frozen=True)
class Runs:
    """What a program does, each returning the seconds of one."""

    prefill: Callable[[], float]
    decode: Callable[[], float]
    """A step of one sequence,"""
    decode_many: Callable[[], float]
    """and of MANY at once."""


def ours(file: Path, threads: int, ids: torch.Tensor) -> Runs:
    from sansi.model.native import NativeModel

    model = NativeModel.from_pretrained(file, threads=threads, cache_dtype=None)
    blocks = (PROMPT + STEPS) // 16
    model.allocate(blocks * MANY)
    tables = torch.arange(blocks * MANY, dtype=torch.int32).view(MANY, blocks)

    def step(first: int, count: int, sequences: int = 1) -> None:
        new = ids[:count].repeat(sequences)
        positions = torch.arange(first, first + count, dtype=torch.int32).repeat(sequences)
        ends = torch.arange(0, count * sequences + 1, count, dtype=torch.int32)
        context = torch.full((sequences,), first + count, dtype=torch.int32)
        model.forward(new, positions, ends, context, tables[:sequences], ends[1:] - 1)

    def steps(sequences: int) -> Callable[[], None]:
        def work() -> None:
            for number in range(STEPS):
                step(PROMPT + number, 1, sequences)

        return work

    step(0, PROMPT, MANY)
    return Runs(
        lambda: _seconds(lambda: step(0, PROMPT)),
        lambda: _seconds(steps(1)) / STEPS,
        lambda: _seconds(steps(MANY)) / STEPS,
    )


def theirs(file: Path, threads: int, ids: torch.Tensor) -> Runs:
    import llama_cpp

    model = llama_cpp.Llama(file, context=1024, threads=threads)
    many = llama_cpp.Llama(file, context=1024 * MANY, threads=threads, sequences=MANY)
    past = 1024

    def prefill() -> float:
        model.forget()
        return _seconds(lambda: model.decode(ids.tolist(), every=False))

    def decode() -> float:
        return _seconds(lambda: [model.decode([int(ids[n])], every=False) for n in range(STEPS)]) / STEPS

    def steps(count: int) -> None:
        nonlocal past
        for at in range(past, past + count):
            many.step([int(ids[at % PROMPT])] * MANY, [at] * MANY, range(MANY))
        past += count

    def decode_many() -> float:
        nonlocal past
        if past + STEPS > 1024:
            many.forget()
            for number in range(MANY):
                many.step(ids.tolist(), range(PROMPT), [number] * PROMPT)
            past = PROMPT
        return _seconds(lambda: steps(STEPS)) / STEPS

    return Runs(prefill, decode, decode_many)


def of_openvino(file: Path, threads: int, python: str) -> Runs:
    child = ROOT / "bench" / "peers" / "openvino_runs.py"
    command = [python, str(child), str(file), str(threads)]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    asks, tells, seeds = process.stdin, process.stdout, iter(range(10**6))
    assert asks is not None and tells is not None
    if not (said := tells.readline()).startswith("ready"):
        raise SystemExit(f"OpenVINO GenAI does not open {file}: {said}")

    def ask(what: str, count: int) -> float:
        print(what, count, next(seeds), file=asks, flush=True)
        return float(tells.readline())

    return Runs(lambda: ask("prefill", 1), lambda: ask("decode", 1), lambda: ask("decode", MANY))


def _seconds(work: Callable[[], object]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def speed(file: Path, threads: int, rounds: int, openvino: str | None) -> dict[str, Any]:
    """Tokens a second of each program, and how many times those of each other one Sansi's are."""
    ids = torch.randint(0, 1000, (PROMPT,), generator=torch.Generator().manual_seed(0), dtype=torch.int32)
    runs = {"sansi": ours(file, threads, ids), "llama.cpp": theirs(file, threads, ids)}
    if openvino:
        runs["OpenVINO"] = of_openvino(file, threads, openvino)
    result: dict[str, Any] = {}
    for name, tokens in (("prefill", PROMPT), ("decode", 1), ("decode_many", MANY)):
        found = [{who: getattr(run, name)() for who, run in runs.items()} for _ in range(rounds + 1)][1:]  # warmed up
        result[name] = {
            "tokens": {who: tokens / median(one[who] for one in found) for who in runs},
            "ratios": {who: median(one[who] / one["sansi"] for one in found) for who in runs if who != "sansi"},
        }
    return result


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["export", "speed", "load"])
    parser.add_argument("--kinds", nargs="+", default=["Q4_K_M", "Q4_0", "Q8_0", "Q6_K", "F16"])
    parser.add_argument("--files", nargs="+", type=Path)
    parser.add_argument("--folder", type=Path, help="default: a new one of random weights")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--openvino-python", help="interpreter that has openvino_genai")
    parser.add_argument("--inner", action="store_true", help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.inner:
        if asked.what == "export":
            print(json.dumps(export(asked.folder, asked.files[0], asked.kinds[0])))
        else:
            print(json.dumps(load(asked.files[0], asked.threads)))
        return
    print(f"commit {commit()}, {machine(asked.threads)}")
    with tempfile.TemporaryDirectory() as temporary:
        work = Path(temporary)
        files = asked.files
        if not files:
            folder = asked.folder or random_folder(work / "full")
            files = []
            for kind in asked.kinds:
                file = work / f"{kind}.gguf"
                made = apart("export", "--folder", str(folder), "--files", str(file), "--kinds", kind)
                size, peak = made["bytes"] / 1e6, made["peak"] / 2**30
                print(f"export {kind}: {made['seconds']:.1f} s, {size:.0f} MB, {peak:.2f} GiB at most", flush=True)
                files.append(file)
        for file in files if asked.what != "export" else []:
            found = apart("load", "--files", str(file), "--threads", str(asked.threads))
            held, peak = found["weights"] / 1e6, found["peak"] / 2**30
            print(f"load {file.stem}: {found['seconds']:.2f} s, {held:.0f} MB of weights, {peak:.2f} GiB at most")
            if asked.what == "speed":
                for name, figures in speed(file, asked.threads, asked.rounds, asked.openvino_python).items():
                    told = ", ".join(f"{who} {tokens:.1f} tok/s" for who, tokens in figures["tokens"].items())
                    ratios = ", ".join(f"{ratio:.2f} times {who}" for who, ratio in figures["ratios"].items())
                    print(f"{name} {file.stem}: {told}; {ratios}", flush=True)


if __name__ == "__main__":
    main()
