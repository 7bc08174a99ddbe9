"""GPU check: the Triton kernels and the CUDA backend, for one H100. Ends within ten minutes; goes on where it stopped.

    python runs/gpu/check_kernels.py [--out DIR] [--from FILE] [--parts A,B] [--minutes 9] [--device cuda]

Checks: (1) every kernel against float64, in float32 and bfloat16; (2) graphs against eager steps; (3) greedy tokens of
Engine against transformers (against our torch forward where transformers is missing), for checkpoints/nano and for a
random checkpoint of the 0.6B shape that it makes itself. Measures, each beside what the hardware allows: attention of
decoding (GB/s) and of prefill (TFLOP/s, torch's on contiguous keys beside it), grouped products, a step as graph and
eagerly, and tokens per second of 0.6B through Engine (backend torch beside it).

Results go to check_kernels.json in DIR ($OUT, or here) after each part; parts that passed by it, or by FILE, are not
run again. Exits with 1 if a check failed, with 2 if time ran out: run it again. With --device cpu it rehearses at tiny
sizes in Triton's interpreter. Needs torch, triton, numpy, safetensors, huggingface_hub, llguidance and rich.
"""

from __future__ import annotations

import argparse
import contextlib
import gc
import importlib.util
import json
import os
import random
import statistics
import sys
import tempfile
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

NANO = "checkpoints/nano"
BANDWIDTH, TENSOR_RATE = 3.35e12, 989e12  # of an H100 SXM by its datasheet: bytes/s, dense bfloat16 FLOP/s
TOLERANCE = {torch.float32: 1e-5, torch.bfloat16: 1e-2}
BLOCK = 16


@dataclass(frozen=True)
class Run:
    """What every part is given."""

    device: str
    rehearsal: bool

    def size(self, real: int, tiny: int) -> int:
        return tiny if self.rehearsal else real

    def draw(self, *shape: int, dtype: torch.dtype = torch.float32) -> Tensor:
        return torch.randn(shape, device=self.device, dtype=torch.float32).to(dtype)

    def ints(self, values: Any) -> Tensor:
        return torch.as_tensor(values, dtype=torch.int32, device=self.device)

    def seconds(self, work: Callable[[], Any], calls: int = 10) -> float:
        """The median time of one call, as part of a graph of `calls`: launches cost nothing."""
        if self.device == "cpu":
            return _host_seconds(work, 1)
        work()
        torch.cuda.synchronize()
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            for _ in range(calls):
                work()
        times = []
        for _ in range(12):
            first, last = (torch.cuda.Event(enable_timing=True) for _ in range(2))
            first.record()
            graph.replay()
            last.record()
            torch.cuda.synchronize()
            times.append(first.elapsed_time(last) / 1e3 / calls)
        return statistics.median(times[2:])

    def wall_seconds(self, work: Callable[[], Any], repeats: int = 30) -> float:
        """The median time of a call and all that it started, launches included."""

        def finished() -> None:
            work()
            if self.device == "cuda":
                torch.cuda.synchronize()

        return _host_seconds(finished, 1 if self.rehearsal else repeats)


def _host_seconds(work: Callable[[], Any], repeats: int) -> float:
    times = []
    for _ in range(repeats + 2 * (repeats > 1)):
        started = time.perf_counter()
        work()
        times.append(time.perf_counter() - started)
    return statistics.median(times[-repeats:])


# ---- the device ------------------------------------------------------------------------------------------------------


def device(run: Run) -> dict[str, Any]:
    """Which it is, and what it really reaches."""
    size = run.size(2**30, 2**16)
    source, target = torch.empty(2, size, dtype=torch.uint8, device=run.device).random_().unbind()
    side = run.size(8192, 64)
    a, b = (run.draw(side, side, dtype=torch.bfloat16) for _ in range(2))
    facts = {
        "name": torch.cuda.get_device_name() if run.device == "cuda" else "cpu",
        "torch": torch.__version__,
        "triton": importlib.import_module("triton").__version__,
        "copy_gb_per_s": 2 * size / run.seconds(lambda: target.copy_(source)) / 1e9,
        "bf16_tflop_per_s": 2 * side**3 / run.seconds(lambda: a @ b) / 1e12,
        "datasheet": {"gb_per_s": BANDWIDTH / 1e9, "bf16_tflop_per_s": TENSOR_RATE / 1e12},
    }
    return facts | {"passed": True}


