"""Each Triton kernel against torch operators: on CUDA where there is a device, else in Triton's interpreter."""

from __future__ import annotations

import random
from dataclasses import dataclass

import pytest
import torch
import torch.nn.functional as F
from sansi.model import ModelConfig
from sansi.model.rope import apply_rope, rope_table
from sansi.model.transformer import SparseMLP
from torch import Tensor

from triton_device import DEVICE

from sansi.model.kernels.gpu import attention, experts, fused  # isort: skip  (after `triton_device` has set Triton up)

BLOCK = attention.BLOCK
INTERPRETED = DEVICE.type == "cpu"
EXACT = {torch.float32: 2e-5, torch.bfloat16: 2e-2, torch.float16: 3e-3}
FP8 = 0.1 if INTERPRETED else 0.04  # Triton 3.6's interpreter cuts digits off where a device rounds
HALVES = [
    pytest.param(
        torch.bfloat16, marks=pytest.mark.skipif(INTERPRETED, reason="the interpreter multiplies no bfloat16")
    ),
    torch.float16,
]


def draw(*shape: int, seed: int = 0, dtype: torch.dtype = torch.float32) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed)).to(DEVICE, dtype)


def ints(values: list) -> Tensor:
    return torch.tensor(values, dtype=torch.int32, device=DEVICE)


def close(ours: Tensor, reference: Tensor, tolerance: float) -> bool:
    """Relative to the whole: the norm of the difference; NaN is never close."""
    ours, reference = ours.double(), reference.double()
    return bool((ours - reference).norm() <= tolerance * reference.norm())


