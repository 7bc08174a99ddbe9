"""What do adapters beside a quantised base cost? The same step with none, one, and eight different ones, in turn.

    python bench/adapters.py [--shape 0.6b] [--quantize int4] [--rank 16] [--rounds 11] [--threads 2] [--dtype float32]

The base has random weights of an official shape; each adapter changes all seven projections of every layer. Printed are
milliseconds of a step without an adapter, and what the others take of that: medians of the rounds' ratios.
"""

from __future__ import annotations

import argparse
import statistics
import time
from pathlib import Path

import torch
from checkpoints import SHAPES  # beside this script
from common import commit, machine
from sansi.base.progress import progress_bar
from sansi.model import ModelConfig, Transformer
from sansi.model.adapters import Adapter, LowRank
from sansi.model.formats.weights import shapes_of
from sansi.model.native import NativeModel
from torch import Tensor

CASES = {"decode, batch 1": (1, 1), "decode, batch 8": (8, 1), "decode, batch 64": (64, 1), "prefill 512": (1, 512)}
"""Sequences, and new tokens of each."""
WAYS = {"none": 0, "one": 1, "eight": 8}
"""How many different adapters the sequences have, one after the other."""


def adapter_of(config: ModelConfig, rank: int, seed: int, dtype: torch.dtype) -> Adapter:
    draw = torch.Generator().manual_seed(seed)
    changed = {name: shape for name, shape in shapes_of(config).items() if name.endswith("_proj.weight")}
    low_rank = {
        name: LowRank(*(torch.randn(shape, generator=draw).to(dtype) for shape in ((rank, k), (n, rank))), 2**-10)
        for name, (n, k) in changed.items()
    }
    return Adapter(Path("random"), "", low_rank)


def numbers(values: list[int]) -> Tensor:
    return torch.tensor(values, dtype=torch.int32)


def seconds(model: NativeModel, sequences: int, new: int, adapters: int) -> float:
    blocks = -(-new // 16)
    positions = numbers(list(range(new)) * sequences)
    ids = numbers([(7 * i) % model.config.vocab_size for i in range(sequences * new)])
    starts, context = numbers([new * n for n in range(sequences + 1)]), numbers([new] * sequences)
    tables = torch.arange(sequences * blocks, dtype=torch.int32).view(sequences, blocks)
    chosen = numbers([1 + n % adapters for n in range(sequences)]) if adapters else None
    begun = time.perf_counter()
    model.forward(ids, positions, starts, context, tables, starts[1:] - 1, chosen)
    return time.perf_counter() - begun


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shape", default="0.6b", choices=list(SHAPES))
    parser.add_argument("--quantize", default="int4", choices=["int4", "int8"])
    parser.add_argument("--rank", type=int, default=16)
    parser.add_argument("--rounds", type=int, default=11)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--dtype", default="float32", choices=["float32", "bfloat16"], help="of the adapters' files")
    options = parser.parse_args()
    preset, more = SHAPES[options.shape]
    config = ModelConfig.preset(preset, **more)
    base = Transformer(config).to(torch.bfloat16)
    adapters = [
        adapter_of(config, options.rank, seed, getattr(torch, options.dtype)) for seed in range(max(WAYS.values()))
    ]
    model = NativeModel(base, options.quantize, options.threads, adapters=adapters, cache_dtype="float16")
    model.allocate(64)
    told = f"{options.shape} {options.quantize}, rank {options.rank} in {options.dtype}"
    print(told, commit(), machine(options.threads))
    for case, (sequences, new) in CASES.items():
        runs: dict[str, list[float]] = {way: [] for way in WAYS}
        with progress_bar(case, options.rounds) as bar:
            for number in range(options.rounds + 1):
                for way in [*WAYS][number % 3 :] + [*WAYS][: number % 3]:
                    took = seconds(model, sequences, new, min(WAYS[way], sequences))
                    if number:  # the first one warms up
                        runs[way].append(took)
                bar.update()
        ratios = {w: statistics.median(a / b for a, b in zip(runs[w], runs["none"], strict=True)) for w in WAYS}
        told = ", ".join(f"{way} {ratio:.2f}" for way, ratio in ratios.items())
        print(f"{case}: {1000 * statistics.median(runs['none']):.1f} ms; {told}")


if __name__ == "__main__":
    main()
