"""Tokens per second of training: our loop beside transformers' Trainer and a loop written by hand, in one run.

    python bench/train.py [--shapes 1M 6M 27M] [--contenders NAME …] [--old CHECKOUT] [--rounds 5] [--publish]

All train the same shape (Qwen3's layers, a tied head) on the same random rows of 256 tokens with fused AdamW and
clipped gradients. Each contender is a process; they take turns of a few steps, so that whatever else the machine does
hits all of them. Rates are medians over the turns, in tokens per second of processor time of one thread; memory is the
peak of the whole process while it trains, compiler and libraries included. "before" is the loop of --old, a checkout of
commit 246cb2d; "packed" rows hold documents of 100 tokens on average. Needs accelerate (for transformers' Trainer).
Results are kept in bench/results/train.json and written to docs/RESULTS.md with --publish.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
from pathlib import Path
from typing import Any

import common
from train_contenders import CONTENDERS, SHAPES

RESULTS = common.ROOT / "bench" / "results" / "train.json"
REFERENCE = "transformers"


class Contender:
    """A process that does steps when it is told to."""

    def __init__(self, name: str, shape: str, old: Path | None, logs: Path):
        environment = {**os.environ, "OMP_NUM_THREADS": "1"}
        if name.startswith("before"):
            environment["PYTHONPATH"] = str(old)
        logs.mkdir(parents=True, exist_ok=True)
        self.name, self.log = name, logs / f"train-{shape}-{name.replace(' ', '-')}.log"
        command = [sys.executable, str(Path(__file__).with_name("train_contenders.py")), name, shape]
        self.process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self.log.open("w"),
            text=True,
            env=environment,
        )

    def start(self, count: int) -> None:
        assert self.process.stdin
        self.process.stdin.write(f"{count}\n")
        self.process.stdin.flush()

    def answer(self) -> dict[str, float]:
        """What the steps took that were started."""
        assert self.process.stdout
        answer = self.process.stdout.readline()
        if not answer:
            raise SystemExit(f"{self.name} ended: see {self.log}")
        return json.loads(answer)

    def close(self) -> None:
        self.process.kill()
        self.process.wait()


def measure(shape: str, names: list[str], arguments: argparse.Namespace) -> dict[str, Any]:
    """Rates and peaks of each contender. The first steps compile, and count for nothing."""
    contenders = [Contender(name, shape, arguments.old, arguments.logs) for name in names]
    rates: dict[str, list[float]] = {name: [] for name in names}
    peaks: dict[str, float] = {}
    try:
        for contender in contenders:
            contender.start(2)
        for contender in contenders:
            contender.answer()
            print(f"{shape}: {contender.name} is warm", file=sys.stderr)
        for _ in range(arguments.rounds):
            for contender in contenders:
                contender.start(arguments.steps)
                done = contender.answer()
                rates[contender.name].append(done["tokens"] / done["cpu"])
                peaks[contender.name] = max(peaks.get(contender.name, 0.0), done["peak_mib"])
    finally:
        for contender in contenders:
            contender.close()
    return {
        name: {
            "tokens_per_second": round(statistics.median(rates[name])),
            "lowest": round(min(rates[name])),
            "highest": round(max(rates[name])),
            "peak_mib": round(peaks[name]),
        }
        for name in names
    }


def table(results: dict[str, Any]) -> str:
    lines = [
        "| shape | contender | tok/s | spread | × transformers' Trainer | peak MiB |",
        "| --- | --- | --: | --: | --: | --: |",
    ]
    for shape, found in results["shapes"].items():
        reference = found.get(REFERENCE, {}).get("tokens_per_second")
        for name, figures in found.items():
            ratio = f"{figures['tokens_per_second'] / reference:.2f}" if reference else ""
            spread = f"{figures['lowest']:,}–{figures['highest']:,}"
            rate = f"{figures['tokens_per_second']:,}"
            lines.append(f"| {shape} | {name} | {rate} | {spread} | {ratio} | {figures['peak_mib']:,} |")
    where = results["machine"]
    return f"Commit `{results['commit']}`, one thread of {where['cpu']} ({', '.join(where['features'])}).\n\n" + (
        "\n".join(lines) + "\n"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shapes", nargs="+", choices=list(SHAPES), default=list(SHAPES))
    parser.add_argument("--contenders", nargs="+", choices=list(CONTENDERS), metavar="NAME", default=list(CONTENDERS))
    parser.add_argument("--old", type=Path, help="a checkout of commit 246cb2d, for the contenders 'before'")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--steps", type=int, default=3, help="of one turn")
    parser.add_argument("--publish", action="store_true", help="only write the saved figures into docs/RESULTS.md")
    parser.add_argument("--logs", type=Path, default=common.LOGS, help=f"default: {common.LOGS}")
    arguments = parser.parse_args()
    results = json.loads(RESULTS.read_text()) if RESULTS.exists() else {"shapes": {}}
    if arguments.publish:
        return common.publish("train", table(results))
    names = [name for name in arguments.contenders if arguments.old or not name.startswith("before")]
    for shape in arguments.shapes:
        found = measure(shape, names, arguments)
        results["shapes"][shape] = {**results["shapes"].get(shape, {}), **found}
        results |= {"commit": common.commit(), "machine": common.machine(1)}
        RESULTS.write_text(json.dumps(results, indent=1) + "\n")
        print(table({**results, "shapes": {shape: found}}), flush=True)


if __name__ == "__main__":
    main()
