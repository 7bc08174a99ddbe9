"""Peak memory of one training step at 151,936 ids and 4,096 tokens: one layer of Qwen3-0.6B, on the CPU.

    OMP_NUM_THREADS=1 python bench/train_memory.py [--tokens 4096] [--ways NAME …] [--publish]

"mask and logits" is how it was at commit 246cb2d: attention by a mask [1, 1, T, T], and all logits at once. The others
are what `NextToken` does: documents by lengths, log-probabilities in chunks; with bfloat16 by autocast; with layers
that run twice. Each is a process of its own; what is counted is resident memory while the step runs, less what the
process had before the model was built. The limit is what no way can do without: float32 weights and gradients, two
moments of AdamW, and what the layers keep (all of it, or the inputs of the layers).
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import common
import torch
import torch.nn.functional as F
from sansi.model import Documents, ModelConfig, Transformer, token_logprobs
from sansi.train.optim import Optimizer
from torch import Tensor
from train_contenders import peak_memory

WAYS = ("mask and logits", "documents and chunks", "documents and chunks, bf16", "documents and chunks, checkpointing")
RESULTS = common.ROOT / "bench" / "results" / "train_memory.json"
DOCUMENT = 128


def mask_and_logits(model: Transformer, ids: Tensor, documents: Documents) -> Tensor:
    logits = model(ids[:, :-1], attention=documents.mask)
    losses = F.cross_entropy(logits.float().flatten(0, 1), ids[:, 1:].flatten(), reduction="none")
    return losses.mean()


def documents_and_chunks(model: Transformer, ids: Tensor, documents: Documents) -> Tensor:
    hidden = model.features(ids[:, :-1], attention=documents).hidden
    return -token_logprobs(hidden.flatten(0, 1), model.lm_head_weight, ids[:, 1:].flatten()).logprobs.mean()


def step(way: str, tokens: int) -> dict[str, Any]:
    """Memory and time of one step, when weights and moments are there."""
    before = peak_memory()
    model = Transformer(ModelConfig.preset("Qwen3-0.6B", num_hidden_layers=1, max_position_embeddings=tokens))
    optimizer = Optimizer(model, "adamw", 1e-4, 0.1)
    for parameter in model.parameters():
        parameter.grad = torch.zeros_like(parameter)
    optimizer.step(0.0)  # makes the moments
    if "checkpointing" in way:
        model.gradient_checkpointing_enable()
    ids = torch.randint(0, model.config.vocab_size, (1, tokens + 1), generator=torch.Generator().manual_seed(0))
    documents = Documents.from_lengths([[DOCUMENT] * (tokens // DOCUMENT)])
    loss_of = mask_and_logits if way == WAYS[0] else documents_and_chunks
    Path("/proc/self/clear_refs").write_text("5")
    started = time.process_time()
    with torch.autocast("cpu", dtype=torch.bfloat16, enabled="bf16" in way):
        loss = loss_of(model, ids, documents)
    loss.backward()
    optimizer.step(1.0)
    weights = sum(p.numel() for p in model.parameters()) * 4
    return {
        "peak_mib": round(peak_memory() - before),
        "cpu_seconds": round(time.process_time() - started, 1),
        "loss": loss.item(),
        "weights_mib": round(weights / 2**20),
        "limit_mib": round((4 * weights + kept_bytes(model, tokens)) / 2**20),
    }


def kept_bytes(model: Transformer, tokens: int) -> int:
    """Activations in float32 that a backward pass by the layers' formulas needs, per token: the residual stream before
    each norm and its normed form, q, k and v before and after norm and rotation, attention's output, gate, up and
    their product, and the last hidden state twice."""
    c = model.config
    queries, keys = c.num_attention_heads * c.head_dim, c.num_key_value_heads * c.head_dim
    layer = 4 * c.hidden_size + 2 * (queries + keys) + keys + queries + 3 * c.intermediate_size
    if model.gradient_checkpointing:
        layer = c.hidden_size
    return 4 * tokens * (layer * c.num_hidden_layers + 2 * c.hidden_size)


def table(results: dict[str, Any]) -> str:
    lines = ["| tokens | way | peak MiB | limit MiB | processor seconds |", "| --: | --- | --: | --: | --: |"]
    for tokens, ways in sorted(results["tokens"].items(), key=lambda item: int(item[0])):
        for way, found in ways.items():
            figures = f"{found['peak_mib']:,} | {found['limit_mib']:,} | {found['cpu_seconds']}"
            lines.append(f"| {int(tokens):,} | {way} | {figures} |")
    return f"Commit `{results['commit']}`, float32 unless said, one thread.\n\n" + "\n".join(lines) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tokens", type=int, default=4096)
    parser.add_argument("--ways", nargs="+", choices=WAYS, metavar="NAME", default=WAYS)
    parser.add_argument("--one", choices=WAYS, help=argparse.SUPPRESS)
    parser.add_argument("--publish", action="store_true", help="only write the saved figures into docs/RESULTS.md")
    arguments = parser.parse_args()
    if arguments.one:
        torch.set_num_threads(1)
        return print(json.dumps(step(arguments.one, arguments.tokens)))
    results = json.loads(RESULTS.read_text()) if RESULTS.exists() else {"tokens": {}}
    if arguments.publish:
        return common.publish("train_memory", table(results))
    for way in arguments.ways:
        command = [sys.executable, __file__, "--one", way, "--tokens", str(arguments.tokens)]
        done = subprocess.run(command, check=True, capture_output=True, text=True)
        results["tokens"].setdefault(str(arguments.tokens), {})[way] = json.loads(done.stdout.splitlines()[-1])
        results["commit"] = common.commit()
        RESULTS.write_text(json.dumps(results, indent=1) + "\n")
    print(table(results))


if __name__ == "__main__":
    main()
