"""GPU check: training on one H100 or H200. Ends within ten minutes; goes on where it stopped.

    python runs/gpu/train_mfu.py [--out DIR] [--from FILE] [--parts A,B] [--minutes 9] [--device cuda]

Checks: (1) attention by document lengths against the masked attention in float64, forward and backward, in bfloat16
(the varlen kernel) and float32; (2) log-probabilities in chunks against the whole logits; (3) losses and gradients of
a packed model in bfloat16 against float32 on the same weights, dense and with experts; (4) that recomputed layers have
the same gradients. Measures: the trainer's tokens per second, MFU and peak memory for Qwen3-0.6B's shape in bfloat16,
4 rows of 4,096 tokens: one document to a row or documents of 512 tokens, compiled or not, with recomputed layers, with
Muon; and for a mixture of experts. To reach: 40% MFU, compiled.

Results go to train_mfu.json in DIR ($OUT, or here) after each part; parts that passed by it, or by FILE, are not run
again. Exits with 1 if a check failed, with 2 if time ran out. With --device cpu it rehearses at tiny sizes.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from check_kernels import Run, check, device, error
from sansi.data.batch import Batch
from sansi.model import Documents, ModelConfig, Transformer, token_logprobs
from sansi.model.attention import attend_documents
from sansi.train.loop import TrainConfig, Trainer
from sansi.train.objective import NextToken, with_attention
from sansi.train.schedule import Schedule
from sansi.train.throughput import flops_per_token, peak_flops
from torch import Tensor

TOLERANCE = {torch.float32: 1e-5, torch.bfloat16: 1e-2}
STEPS, WARM = 8, 3


def lengths_of(row_length: int, document: int) -> tuple[int, ...]:
    """Documents of one row: about as long as asked, none like the one before, the last one what is left."""
    found: list[int] = []
    while (left := row_length - sum(found)) > 0:
        found.append(min(left, max(1, document * (2 + len(found) % 3) // 3)))
    return tuple(found)


def attention(run: Run) -> dict[str, Any]:
    """Relative errors of the output and of the gradients of q, k and v."""
    facts: dict[str, Any] = {}
    length = run.size(1500, 40)
    documents = Documents.from_lengths([lengths_of(length, length // 9), (length,), (1, length - 1)]).to(run.device)
    for heads, groups, head in [(16, 8, 128), (32, 4, 128), (4, 2, 32)][:: run.size(1, 3)]:
        drawn = [run.draw(3, length, n, head).transpose(1, 2) for n in (heads, groups, groups)]
        weight = run.draw(3, heads, length, head)
        for dtype in TOLERANCE:
            inputs = [x.to(dtype).requires_grad_() for x in drawn]
            exact = [x.detach().double().requires_grad_() for x in inputs]
            expected = F.scaled_dot_product_attention(*exact, documents.mask, enable_gqa=True)
            found = attend_documents(*inputs, documents)
            gradients = torch.autograd.grad((found * weight.to(dtype)).sum(), inputs)
            wanted = torch.autograd.grad((expected * weight.to(dtype).double()).sum(), exact)
            errors = [error(found, expected), *(error(a, b) for a, b in zip(gradients, wanted, strict=True))]
            facts[f"{heads}/{groups}/{head} {str(dtype)[6:]}"] = max(errors)
    passed = all(value < TOLERANCE[getattr(torch, name.split()[-1])] for name, value in facts.items())
    return facts | {"passed": passed}


def logprobs(run: Run) -> dict[str, Any]:
    """Relative errors of log-probabilities and gradients in chunks against float64."""
    facts: dict[str, Any] = {}
    tokens, width, vocabulary = run.size(2000, 30), run.size(1024, 16), run.size(151_936, 50)
    for dtype in TOLERANCE:
        hidden = run.draw(tokens, width).to(dtype).requires_grad_()
        head = (run.draw(vocabulary, width) * width**-0.5).to(dtype).requires_grad_()
        targets = torch.randint(0, vocabulary, (tokens,), device=run.device)
        exact = [x.detach().double().requires_grad_() for x in (hidden, head)]
        expected = -F.cross_entropy(exact[0] @ exact[1].T, targets, reduction="none")
        found = token_logprobs(hidden, head, targets, chunk=tokens // 3).logprobs
        gradients = torch.autograd.grad(found.sum(), (hidden, head))
        wanted = torch.autograd.grad(expected.sum(), exact)
        pairs = [(found, expected), *zip(gradients, wanted, strict=True)]
        facts[str(dtype)[6:]] = max(error(a, b) for a, b in pairs)
    return facts | {"passed": all(facts[str(dtype)[6:]] < limit for dtype, limit in TOLERANCE.items())}


def config_of(run: Run, experts: bool = False, layers: int | None = None) -> ModelConfig:
    """Qwen3-0.6B's shape; with experts its layers have 32 of width 768, of which a token visits 4."""
    if run.rehearsal:
        tiny = {"hidden_size": 32, "intermediate_size": 48, "num_attention_heads": 2, "num_key_value_heads": 1}
        shape: dict[str, Any] = {**tiny, "head_dim": 16, "vocab_size": 128, "num_hidden_layers": 1}
    else:
        shape = {"num_hidden_layers": layers or 28}
    if experts:
        shape |= {"num_experts": run.size(32, 4), "num_experts_per_tok": run.size(4, 2)}
        shape |= {"moe_intermediate_size": run.size(768, 16), "norm_topk_prob": True}
    return ModelConfig.preset("Qwen3-0.6B", max_position_embeddings=run.size(4096, 64), **shape)


