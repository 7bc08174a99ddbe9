"""GPU bench: the engine on one H100, 0.6B shape in bfloat16, beside any peer that is installed. Ends in ten minutes.

    python runs/gpu/bench_engine.py [--device cuda] [--out DIR] [--minutes 9] [--contenders sansi,vllm]

First correctness, on random weights of the official shape: log-probabilities that the engine reports for its greedy
tokens equal the model's own forward pass on the same ids (float32, TF32 off: 1e-3; bfloat16: 0.1), also in a batch.
Then tokens per second, medians of the runs: the common bench (256 requests, 142,827 tokens in, 133,966 out, temperature
0.6, no stop token; goal 19,000, aim 23,000) and decoding at batch 1 (512 tokens, greedy; goal 600, aim 1,000). Peers,
where this interpreter can import them: vLLM, SGLang and transformers (batch 1 only: the rest would not end in time).
Every figure is written to `bench_engine.json` in DIR at once; the same command again goes on from there. Exits with 1
if a check failed. `--device cpu` rehearses with a tiny shape and a few requests.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import signal
import statistics
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from sansi.engine import Engine, SamplingParams
from sansi.model import Transformer, load
from sansi.model.formats.folders import read_config

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "bench"))
import checkpoints
from contenders import ContenderError, Process, Spec
from engine_cases import Case, common_bench, figure, limit

GOALS = {"common": (19_000, 23_000), "decode_b1": (600, 1_000)}
TOLERANCE = {"float32": 1e-3, "bfloat16": 0.1}
RUNS = 3
DECODE = Case("decode_b1", "decode, batch 1", "decode")


def cases(rehearse: bool) -> dict[str, dict[str, Any]]:
    common = common_bench(6, 64) if rehearse else common_bench()
    new_tokens = 17 if rehearse else 513
    return {
        "decode_b1": {"prompts": [list(range(100, 116))], "new_tokens": [new_tokens]},
        "common": {**common, "temperature": 0.6, "stream": False},
    }


def specs(model: str, device: str) -> list[Spec]:
    """Sansi, and every peer that can be imported."""
    dtype = "bfloat16" if device == "cuda" else "float32"
    shared = {"device": device, "dtype": dtype}
    found = [Spec("sansi", sys.executable, "sansi_peer.py", model, {**shared, "max_batch": 256})]
    peers = {
        "vllm": ("vllm_peer.py", {"max_num_seqs": 256, "max_model_len": 4096}),
        "sglang": ("sglang_peer.py", {}),
        "transformers": ("transformers_peer.py", {}),
    }
    for name, (script, options) in peers.items():
        if importlib.util.find_spec(name) is not None:
            found.append(Spec(name, sys.executable, script, model, {**shared, **options}))
    return found


# --- correctness --------------------------------------------------------------------------------------------------


@torch.inference_mode()
def logprob_difference(folder: str, device: str, dtype: str) -> float:
    """Largest difference of a greedy token's log-probability, engine against forward pass; prompts of many lengths."""
    model = load(folder, device=device, dtype=dtype)
    generator = torch.Generator().manual_seed(0)
    prompts = [torch.randint(0, 10_000, (n,), generator=generator).tolist() for n in (5, 16, 17, 130, 300)]
    with Engine.from_pretrained(folder, device=device, dtype=dtype, max_batch=8) as engine:
        done = engine.generate(prompts, SamplingParams(temperature=0.0, max_tokens=24, logprobs=True))
    differences = []
    for prompt, completion in zip(prompts, done, strict=True):
        own = forward_logprobs(model, prompt, completion.ids)
        differences.append((own - torch.tensor(completion.logprobs, device=own.device)).abs().max().item())
    return max(differences)


def forward_logprobs(model: Transformer, prompt: Sequence[int], answer: Sequence[int]) -> torch.Tensor:
    ids = torch.tensor([[*prompt, *answer]], device=next(model.parameters()).device)
    logprobs = model(ids)[0, len(prompt) - 1 : -1].float().log_softmax(-1)
    return logprobs.gather(1, ids[0, len(prompt) :, None])[:, 0]


# --- speed --------------------------------------------------------------------------------------------------------


def measured_rates(device: str) -> dict[str, float]:
    """What this device gives: reading memory, and products in bfloat16."""
    small = device == "cpu"
    memory = torch.ones((1 if small else 16) << 26, device=device)
    square = torch.ones(1024 if small else 8192, 1024 if small else 8192, dtype=torch.bfloat16, device=device)
    seconds = _best(lambda: memory.sum(), device)
    return {
        "read_gbs": memory.nbytes / seconds / 1e9,
        "bfloat16_gflops": 2 * square.shape[0] ** 3 / _best(lambda: square @ square, device) / 1e9,
    }


def _best(work: Callable[[], object], device: str) -> float:
    def once() -> float:
        start = time.perf_counter()
        work()
        if device == "cuda":
            torch.cuda.synchronize()
        return time.perf_counter() - start

    return min(once() for _ in range(6))