# ---- kernels ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Pages:
    """Sequences of equal shape in shuffled blocks, beside NaN."""

    cache: Any
    tables: Tensor
    keys: list[Tensor]
    values: list[Tensor]


def pages(run: Run, lengths: list[int], kv_heads: int, head_dim: int, dtype: torch.dtype) -> Pages:
    from sansi.model.kernels.gpu.attention import Cache

    needed = [-(-length // BLOCK) for length in lengths]
    order = random.Random(0).sample(range(sum(needed)), sum(needed))
    both = [
        torch.full((len(order), kv_heads, BLOCK, head_dim), torch.nan, device=run.device, dtype=dtype) for _ in "kv"
    ]
    rows, contents = [], ([], [])
    for length, count in zip(lengths, needed, strict=True):
        own, order = order[:count], order[count:]
        rows.append(own + [0] * (max(needed) - count))
        at = torch.arange(length, device=run.device)
        blocks = torch.tensor(own, device=run.device)[at // BLOCK]
        for storage, content in zip(both, contents, strict=True):
            content.append(run.draw(length, kv_heads, head_dim, dtype=dtype))
            storage[blocks, :, at % BLOCK] = content[-1]
    width = -(-max(needed) // 16) * 16
    tables = F.pad(run.ints(rows), (0, width - max(needed)))
    return Pages(Cache(*both), tables, *contents)


def reference_attention(q: Tensor, keys: Tensor, values: Tensor) -> Tensor:
    new, total = len(q), len(keys)
    q, keys, values = (x.double().transpose(0, 1)[None] for x in (q, keys, values))
    mask = torch.ones(new, total, dtype=torch.bool, device=q.device).tril(total - new)
    return F.scaled_dot_product_attention(q, keys, values, mask, enable_gqa=True)[0].transpose(0, 1)


def error(ours: Tensor, reference: Tensor) -> float:
    """Relative, of the whole; NaN stays NaN."""
    return ((ours.double() - reference.double()).norm() / reference.double().norm()).item()


def attention_errors(run: Run, dtype: torch.dtype) -> dict[str, float]:
    from sansi.model.kernels.gpu import attention

    found = {}
    shapes = [(16, 8, 128), (32, 4, 128), (40, 8, 128), (4, 2, 32)][:: run.size(1, 3)]
    for heads, kv_heads, head_dim in shapes:
        lengths = [run.size(4000, 70), 17, run.size(1025, 40), 1]
        stored = pages(run, lengths, kv_heads, head_dim, dtype)
        name = f"{heads}/{kv_heads}/{head_dim}"
        q, everyone = run.draw(4, heads, head_dim, dtype=dtype), run.ints(range(4))
        out = torch.full_like(q, torch.nan)
        parts = -(-max(lengths) // attention.PARTITION)
        positions = run.ints([length - 1 for length in lengths])
        attention.attend_singles(q, stored.cache, stored.tables, positions, everyone, everyone, parts, out)
        expected = [reference_attention(q[n : n + 1], stored.keys[n], stored.values[n]) for n in range(4)]
        found[f"singles {name}"] = error(out, torch.cat(expected))
        new = [run.size(700, 20), 17, 1, 1]
        starts = [sum(new[:n]) for n in range(5)]
        q = run.draw(starts[-1], heads, head_dim, dtype=dtype)
        out = torch.full_like(q, torch.nan)
        span = attention.chunk_span(heads, kv_heads, q.element_size())
        tiles = [(n, first) for n in range(4) for first in range(starts[n], starts[n + 1], span)]
        sequences, tokens = (run.ints(list(column)) for column in zip(*tiles, strict=True))
        context = run.ints(lengths)
        attention.attend_chunks(q, stored.cache, stored.tables, run.ints(starts), context, sequences, tokens, out)
        expected = [
            reference_attention(q[starts[n] : starts[n + 1]], stored.keys[n], stored.values[n]) for n in range(4)
        ]
        found[f"chunks {name}"] = error(out, torch.cat(expected))
    return found


def fused_errors(run: Run, dtype: torch.dtype) -> dict[str, float]:
    from sansi.model.kernels.gpu import experts, fused

    tokens, width = run.size(300, 5), run.size(1024, 64)
    x, residual, weight = run.draw(tokens, width, dtype=dtype), run.draw(tokens, width, dtype=dtype), run.draw(width)
    stream = (x + residual).double()
    normed = fused.add_rms_norm(x, residual, weight.to(dtype), 1e-6)
    found = {"norm": error(normed, F.rms_norm(stream, (width,), weight.to(dtype).double(), 1e-6))}
    gate, up = x.double().chunk(2, dim=-1)
    found["silu"] = error(fused.silu_mul(x), F.silu(gate) * up)
    count, outputs = run.size(128, 4), run.size(768, 32)
    many = run.draw(count, outputs, width, dtype=dtype) * width**-0.5
    chosen = torch.randint(0, count, (run.size(2048, 12),), device=run.device).sort().values
    counts, rows = chosen.bincount(minlength=count), torch.randint(0, tokens, chosen.shape, device=run.device)
    expected = torch.cat([x[r].double() @ many[e].double().T for e, r in enumerate(rows.split(counts.tolist()))])
    ways = {"grouped": experts._torch_can, "grouped by Triton": lambda x, weight: False}
    for name, way in ways.items():
        experts._torch_can, before = way, experts._torch_can
        found[name] = error(experts.grouped_linear(x, rows, many, counts), expected)
        experts._torch_can = before
    return found


def kernels(run: Run) -> dict[str, Any]:
    """Relative errors against float64."""
    facts: dict[str, Any] = {}
    for dtype in (torch.float32,) if run.rehearsal else TOLERANCE:
        facts[str(dtype)[6:]] = attention_errors(run, dtype) | fused_errors(run, dtype)
    passed = all(value < TOLERANCE[getattr(torch, name)] for name, errors in facts.items() for value in errors.values())
    return facts | {"passed": passed}


# ---- models ----------------------------------------------------------------------------------------------------------


def random_checkpoint(run: Run) -> str:
    """Qwen3-0.6B with random weights in bfloat16, made once, though several programs begin at the same time."""
    from sansi.model import ModelConfig, Transformer, save

    folder = Path(tempfile.gettempdir()) / f"sansi-bench-{'kernels' if run.rehearsal else '0.6b'}"
    if folder.exists():
        return str(folder)
    draft = Path(tempfile.mkdtemp())
    if run.rehearsal:
        small = {"hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 1, "num_attention_heads": 2}
        small |= {"num_key_value_heads": 1, "head_dim": 16, "vocab_size": 128, "max_position_embeddings": 256}
        save(Transformer(ModelConfig.preset("Qwen3-0.6B", **small)), draft)
    else:
        sys.path.append(str(Path(__file__).resolve().parents[2] / "bench"))
        importlib.import_module("checkpoints").write("0.6b", draft, tokenizer=False)
    with contextlib.suppress(OSError):  # another was faster
        draft.rename(folder)
    return str(folder)


def greedy_reference(run: Run, folder: str, prompts: list[list[int]], tokens: int) -> tuple[str, list[list[int]]]:
    """By transformers, or by our own forward over the whole text for each token."""
    if importlib.util.find_spec("transformers") is not None:
        from transformers import AutoModelForCausalLM

        model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).to(run.device).eval()
        name, logits = "transformers", lambda ids: model(ids).logits
    else:
        from sansi.model import load

        own = load(folder, device=run.device, dtype="float32")
        name, logits = "our torch forward", own
    answers = []
    with torch.inference_mode():
        for prompt in prompts:
            ids = torch.tensor([prompt], device=run.device)
            for _ in range(tokens):
                ids = torch.cat([ids, logits(ids)[:, -1:].argmax(-1)], dim=1)
            answers.append(ids[0, len(prompt) :].tolist())
    return name, answers


def engine_of(run: Run, folder: str, dtype: str, backend: str = "cuda", **options: Any) -> Any:
    """Loaded by hand, since the rehearsal's CUDA backend is on the CPU."""
    from sansi.engine import Engine
    from sansi.engine.backends import TorchBackend
    from sansi.engine.backends.cuda import CudaBackend
    from sansi.model import load

    model = load(folder, device=run.device, dtype=dtype)
    made = TorchBackend(model) if backend == "torch" else CudaBackend(model, **options)
    return Engine(model, max_batch=64, context_length=run.size(1024, 64), backend=made, memory=run.size(16, 2) << 30)


def greedy(run: Run, folder: str) -> dict[str, Any]:
    """Greedy tokens in float32 of prompts of several lengths, together in Engine, against each alone."""
    from sansi.engine import SamplingParams

    draw = random.Random(0)
    lengths = [3, 5] if run.rehearsal else [1, 5, 17, 40, 100, 300]
    prompts = [[draw.randrange(100) for _ in range(length)] for length in lengths]
    tokens = run.size(32, 2)
    name, expected = greedy_reference(run, folder, prompts, tokens)
    facts: dict[str, Any] = {"reference": name}
    for options in ({}, {"graphs": False}):
        with engine_of(run, folder, "float32", **options) as engine:
            done = engine.generate(prompts, SamplingParams(max_tokens=tokens, temperature=0.0))
            label = "eager" if options else "graphs"
            facts[label] = [list(answer.ids) == ids for answer, ids in zip(done, expected, strict=True)]
            facts[f"{label}: eager because"] = engine.backend.eager_because
    return facts | {"passed": all(facts["graphs"] + facts["eager"])}


def greedy_nano(run: Run) -> dict[str, Any]:
    return greedy(run, random_checkpoint(run) if run.rehearsal else NANO)


def greedy_06b(run: Run) -> dict[str, Any]:
    return greedy(run, random_checkpoint(run))


# ---- speed -----------------------------------------------------------------------------------------------------------


def decode_attention(run: Run) -> dict[str, Any]:
    """One layer of 0.6B (16 query and 8 key heads of 128): GB/s of keys and values read."""
    facts: dict[str, Any] = {"limit_gb_per_s": BANDWIDTH / 1e9, "note": "below 50 MB the cache answers, not the memory"}
    cases = [(1, 4096), (1, 32768), (8, 4096), (32, 2048), (64, 1024), (64, 4096)]
    half = torch.float16 if run.rehearsal else torch.bfloat16
    for batch, context in [(2, 40)] if run.rehearsal else cases:
        for dtype in (half, torch.float8_e4m3fn):
            name = f"batch {batch}, context {context}, {str(dtype)[6:]}"
            facts[name] = decode_case(run, batch, context, half, dtype)
    return facts | {"passed": True}


def decode_case(run: Run, batch: int, context: int, half: torch.dtype, dtype: torch.dtype) -> dict[str, Any]:
    """The tile sizes that are used, and some that could be."""
    from sansi.model.kernels.gpu import attention

    heads, kv_heads, head_dim = 16, 8, run.size(128, 16)
    blocks = -(-context // BLOCK)
    order = torch.randperm(batch * blocks, device=run.device).to(torch.int32).view(batch, -1)
    tables = F.pad(order, (0, -blocks % 16))
    shape = (batch * blocks, kv_heads, BLOCK, head_dim)
    scales = None if dtype == half else torch.ones(2, kv_heads, device=run.device)
    cache = attention.Cache(*(run.draw(*shape, dtype=half).to(dtype) for _ in "kv"), scales)
    q, everyone, positions = run.draw(batch, heads, head_dim, dtype=half), run.ints(range(batch)), [context - 1] * batch
    places, out = run.ints(positions), torch.empty_like(q)
    size = 2 * batch * context * kv_heads * head_dim * dtype.itemsize

    def seconds(partition: int, tile: int) -> float:
        parts = -(-context // partition)
        return run.seconds(
            lambda: attention.attend_singles(
                q, cache, tables, places, everyone, everyone, parts, out, tile=tile, partition=partition
            )
        )

    facts: dict[str, Any] = {"mb": size / 1e6}
    for partition, tile in ((256, 64), (256, 128), (512, 64), (128, 64)):
        took = seconds(partition, tile)
        facts[f"partition {partition}, tile {tile}"] = {"microseconds": took * 1e6, "gb_per_s": size / took / 1e9}
    return facts


def prefill_attention(run: Run) -> dict[str, Any]:
    """One layer of 0.6B: TFLOP/s of the causal half; torch's attention on contiguous keys beside it."""
    facts: dict[str, Any] = {"limit_tflop_per_s": TENSOR_RATE / 1e12}
    for tokens in [40] if run.rehearsal else [512, 2048, 8192]:
        facts[f"{tokens} tokens"] = prefill_case(run, tokens)
    return facts | {"passed": True}


def prefill_case(run: Run, tokens: int) -> dict[str, float]:
    from sansi.model.kernels.gpu import attention

    heads, kv_heads, head_dim = 16, 8, run.size(128, 16)
    dtype = torch.float16 if run.rehearsal else torch.bfloat16
    stored = pages(run, [tokens], kv_heads, head_dim, dtype)
    q = run.draw(tokens, heads, head_dim, dtype=dtype)
    span = attention.chunk_span(heads, kv_heads, 2)
    first = run.ints(range(0, tokens, span)).flip(0).contiguous()
    rest = (run.ints([0, tokens]), run.ints([tokens]), torch.zeros_like(first), first, torch.empty_like(q))
    contiguous = [x.transpose(0, 1)[None].contiguous() for x in (q, stored.keys[0], stored.values[0])]
    flops = 2 * heads * head_dim * tokens**2  # four per pair of positions, of which the causal half counts
    ours = run.seconds(lambda: attention.attend_chunks(q, stored.cache, stored.tables, *rest))
    torchs = run.seconds(lambda: F.scaled_dot_product_attention(*contiguous, is_causal=True, enable_gqa=True))
    return {
        "microseconds": ours * 1e6,
        "tflop_per_s": flops / ours / 1e12,
        "torch_tflop_per_s": flops / torchs / 1e12,
    }


def grouped_products(run: Run) -> dict[str, Any]:
    """gate and up of Qwen3-30B-A3B (128 experts of 768, top 8): microseconds, and the least that the memory allows."""
    from sansi.model.kernels.gpu import experts

    facts: dict[str, Any] = {}
    count, active, outputs, inputs = (run.size(*s) for s in ((128, 4), (8, 2), (1536, 32), (2048, 32)))
    dtype = torch.float16 if run.rehearsal else torch.bfloat16
    weight = run.draw(count, outputs, inputs, dtype=dtype)
    for tokens in [3] if run.rehearsal else [1, 16, 64, 1024]:
        chosen = torch.rand(tokens, count, device=run.device).topk(active).indices.flatten()
        order, counts = chosen.argsort(), chosen.bincount(minlength=count)
        x = run.draw(tokens, inputs, dtype=dtype)
        read = int((counts > 0).sum()) * outputs * inputs * weight.element_size()
        least = max(read / BANDWIDTH, 2 * len(order) * outputs * inputs / TENSOR_RATE)
        case: dict[str, Any] = {"limit": least * 1e6}
        for name, way in (("chosen", experts._torch_can), ("triton", lambda x, weight: False)):
            experts._torch_can, before = way, experts._torch_can
            rows = order // active
            case[name] = 1e6 * run.seconds(lambda x=x, rows=rows, counts=counts: experts.grouped_linear(
                x, rows, weight, counts))  # fmt: skip
            experts._torch_can = before
        facts[f"{tokens} tokens"] = case
    return facts | {"passed": True}


def steps(run: Run) -> dict[str, Any]:
    """A decode step of 0.6B in bfloat16, as a graph and eagerly; the results must agree."""
    from sansi.engine.backends.cuda import CudaBackend
    from sansi.engine.batch import Batch
    from sansi.model import load

    model = load(random_checkpoint(run), device=run.device, dtype="float32" if run.rehearsal else "bfloat16")
    context = run.size(512, 20)
    backend = CudaBackend(model)
    blocks = -(-context // BLOCK)
    backend.allocate(run.size(64, 2) * blocks)
    facts: dict[str, Any] = {"eager because": backend.eager_because}
    worst = 0.0
    with torch.inference_mode():
        for storage in backend._caches:
            for part in (storage.keys, storage.values):
                part.copy_(torch.randn(part.shape[1:], device=run.device).expand_as(part))
        for batch in [2] if run.rehearsal else [1, 8, 32, 64]:
            many = torch.arange(batch, dtype=torch.int32)
            step = Batch(
                many, torch.full_like(many, context - 1), torch.arange(batch + 1, dtype=torch.int32),
                torch.full_like(many, context), torch.arange(batch * blocks, dtype=torch.int32).view(batch, -1), many,
            )  # fmt: skip
            backend.forward(step)  # compiles, and is captured
            graph = backend.forward(step).clone()
            with_graph = run.wall_seconds(lambda step=step: backend.forward(step))
            why, backend.eager_because = backend.eager_because, "measured"
            worst = max(worst, error(backend.forward(step), graph))
            eager = run.wall_seconds(lambda step=step: backend.forward(step))
            backend.eager_because = why
            read = backend.weight_bytes + batch * blocks * backend.block_bytes
            facts[f"batch {batch}"] = {
                "graph_ms": with_graph * 1e3,
                "eager_ms": eager * 1e3,
                "limit_ms": read / BANDWIDTH * 1e3,
            }
    facts["graph against eager, relative"] = worst
    return facts | {"passed": worst < 1e-2}


def engine_speed(run: Run) -> dict[str, Any]:
    """Tokens per second of 0.6B through Engine, greedy: batch 1 (open check: 600, aim 1,000) and 64."""
    from sansi.engine import SamplingParams

    facts: dict[str, Any] = {}
    tokens = run.size(200, 2)
    for backend, options in (("cuda", {}), ("cuda", {"cache_dtype": "fp8"}), ("torch", {})):
        if run.rehearsal and options:
            continue
        dtype = "float32" if run.rehearsal else "bfloat16"
        with engine_of(run, random_checkpoint(run), dtype, backend, **options) as engine:
            for batch in [1] if run.rehearsal else [1, 64]:
                prompts = [[5, 6, 7 + i] * 10 for i in range(batch)]
                rates = []
                for _ in range(1 if run.rehearsal else 4):  # the first compiles and captures
                    started = time.perf_counter()
                    done = engine.generate(prompts, SamplingParams(max_tokens=tokens, temperature=0.0))
                    rates.append(sum(len(c.ids) for c in done) / (time.perf_counter() - started))
                facts[f"{engine.backend.name}, batch {batch}"] = statistics.median(rates[1:] or rates)
            limit = BANDWIDTH / engine.backend.weight_bytes
        facts["limit, batch 1"] = limit
        gc.collect()
    return facts | {"passed": True}


PARTS = {
    part.__name__: part
    for part in (
        device, kernels, greedy_nano, greedy_06b, steps, engine_speed, decode_attention, prefill_attention,
        grouped_products,
    )
}  # fmt: skip


def check(parts: dict[str, Callable[[Run], dict[str, Any]]], stem: str, description: str | None) -> None:
    """The command line of a check: does `parts` in order, writes STEM.json after each, goes on where it stopped."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="cuda", choices=["cuda", "cpu"])
    parser.add_argument("--out", type=Path, default=Path(os.environ.get("OUT", ".")))
    parser.add_argument("--from", dest="known", type=Path, help=f"an earlier {stem}.json to go on from")
    parser.add_argument("--parts", default=",".join(parts), help=f"which, in this order; of {', '.join(parts)}")
    parser.add_argument("--minutes", type=float, default=9.0, help="no part begins after so long")
    arguments = parser.parse_args()
    if unknown := set(chosen := arguments.parts.split(",")) - set(parts):
        parser.error(f"unknown parts: {', '.join(sorted(unknown))}")
    started, file = time.monotonic(), arguments.out / f"{stem}.json"
    run = Run(arguments.device, arguments.device == "cpu")
    if run.rehearsal:
        from sansi.model.kernels.gpu import interpret

        interpret()
    torch.manual_seed(0)
    earlier = [path for path in (arguments.known, file) if path and path.exists()]
    results: dict[str, Any] = {k: v for path in earlier for k, v in json.loads(path.read_text()).items()}
    arguments.out.mkdir(parents=True, exist_ok=True)
    for name in chosen:
        if results.get(name, {}).get("passed"):
            continue
        if time.monotonic() - started > 60 * arguments.minutes:
            print("time is up; run it again for the rest")
            sys.exit(2)
        results[name] = attempt(parts[name], run)
        file.write_text(json.dumps(results, indent=2) + "\n")
        print(name, json.dumps(results[name]), flush=True)
    sys.exit(not all(results[name]["passed"] for name in chosen))


def attempt(part: Callable[[Run], dict[str, Any]], run: Run) -> dict[str, Any]:
    """One part's facts; an error is a fact too, so that the others still run."""
    begun = time.monotonic()
    try:
        facts = part(run)
    except Exception as failure:
        traceback.print_exc()
        facts = {"passed": False, "error": f"{type(failure).__name__}: {failure}", "traceback": traceback.format_exc()}
    if run.device == "cuda":
        torch.cuda.empty_cache()
    return facts | {"seconds": round(time.monotonic() - begun, 1)}


if __name__ == "__main__":
    check(PARTS, "check_kernels", __doc__)