def model_of(run: Run, config: ModelConfig) -> Transformer:
    """Random weights, drawn on the device: `init_weights` draws on one core of the host, ten seconds for 0.6B."""
    with torch.device("meta"):
        model = Transformer(config)
    model.to_empty(device=run.device)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.fill_(1.0) if parameter.dim() == 1 else parameter.normal_(0.0, config.initializer_range)
    return model


def batch_of(run: Run, config: ModelConfig, rows: int, length: int, document: int, seed: int = 0) -> Batch:
    draw = torch.Generator().manual_seed(seed)
    ids = torch.randint(0, config.vocab_size, (rows, length + 1), generator=draw)
    lengths = lengths_of(length + 1, document)
    mask = torch.ones(rows, length + 1, dtype=torch.bool)
    mask[:, [sum(lengths[:n]) for n in range(len(lengths))]] = False
    return Batch(ids, (lengths,) * rows, mask)


def gradients(model: Transformer, batch: Batch, dtype: torch.dtype) -> tuple[float, Tensor]:
    """The mean loss, and all gradients side by side."""
    model.zero_grad()
    with torch.autocast(batch.device.type, dtype=torch.bfloat16, enabled=dtype == torch.bfloat16):
        loss = NextToken()(model, batch, {})
    mean = loss.sum / batch.targets
    mean.backward()
    return mean.item(), torch.cat([p.grad.flatten() for p in model.parameters() if p.grad is not None])


def packed_model(run: Run) -> dict[str, Any]:
    """Loss and gradients: bfloat16 against float32, and layers that run twice against layers that run once."""
    facts: dict[str, Any] = {}
    passed = True
    for name, experts in (("dense", False), ("experts", True)):
        config = config_of(run, experts, layers=4)
        model = model_of(run, config)
        batch = with_attention(batch_of(run, config, 2, run.size(1024, 40), run.size(100, 9)).to(run.device))
        exact, of_exact = gradients(model, batch, torch.float32)
        rounded, of_rounded = gradients(model, batch, torch.bfloat16)
        model.gradient_checkpointing_enable()
        again, of_again = gradients(model, batch, torch.bfloat16)
        facts[name] = {
            "loss": exact,
            "bfloat16, loss": abs(rounded - exact),
            "bfloat16, gradients": error(of_rounded, of_exact),
            "recomputed, gradients": error(of_again, of_rounded),
        }
        # Experts of a near tie are chosen otherwise where bfloat16 came before the router.
        limit = 0.3 if experts else 0.1
        passed &= facts[name]["bfloat16, loss"] < 0.02 and facts[name]["bfloat16, gradients"] < limit
        passed &= abs(again - rounded) < 1e-3 and facts[name]["recomputed, gradients"] < 1e-2
    return facts | {"passed": bool(passed)}


