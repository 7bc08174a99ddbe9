"""GPU check: the bundled model and the sparse layers on CUDA against the CPU. Ends within two minutes.

    python runs/gpu/check_nano.py [--out DIR] [--from FILE] [--parts A,B] [--minutes 9] [--device cuda]

Checks: (1) float32 logits equal the CPU's to 1e-4 (TF32 off); (2) greedy answers equal the CPU's, token for token;
(3) no budget is exceeded, float32 and bfloat16; (4) the sparse layers' grouped product equals a loop.
Measures: tokens per second of nano at batch 1, 32 and 256. Results go to check_nano.json in DIR ($OUT, or here)
after each part; exits with 1 if a check failed. With --device cpu it rehearses.
"""

from __future__ import annotations

import random
import time
from dataclasses import dataclass
from typing import Any

import torch
from check_kernels import Run, check
from sansi.chat import ChatModel, ChatOptions
from sansi.engine import Engine, SamplingParams
from sansi.eval.budget_curve import own_thinking_tokens
from sansi.model import ModelConfig, Transformer, load

FOLDER = "checkpoints/nano"
TEXTS = (
    "What is {0} + {1}?",
    "Calculate {0} * {1} + {2} - {3}.",
    "Sort these numbers in ascending order: {0}, {1}, {2}, {3}",
    "Who are you?",
    "{0} 加 {1} 等于多少？",
)


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
    """Greedy answers to 100 questions, which no package has to make."""
    draw = random.Random(0)
    texts = [TEXTS[n % len(TEXTS)].format(*(draw.randint(2, 99) for _ in range(4))) for n in range(100)]
    questions = [[{"role": "user", "content": text}] for text in texts]
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


def logits(run: Run) -> dict[str, Any]:
    difference = logits_difference(run.device)
    return {"largest_difference": difference, "passed": difference < 1e-4}


def sparse(run: Run) -> dict[str, Any]:
    difference = sparse_difference(run.device)
    return {"relative_difference": difference, "passed": difference < 0.05}


def greedy(run: Run) -> dict[str, Any]:
    here, on_cpu = ([answer.ids for answer in answers(device, "float32")] for device in (run.device, "cpu"))
    differ = [number for number, pair in enumerate(zip(here, on_cpu, strict=True)) if pair[0] != pair[1]]
    return {"questions": len(here), "tokens": sum(map(len, here)), "differ": differ, "passed": not differ}


def budgets(run: Run) -> dict[str, Any]:
    found = [a.own_tokens for dtype in ("float32", "bfloat16") for a in answers(run.device, dtype, 32)]
    return {"largest": max(found), "overruns": sum(own > 32 for own in found), "passed": max(found) <= 32}


def speed(run: Run) -> dict[str, Any]:
    """Tokens per second, by the batch."""
    return {str(batch): round(tokens_per_second(run.device, batch)) for batch in (1, 32, 256)} | {"passed": True}


PARTS = {part.__name__: part for part in (logits, sparse, greedy, budgets, speed)}

if __name__ == "__main__":
    check(PARTS, "check_nano", __doc__)
