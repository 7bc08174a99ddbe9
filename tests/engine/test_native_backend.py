"""The native backend answers the same batches as the backend of torch operators."""

from __future__ import annotations

import random
from pathlib import Path

import pytest
import torch
from sansi.engine.backends import TorchBackend
from sansi.engine.batch import BLOCK, Backend, Batch
from sansi.model import ModelConfig, Transformer, load
from sansi.model.kernels.cpu.build import supported_isas

pytestmark = pytest.mark.skipif(not supported_isas(), reason="the CPU kernels are for Linux on x86-64")
NANO = Path(__file__).parents[2] / "checkpoints" / "nano"


def batches(config: ModelConfig, sequences: int, steps: int, seed: int = 0) -> list[Batch]:
    """Random steps over sequences that grow in chunks; blocks in a shuffled order; logits of some rows."""
    rng = random.Random(seed)
    free = rng.sample(range(60), 60)
    lengths, tables = [0] * sequences, [[] for _ in range(sequences)]
    result = []
    for _ in range(steps):
        chosen = sorted(rng.sample(range(sequences), rng.randint(1, sequences)))
        counts = [rng.choice([1, 1, 1, 5, 23]) for _ in chosen]
        positions: list[int] = []
        for n, count in zip(chosen, counts, strict=True):
            positions += range(lengths[n], lengths[n] + count)
            lengths[n] += count
            while len(tables[n]) * BLOCK < lengths[n]:
                tables[n].append(free.pop())
        total, width = sum(counts), max(len(tables[n]) for n in chosen)
        lists = (
            [rng.randrange(config.vocab_size) for _ in range(total)],
            positions,
            [sum(counts[:n]) for n in range(len(counts) + 1)],
            [lengths[n] for n in chosen],
            [tables[n] + [0] * (width - len(tables[n])) for n in chosen],
            sorted(rng.sample(range(total), rng.randint(0, total))),
        )
        result.append(Batch(*(torch.tensor(values, dtype=torch.int32) for values in lists)))
    return result


def native(source, **options) -> Backend:
    from sansi.engine.backends.native import NativeBackend

    backend = NativeBackend(source, **options)
    backend.allocate(60)
    return backend


@torch.inference_mode()
def test_same_logits_as_torch():
    model = load(NANO, device="cpu")
    ours, reference = native(model), TorchBackend(model)
    reference.allocate(60)
    for batch in batches(model.config, sequences=5, steps=12):
        expected = reference.forward(batch)
        assert torch.allclose(ours.forward(batch), expected, atol=1e-4, rtol=0)


@torch.inference_mode()
def test_a_folder_gives_the_bits_of_the_module():
    model = load(NANO, device="cpu")
    from_module, from_folder = native(model), native(NANO)
    for batch in batches(model.config, sequences=3, steps=4, seed=1):
        assert torch.equal(from_module.forward(batch), from_folder.forward(batch))


def test_is_a_backend():
    backend = native(NANO)
    assert isinstance(backend, Backend) and backend.name == "native" and backend.device.type == "cpu"
    config = ModelConfig.preset("nano")
    per_token = 2 * config.num_hidden_layers * config.num_key_value_heads * config.head_dim * 4
    assert backend.block_bytes == BLOCK * per_token


def test_quantised_is_smaller_and_says_so():
    whole, small = native(NANO), native(NANO, quantize="int4")
    assert small.name == "native int4"
    assert small.weight_bytes < 0.2 * whole.weight_bytes
    assert small.block_bytes * 2 == whole.block_bytes  # half-precision keys and values
    assert native(NANO, quantize="int4", cache_dtype="float32").block_bytes == whole.block_bytes


@torch.inference_mode()
def test_refresh():
    model = Transformer(load(NANO, device="cpu").config)
    backend = native(model)
    (batch,) = batches(model.config, sequences=1, steps=1, seed=3)
    before = backend.forward(batch).clone()
    model.model.norm.weight.mul_(2)
    backend.refresh()
    assert torch.allclose(backend.forward(batch), 2 * before, rtol=1e-5)