class Stream:
    """The same few batches over and over; waits for the device before each, and keeps the time."""

    def __init__(self, run: Run, batches: list[Batch]):
        self.run, self.batches, self.times = run, batches, list[float]()

    def __iter__(self) -> Iterator[Batch]:
        while True:
            for batch in self.batches:
                if self.run.device == "cuda":
                    torch.cuda.synchronize()
                self.times.append(time.perf_counter())
                yield batch

    def state_dict(self) -> dict[str, Any]:
        return {}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        pass


def speed(
    run: Run, document: int | None = None, experts: bool = False, steps: int = STEPS, **options: Any
) -> dict[str, Any]:
    """Tokens per second, MFU and peak memory of the trainer."""
    config = config_of(run, experts, layers=12 if experts else None)
    rows, length = 4, run.size(4096, 48)
    model = model_of(run, config)
    batches = [batch_of(run, config, rows, length, document or 2 * length, seed) for seed in range(3)]
    stream = Stream(run, batches)
    if run.device == "cuda":
        torch.cuda.reset_peak_memory_stats()
    settings = {"optimizer": "adamw", "compile": not run.rehearsal, **options}
    plan = TrainConfig(
        steps=WARM + steps + 1, learning_rate=1e-4, dtype="bfloat16", schedule=Schedule(warmup_steps=1),
        checkpoint_every=10**9, log_every=10**9, spike_factor=0.0, **settings,
    )  # fmt: skip
    trainer = Trainer(model, stream, NextToken(), plan, Path(tempfile.mkdtemp()))
    trainer._save = lambda: None  # type: ignore[method-assign]  # a checkpoint of random weights is of no use
    trainer.train()
    seconds = (stream.times[WARM + steps] - stream.times[WARM]) / steps
    rate = rows * length / seconds
    peak = peak_flops(torch.device(run.device), torch.bfloat16)
    done = rate * flops_per_token(config, document or length)
    return {
        "tokens_per_second": round(rate),
        "mfu": round(done / peak, 4) if peak else None,
        "step_ms": round(1e3 * seconds, 1),
        "compile_s": round(stream.times[1] - stream.times[0], 1),
        "peak_gib": round(torch.cuda.max_memory_allocated() / 2**30, 2) if run.device == "cuda" else None,
        "passed": True,
    }


def rows(run: Run) -> dict[str, Any]:
    return speed(run)


def compile_rows(run: Run) -> dict[str, Any]:
    """`rows` in advance, beside other work: what is compiled is kept on the disk, and its figures mean nothing."""
    return speed(run, steps=1)


def compile_documents(run: Run) -> dict[str, Any]:
    return speed(run, document=run.size(512, 12), steps=1)


def rows_eager(run: Run) -> dict[str, Any]:
    return speed(run, compile=False)


def documents(run: Run) -> dict[str, Any]:
    return speed(run, document=run.size(512, 12))


def documents_recomputed(run: Run) -> dict[str, Any]:
    return speed(run, document=run.size(512, 12), gradient_checkpointing=True)


def documents_muon(run: Run) -> dict[str, Any]:
    return speed(run, document=run.size(512, 12), optimizer="muon")


def mixture_of_experts(run: Run) -> dict[str, Any]:
    return speed(run, document=run.size(512, 12), experts=True, compile=False)


PARTS = {
    part.__name__: part
    for part in (
        device, attention, logprobs, packed_model, compile_rows, compile_documents, rows_eager, documents, rows,
        documents_recomputed, documents_muon, mixture_of_experts,
    )
}  # fmt: skip

if __name__ == "__main__":
    check(PARTS, "train_mfu", __doc__)
