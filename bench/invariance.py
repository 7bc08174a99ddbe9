"""What does batch invariance cost? The same requests with it and without, in turns.

    python bench/invariance.py [--model checkpoints/nano] [--rounds 7]
    python bench/invariance.py --publish          # the block in docs/RESULTS.md, from the saved figures

"torch" computes a batch together, "torch, invariant" each request by itself and in pieces of 16 tokens, so that no
result depends on the company or on how a prompt was cut; "native", our CPU kernels, is always invariant. All on one
core. Figures are kept in `bench/results/invariance.json`.
"""

from __future__ import annotations

import argparse
import os
import statistics
import time
from pathlib import Path
from typing import Any

import torch
from common import ROOT, commit, machine, publish  # beside this script
from sansi.base.files import read_json, write_json
from sansi.base.progress import progress_bar
from sansi.engine import Engine, SamplingParams

FILE = ROOT / "bench" / "results" / "invariance.json"
WAYS = {"torch": {}, "torch, invariant": {"batch_invariant": True}, "native": {}}
CASES = {"prefill 512": (1, 512, 1), "decode, batch 1": (1, 8, 64), "decode, batch 16": (16, 8, 64)}
"""Requests, tokens of a prompt, new tokens."""


def engine_of(way: str, model: str) -> Engine:
    return Engine.from_pretrained(
        model, device="cpu", backend=way.split(",")[0], prefix_cache=False, num_blocks=256, **WAYS[way]
    )


def seconds(engine: Engine, case: str, number: int) -> float:
    requests, prompt, new = CASES[case]
    prompts = [[(7 * number + 31 * i + 5 * k) % engine.vocab_size for k in range(prompt)] for i in range(requests)]
    params = SamplingParams(temperature=0, max_tokens=new)
    start = time.perf_counter()
    engine.generate(prompts, [params] * requests)
    return time.perf_counter() - start


def measure(model: str, rounds: int) -> dict[str, Any]:
    engines = {way: engine_of(way, model) for way in WAYS}
    runs: dict[str, dict[str, list[float]]] = {case: {way: [] for way in WAYS} for case in CASES}
    with progress_bar("invariance", len(CASES) * (rounds + 1)) as bar:
        for case in CASES:
            for number in range(rounds + 1):
                for way in [*WAYS][number % 3 :] + [*WAYS][: number % 3]:
                    took = seconds(engines[way], case, number)
                    if number:  # the first one warms up
                        runs[case][way].append(took)
                bar.update()
    for engine in engines.values():
        engine.close()
    return {"commit": commit(), "machine": machine(1), "rounds": rounds, "runs": runs}


def report(results: dict[str, Any]) -> str:
    """Milliseconds, and how many times as long as without invariance: medians of the rounds' ratios."""
    box = results["machine"]
    lines = [
        f"`python bench/invariance.py` at `{results['commit']}`; one core of an {box['cpu']} "
        f"({', '.join(box['features'])}); medians of {results['rounds']} rounds.\n",
        "| case | torch, ms | torch, invariant, ms | ratio | native, ms | ratio |",
        "|---|--:|--:|--:|--:|--:|",
    ]
    for case, runs in results["runs"].items():
        plain, strict, native = (runs[way] for way in WAYS)
        cells = [f"{1000 * statistics.median(plain):,.1f}"]
        for other in (strict, native):
            ratio = statistics.median(b / a for a, b in zip(plain, other, strict=True))
            cells += [f"{1000 * statistics.median(other):,.1f}", f"{ratio:.2f}"]
        lines.append(f"| {case} | {' | '.join(cells)} |")
    return "\n".join([*lines, ""])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default=str(Path(ROOT) / "checkpoints" / "nano"))
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--publish", action="store_true", help="only write the saved figures into docs/RESULTS.md")
    options = parser.parse_args()
    if options.publish:
        return publish("engine:invariance", report(read_json(FILE)))
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    torch.set_num_threads(1)
    results = measure(options.model, options.rounds)
    write_json(FILE, results)
    print(report(results))


if __name__ == "__main__":
    main()
