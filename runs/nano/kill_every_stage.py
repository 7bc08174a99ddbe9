"""Makes the recipe nano in small, kills it once in every stage at a random moment, and lets it go on each time.

    python runs/nano/kill_every_stage.py [--out DIR] [--seed 7]

Every stage of the recipe runs, with as few steps and samples as show something; corpus and tokenizer are the real ones,
so it takes half an hour on one core. Ends with 1 if a run ends by itself with an error, or goes on for ever.
"""

from __future__ import annotations

import argparse
import os
import random
import re
import signal
import subprocess
import sys
import threading
from pathlib import Path

SMALL = {
    "worked.tokens": 1_000_000,
    "s1-general.steps": 800,  # with fewer no problem is ever solved, and GRPO has nothing to learn from
    "s2-reasoning.steps": 300,
    "s3-worked.tokens": 100_000,
    "s3-long-context.steps": 12,
    "s3-long-context.schedule.warmup_steps": 4,
    "grpo-problems.count": 120,
    "grpo-problems.at_least": 1,
    "grpo.steps": 3,
    "grpo.questions_per_step": 8,
    "fusion-samples.count": 1500,
    "fusion.steps": 40,
    "polish-samples.count": 1200,
    "polish.steps": 40,
    "finish-samples.count": 600,
    "finish.steps": 40,
}
TRAINING = ("pretrain", "extend_context", "sft", "grpo")
STAGE = re.compile(r"== \d+/\d+ (\S+) \((\w+)\)")


def moment(kind: str) -> float:
    """Seconds after its start at which a stage is killed; some are over before that."""
    if kind == "corpus":
        return random.uniform(20, 60)
    return random.uniform(3, 25) if kind in TRAINING else random.choice([0.0, 0.05, 0.2, 1.0, 3.0])


def run_once(out: Path, killed: dict[str, float]) -> int:
    """Run until the end, or until the first stage that nobody has killed yet is; its exit status."""
    command = [sys.executable, "-m", "sansi.cli", "make", "nano", "--out", str(out), "--threads", "1"]
    command += [word for key, value in SMALL.items() for word in ("--set", f"{key}={value}")]
    own = {**os.environ, "OMP_NUM_THREADS": "1"}
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, start_new_session=True, env=own)
    assert process.stdout
    try:
        for line in process.stdout:
            print(line, end="", flush=True)
            found = STAGE.match(line)
            if found and found[1] not in killed:
                killed[found[1]] = moment(found[2])
                threading.Timer(killed[found[1]], kill, (process,)).start()
        return process.wait()
    finally:
        kill(process)


def kill(process: subprocess.Popen[str]) -> None:
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGKILL)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path("runs/nano-killed"))
    parser.add_argument("--seed", type=int, default=7)
    options = parser.parse_args()
    random.seed(options.seed)
    killed: dict[str, float] = {}
    for number in range(100):
        status = run_once(options.out, killed)
        print(f"run {number + 1}: {status}; stages killed so far: {len(killed)}", flush=True)
        if status != -signal.SIGKILL:
            sys.exit(status != 0)
    sys.exit("it never ends")


if __name__ == "__main__":
    main()