def speed(name: str, case: Mapping[str, Any], process: Process) -> list[float]:
    """Figures of RUNS runs after one that warms up; prompts differ each time, so that no cache of prefixes helps."""
    values = []
    for number in range(RUNS + 1):
        prompts = [[(token + 7919 * number) % 10_000 for token in prompt] for prompt in case["prompts"]]
        asked = {**case, "prompts": prompts}
        values.append(figure_of(name, asked, process.run(asked)["times"]))
    return values[1:]


def figure_of(name: str, asked: Mapping[str, Any], times: Sequence[Sequence[float]]) -> float:
    if name == "decode_b1" and len(times[0]) > 1:
        return figure(DECODE, asked, times)
    return sum(asked["new_tokens"]) / max(tokens[-1] for tokens in times)


class Notes:
    """What is known so far, in one file that is rewritten after every step."""

    def __init__(self, file: Path):
        self.file = file
        self.known: dict[str, Any] = json.loads(file.read_text()) if file.exists() else {}

    def once(self, key: str, work: Callable[[], Any]) -> Any:
        if key not in self.known:
            self.known[key] = work()
            self.file.write_text(json.dumps(self.known, indent=2) + "\n")
            print(key, json.dumps(self.known[key]), flush=True)
        return self.known[key]


def run_contender(spec: Spec, notes: Notes, device: str, logs: Path, deadline: float) -> None:
    """All cases that are not known yet. A contender that fails or passes the deadline leaves the others alone."""
    wanted = cases(rehearse=device == "cpu")
    if spec.name == "transformers":
        wanted.pop("common")
        wanted["decode_b1"]["new_tokens"] = [min(129, *wanted["decode_b1"]["new_tokens"])]
    wanted = {name: case for name, case in wanted.items() if f"{spec.name} {name}" not in notes.known}
    left = deadline - time.monotonic()
    if not wanted or left < 20:
        return
    process: Process | None = None
    signal.signal(signal.SIGALRM, _too_late)
    signal.setitimer(signal.ITIMER_REAL, left)
    try:
        process = Process(spec, logs / f"{spec.name}.log", threads=os.cpu_count() or 2)
        for name, case in wanted.items():
            notes.once(f"{spec.name} {name}", lambda n=name, c=case: speed(n, c, process))
    except (ContenderError, TimeoutError) as error:
        print(f"{spec.name}: {error}", flush=True)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        if process is not None:
            process.close()


def _too_late(*_: object) -> None:
    raise TimeoutError("the time is up")


def summary(notes: Notes, config: Any, device: str) -> dict[str, Any]:
    """Medians, ratios to the best peer, and the limits."""
    known, found = notes.known, {}
    for name, asked in cases(rehearse=device == "cpu").items():
        medians = {k.split()[0]: statistics.median(v) for k, v in known.items() if k.endswith(f" {name}")}
        ours, peers = medians.get("sansi"), [v for k, v in medians.items() if k != "sansi"]
        weight_bytes = config.num_parameters() * (2 if device == "cuda" else 4)
        metric = "decode" if name == "decode_b1" else "output"
        found[name] = {
            "tokens_per_second": {k: round(v, 1) for k, v in medians.items()},
            "against_best_peer": round(ours / max(peers), 2) if ours and peers else None,
            "limit": round(limit(metric, asked, config, weight_bytes, known["rates"]), 1),
            "goal_and_aim": GOALS[name],
        }
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="cuda", choices=["cuda", "cpu"])
    parser.add_argument("--out", type=Path, default=Path(os.environ.get("OUT", ".")))
    parser.add_argument("--model", type=Path, help="checkpoint folder; default: written beside the temporary files")
    parser.add_argument(
        "--contenders", default="sansi,vllm,sglang,transformers", help="default: all that are installed"
    )
    parser.add_argument("--minutes", type=float, default=9.0, help="start nothing new after this")
    options = parser.parse_args()
    device, deadline = options.device, time.monotonic() + 60 * options.minutes
    torch.backends.cuda.matmul.allow_tf32 = False
    shape = "0.6b" if device == "cuda" else "tiny"
    folder = options.model or Path(os.environ.get("TMPDIR", "/tmp")) / f"sansi-bench-{shape}"
    if not (folder / "config.json").exists():
        checkpoints.write(shape, folder, tokenizer=False)
    notes = Notes(options.out / "bench_engine.json")
    notes.once("torch", lambda: torch.__version__)
    notes.once("device", lambda: torch.cuda.get_device_name() if device == "cuda" else device)
    for dtype in TOLERANCE:
        notes.once(f"difference {dtype}", lambda d=dtype: logprob_difference(str(folder), device, d))
    notes.once("rates", lambda: measured_rates(device))
    if device == "cuda":
        torch.cuda.empty_cache()  # the contenders have the device for themselves
    for spec in specs(str(folder), device):
        if spec.name in options.contenders.split(","):
            run_contender(spec, notes, device, options.out, deadline)
    notes.known["passed"] = all(notes.known[f"difference {dtype}"] < most for dtype, most in TOLERANCE.items())
    notes.known["summary"] = summary(notes, read_config(folder), device)
    notes.file.write_text(json.dumps(notes.known, indent=2) + "\n")
    print(json.dumps(notes.known["summary"], indent=2))
    raise SystemExit(not notes.known["passed"])


if __name__ == "__main__":
    main()