@dataclass
class Pages:
    """Sequences in shuffled blocks; all else in the cache is NaN."""

    keys: list[Tensor]  # per sequence [S, K, D]
    values: list[Tensor]
    cache: object
    tables: Tensor

    @classmethod
    def of(cls, lengths: list[int], kv_heads: int, head_dim: int, dtype=torch.float32, scales=None) -> Pages:
        needed = [-(-length // BLOCK) for length in lengths]
        blocks = random.Random(0).sample(range(sum(needed) + 3), sum(needed) + 3)
        stored = dtype if scales is None else torch.float8_e4m3fn
        shape = (len(blocks), kv_heads, BLOCK, head_dim)
        paged = [torch.full(shape, torch.nan, device=DEVICE).to(stored) for _ in range(2)]
        tables, contents = [], ([], [])
        for n, (length, count) in enumerate(zip(lengths, needed, strict=True)):
            table, blocks = blocks[:count], blocks[count:]
            tables.append(table + [0] * (max(needed) - count))
            at = torch.arange(length)
            for which in range(2):
                content = draw(length, kv_heads, head_dim, seed=2 * n + which, dtype=dtype)
                if scales is not None:
                    quantised = (content / scales[which][:, None]).to(stored)
                    content = quantised.to(dtype) * scales[which][:, None].to(dtype)
                else:
                    quantised = content
                place = (torch.tensor(table)[at // BLOCK].to(DEVICE), (at % BLOCK).to(DEVICE))
                # Through the bytes: torch has no indexed write of fp8.
                view = torch.uint8 if scales is not None else dtype
                paged[which].view(view)[place[0], :, place[1]] = quantised.view(view)
                contents[which].append(content)
        return cls(contents[0], contents[1], attention.Cache(paged[0], paged[1], scales), ints(tables))


def attended(q: Tensor, keys: Tensor, values: Tensor) -> Tensor:
    """q [T, H, D], the last T positions of keys and values [S, K, D] -> [T, H, D], in float64."""
    new, total = len(q), len(keys)
    q, keys, values = (x.double().transpose(0, 1)[None] for x in (q, keys, values))
    mask = torch.ones(new, total, dtype=torch.bool, device=q.device).tril(total - new)
    return F.scaled_dot_product_attention(q, keys, values, mask, enable_gqa=True)[0].transpose(0, 1)


HEADS = [(4, 2, 64), (8, 1, 32), (5, 5, 16), (6, 2, 128), (2, 2, 48)]  # H, K, D


@pytest.mark.parametrize(("heads", "kv_heads", "head_dim"), HEADS)
@pytest.mark.parametrize("partition", [32, 256])
def test_single_tokens(heads: int, kv_heads: int, head_dim: int, partition: int):
    lengths = [1, 100, 16, 33]
    pages = Pages.of(lengths, kv_heads, head_dim)
    q = draw(6, heads, head_dim, seed=9)
    # Token 0 is another kernel's, 3 padding, and the sequences come in another order than the tokens.
    positions, owners = ints([7, 99, 0, -1, 15, 32]), ints([0, 1, 0, 0, 2, 3])
    out = torch.full_like(q, torch.nan)
    parts = -(-max(lengths) // partition)
    attention.attend_singles(
        q, pages.cache, pages.tables, positions, owners, ints([1, 2, 3, 4, 5]), parts, out, partition=partition
    )
    for token, owner in ((1, 1), (2, 0), (4, 2), (5, 3)):
        expected = attended(q[token : token + 1], pages.keys[owner], pages.values[owner])[0]
        assert close(out[token], expected, 2e-5), token
    assert (out[3] == 0).all() and out[0].isnan().all()


def test_more_parts_than_needed_change_no_bit():
    pages = Pages.of([50, 9], 2, 16)
    q, positions, owners, tokens = draw(2, 4, 16), ints([49, 8]), ints([0, 1]), ints([0, 1])
    results = []
    for parts in (4, 8):
        out = torch.full_like(q, torch.nan)
        attention.attend_singles(q, pages.cache, pages.tables, positions, owners, tokens, parts, out, partition=16)
        results.append(out)
    assert torch.equal(*results)


def test_many_parts_are_merged_in_order():
    pages = Pages.of([300], 1, 16)
    q, out = draw(1, 2, 16), torch.full((1, 2, 16), torch.nan, device=DEVICE)
    attention.attend_singles(
        q, pages.cache, pages.tables, ints([299]), ints([0]), ints([0]), 19, out, tile=16, partition=16
    )
    assert close(out, attended(q, pages.keys[0], pages.values[0]), 2e-5)


@pytest.mark.parametrize("dtype", HALVES)
def test_single_tokens_in_half_precision(dtype: torch.dtype):
    pages = Pages.of([70, 20], 2, 32, dtype)
    q, out = draw(2, 4, 32, dtype=dtype), torch.zeros(2, 4, 32, dtype=dtype, device=DEVICE)
    attention.attend_singles(
        q, pages.cache, pages.tables, ints([69, 19]), ints([0, 1]), ints([0, 1]), 3, out, partition=32
    )
    for n in range(2):
        assert close(out[n : n + 1], attended(q[n : n + 1], pages.keys[n], pages.values[n]), EXACT[dtype])


@pytest.mark.parametrize(("heads", "kv_heads", "head_dim"), HEADS)
def test_chunks(heads: int, kv_heads: int, head_dim: int):
    chunks = {"new": [37, 5, 1, 2], "context": [37, 90, 33, 64]}
    pages = Pages.of(chunks["context"], kv_heads, head_dim)
    check_chunks(pages, chunks["new"], chunks["context"], heads, head_dim)


@pytest.mark.parametrize("dtype", HALVES)
def test_chunks_in_half_precision(dtype: torch.dtype):
    pages = Pages.of([80, 200], 1, 64, dtype)
    check_chunks(pages, [80, 70], [80, 200], 2, 64, dtype)


def check_chunks(pages: Pages, new: list[int], context: list[int], heads: int, head_dim: int, dtype=torch.float32):
    q = draw(sum(new), heads, head_dim, seed=5, dtype=dtype)
    starts = [sum(new[:n]) for n in range(len(new) + 1)]
    span = attention.chunk_span(heads, pages.keys[0].shape[1], q.element_size())
    tiles = [(n, first) for n in range(len(new)) for first in range(starts[n], starts[n + 1], span)]
    sequences, tokens = (ints(list(values)) for values in zip(*reversed(tiles), strict=True))
    out = torch.full_like(q, torch.nan)
    attention.attend_chunks(q, pages.cache, pages.tables, ints(starts), ints(context), sequences, tokens, out)
    for n in range(len(new)):
        own = slice(starts[n], starts[n + 1])
        assert close(out[own], attended(q[own], pages.keys[n], pages.values[n]), EXACT[dtype]), n


@pytest.mark.parametrize("kind", ["singles", "chunks"])
def test_fp8_cache_with_a_scale_per_head(kind: str):
    scales = ints([[1, 2], [4, 3]]).float() / 4
    pages = Pages.of([40], 2, 32, torch.float32, scales)
    if kind == "chunks":
        check_chunks(pages, [20], [40], 4, 32)
        return
    q, out = draw(1, 4, 32), torch.zeros(1, 4, 32, device=DEVICE)
    attention.attend_singles(q, pages.cache, pages.tables, ints([39]), ints([0]), ints([0]), 2, out, partition=32)
    assert close(out, attended(q, pages.keys[0], pages.values[0]), 2e-5)


@pytest.mark.parametrize("width", [48, 64, 1000])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_add_rms_norm(width: int, dtype: torch.dtype):
    x, weight = draw(3, width, seed=1, dtype=dtype) * 5, draw(width, seed=2, dtype=dtype)
    assert close(
        fused.add_rms_norm(x, None, weight, 1e-6), F.rms_norm(x.double(), (width,), weight.double(), 1e-6), EXACT[dtype]
    )
    residual = draw(3, width, seed=3, dtype=dtype)
    stream = x + residual
    normed = fused.add_rms_norm(x, residual, weight, 1e-6)
    assert close(residual, stream, EXACT[dtype] / 2)
    assert close(normed, F.rms_norm(stream.double(), (width,), weight.double(), 1e-6), EXACT[dtype])


@pytest.mark.parametrize(("heads", "kv_heads", "head_dim"), [(4, 2, 64), (5, 5, 16), (6, 1, 128), (2, 2, 48)])
@pytest.mark.parametrize("cache_dtype", [torch.float32, torch.float8_e4m3fn])
def test_norm_rope_and_store(heads: int, kv_heads: int, head_dim: int, cache_dtype: torch.dtype):
    table = rope_table(ModelConfig.preset("nano", head_dim=head_dim, max_position_embeddings=64))
    cos, sin = table.cos.to(DEVICE), table.sin.to(DEVICE)
    qkv = draw(4, (heads + 2 * kv_heads) * head_dim, seed=1)
    q_weight, k_weight = draw(head_dim, seed=2), draw(head_dim, seed=3)
    scales = None if cache_dtype == torch.float32 else draw(2, kv_heads, seed=4).abs() + 0.1
    shape = (5, kv_heads, BLOCK, head_dim)
    keys, values = (torch.zeros(shape, device=DEVICE).to(cache_dtype) for _ in range(2))
    positions = torch.tensor([17, 3, 63, -1])
    q = fused.norm_rope_and_store(
        qkv, (q_weight, k_weight), 1e-6, (cos, sin), ints(positions.tolist()), ints([1, 0, 1, 0]),
        ints([[2, 0, 0, 0], [3, 1, 0, 4]]), attention.Cache(keys, values, scales),
    )  # fmt: skip
    parts = qkv.view(4, -1, head_dim).split([heads, kv_heads, kv_heads], dim=1)

    def rotated(part: Tensor, weight: Tensor) -> Tensor:
        at = positions.clamp(0).to(DEVICE)
        return apply_rope(F.rms_norm(part, (head_dim,), weight, 1e-6), cos[at][:, None], sin[at][:, None])

    assert close(q[:3], rotated(parts[0], q_weight)[:3], 1e-5)
    expected = torch.zeros(2, *shape, device=DEVICE)
    for token, block, offset in ((0, 1, 1), (1, 2, 3), (2, 4, 15)):
        expected[0, block, :, offset] = rotated(parts[1], k_weight)[token]
        expected[1, block, :, offset] = parts[2][token]
    for which, stored in enumerate((keys, values)):
        meant = stored.float() * (1 if scales is None else scales[which][:, None, None])
        assert close(meant, expected[which], 1e-5 if scales is None else FP8)
        assert torch.equal(meant != 0, expected[which] != 0) or scales is not None  # nothing else was written


def test_fp8_saturates():
    qkv = torch.full((1, 3 * 16), 1e6, device=DEVICE)
    keys, values = (torch.zeros(1, 1, BLOCK, 16, dtype=torch.float8_e4m3fn, device=DEVICE) for _ in range(2))
    one, zero = torch.ones(1, 16, device=DEVICE), torch.zeros(1, 16, device=DEVICE)
    cache = attention.Cache(keys, values, torch.ones(2, 1, device=DEVICE))
    fused.norm_rope_and_store(qkv, (one[0], one[0]), 1e-6, (one, zero), ints([0]), ints([0]), ints([[0]]), cache)
    assert values.float()[0, 0, 0].tolist() == [448.0] * 16


@pytest.mark.parametrize("width", [24, 1300])
def test_silu_mul(width: int):
    x = draw(2, 2 * width) * 4
    gate, up = x.chunk(2, dim=-1)
    assert close(fused.silu_mul(x), F.silu(gate) * up, 1e-6)


@pytest.mark.parametrize(("tokens", "count"), [(3, 6), (40, 2)])  # with tiles of 16 and, where many, of 64 visits
def test_grouped_linear(tokens: int, count: int, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(experts, "_torch_can", lambda x, weight: False)
    chosen = torch.randint(0, count, (2 * tokens,), generator=torch.Generator().manual_seed(0))
    if count > 2:
        chosen[chosen == 1] = 0  # one expert has no visit
    order, counts = chosen.argsort(stable=True).to(DEVICE), chosen.bincount(minlength=count).to(DEVICE)
    x, weight = draw(tokens, 72), draw(count, 70, 72, seed=1)
    ours = experts.grouped_linear(x, order // 2, weight, counts)
    visited = chosen[order.cpu()].tolist()
    expected = [weight[expert] @ x[int(row)] for expert, row in zip(visited, order // 2, strict=True)]
    assert close(ours, torch.stack(expected), 1e-5)


@pytest.mark.parametrize("normalise", [False, True])
def test_sparse_mlp(normalise: bool):
    config = ModelConfig.preset(
        "nano", hidden_size=32, num_experts=5, num_experts_per_tok=2, moe_intermediate_size=24, norm_topk_prob=normalise
    )
    layer = SparseMLP(config).to(DEVICE)
    with torch.no_grad():
        for seed, parameter in enumerate(layer.parameters()):
            parameter.copy_(draw(*parameter.shape, seed=seed))
    x = draw(7, 32, seed=9)
    with torch.inference_mode():
        weights = (layer.gate.weight, layer.experts.gate_up_proj, layer.experts.down_proj)
        ours = experts.sparse_mlp(x, *weights, active=2, normalise=normalise)
        assert close(ours, layer(x[None])[0][0], 1e-5)
