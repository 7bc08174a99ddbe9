"""GPU check: the bundled model and the sparse layers on CUDA against the CPU. Ends within two minutes.

    python runs/gpu/check_nano.py [--device cuda] [--out DIR]

Checks: (1) float32 logits equal the CPU's to 1e-4 (TF32 off); (2) greedy answers equal the CPU's, token for token;
(3) no budget is exceeded, float32 and bfloat16; (4) the sparse layers' grouped product equals a loop.
Measures: tokens per second of nano at batch 1, 32 and 256. Writes `check_nano.json`; exits with 1 if a check failed.
With --device cpu it rehearses.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from dataclasses import dataclass
from pathlib import Path

import torch
from sansi.chat import ChatModel, ChatOptions
from sansi.data.problems import evaluation_set
from sansi.engine import Engine, SamplingParams
from sansi.eval.budget_curve import own_thinking_tokens
from sansi.model import ModelConfig, Transformer, load

FOLDER = "checkpoints/nano"


def logits_difference(device: str) -> float:
    ids = torch.randint(0, 500, (4, 256), generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        reference = load(FOLDER, device="cpu", dtype="float32")(ids)
        return (load(FOLDER, device=device, dtype="float32")(ids.to(device)).cpu() - reference).abs().max().item()


@dataclass(frozen=True)
class Answer:
    ids: tuple[int, ...]
    own_tokens: int
    """Tokens of the thought, without the phrase that closes it."""


def answers(device: str, dtype: str, budget: int | None = None) -> list[Answer]:
    """Greedy answers to 100 questions."""
    questions = [[{"role": "user", "content": p.question}] for p in evaluation_set(100)]
    options = ChatOptions(temperature=0.0, thinking_budget=budget)
    with ChatModel.from_pretrained(FOLDER, device=device, dtype=dtype) as chat:
        return [Answer(r.ids, own_thinking_tokens(chat.codec, r)) for r in chat.complete_batch(questions, options)]


def sparse_difference(device: str) -> float:
    config = ModelConfig.preset(
        "nano", num_experts=16, num_experts_per_tok=4, moe_intermediate_size=64, norm_topk_prob=True
    )
    model = Transformer(config)
    ids = torch.randint(0, 500, (2, 128), generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        reference = model(ids)
        copy = Transformer(config).to(device, torch.bfloat16 if device != "cpu" else torch.float32)
        return (copy(ids.to(device)).float().cpu() - reference).abs().max().item() / reference.abs().max().item()


def tokens_per_second(device: str, batch: int) -> float:
    with Engine(load(FOLDER, device=device, dtype="float32"), max_batch=batch) as engine:
        prompts = [[5, 6, 7 + i % 100] for i in range(batch)]
        engine.generate(prompts, SamplingParams(max_tokens=16, seed=0))
        started = time.perf_counter()
        done = engine.generate(prompts, SamplingParams(max_tokens=200, seed=0))
        return sum(len(c.ids) for c in done) / (time.perf_counter() - started)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--out", type=Path, default=Path(os.environ.get("OUT", ".")))
    device, out = (arguments := parser.parse_args()).device, arguments.out
    greedy = {name: [a.ids for a in answers(name, "float32")] for name in {device, "cpu"}}
    facts = {
        "torch": torch.__version__,
        "device": torch.cuda.get_device_name() if device == "cuda" else device,
        "logits_difference": logits_difference(device),
        "sparse_relative_difference": sparse_difference(device),
        "greedy_equal": greedy[device] == greedy["cpu"],
        "overruns": sum(a.own_tokens > 32 for dtype in ("float32", "bfloat16") for a in answers(device, dtype, 32)),
        "tokens_per_second": {batch: round(tokens_per_second(device, batch)) for batch in (1, 32, 256)},
    }
    facts["passed"] = (
        facts["logits_difference"] < 1e-4
        and facts["sparse_relative_difference"] < 0.05
        and facts["greedy_equal"]
        and not facts["overruns"]
    )
    (out / "check_nano.json").write_text(json.dumps(facts, indent=2) + "\n")
    print(json.dumps(facts, indent=2))
    raise SystemExit(not facts["passed"])


if __name__ == "__main__":
    main()
