"""What the forward pass must keep, whatever the path: cached, masked, packed, compiled, sparse."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st
from sansi.base.errors import SansiError
from sansi.model import ModelConfig, Transformer
from sansi.model.transformer import Experts, attend
from tiny_models import ALL, VARIANTS, random_ids, tiny_config, tiny_model
from torch import Tensor


class GrowingCache:
    """The smallest cache that satisfies the protocol."""

    def __init__(self) -> None:
        self.layers: dict[int, tuple[Tensor, Tensor]] = {}

    def update(self, layer: int, k: Tensor, v: Tensor) -> tuple[Tensor, Tensor]:
        if layer in self.layers:
            old_k, old_v = self.layers[layer]
            k, v = torch.cat((old_k, k), dim=2), torch.cat((old_v, v), dim=2)
        self.layers[layer] = (k, v)
        return k, v


@pytest.fixture(params=ALL)
def variant(request: pytest.FixtureRequest) -> ModelConfig:
    return tiny_config(**ALL[request.param])


def close(actual: Tensor, expected: Tensor) -> None:
    torch.testing.assert_close(actual, expected, atol=1e-4, rtol=0)


@torch.no_grad()
def test_logits_and_hidden_have_the_promised_shapes(variant: ModelConfig) -> None:
    model, ids = tiny_model(variant), random_ids(variant, 2, 7)
    hidden = model.hidden(ids)
    assert hidden.shape == (2, 7, variant.hidden_size)
    assert model.lm_head_weight.shape == (variant.vocab_size, variant.hidden_size)
    close(model(ids), hidden @ model.lm_head_weight.T)
    sparse = [layer for layer in range(variant.num_hidden_layers) if variant.is_sparse(layer)]
    routers = model.features(ids).router_logits
    assert [logits.shape for logits in routers] == [(2, 7, variant.num_experts)] * len(sparse)


@given(st.lists(st.integers(1, 12), min_size=1, max_size=6), st.sampled_from(["dense-tied", "moe-yarn"]))
@torch.no_grad()
def test_decoding_in_chunks_through_a_cache_changes_nothing(chunks: list[int], name: str) -> None:
    config = tiny_config(**ALL[name])
    model, ids, cache = tiny_model(config), random_ids(config, 2, sum(chunks)), GrowingCache()
    starts = [sum(chunks[:i]) for i in range(len(chunks))]
    parts = []
    for start, size in zip(starts, chunks, strict=True):
        positions = torch.arange(start, start + size).expand(2, -1)
        parts.append(model(ids[:, start : start + size], positions, cache=cache))
    close(torch.cat(parts, dim=1), model(ids))


@torch.no_grad()
def test_ragged_batch_with_a_mask_equals_each_sequence_alone(variant: ModelConfig) -> None:
    model, lengths = tiny_model(variant), [3, 9, 6]
    ids = random_ids(variant, len(lengths), max(lengths))
    cache = GrowingCache()
    causal = torch.ones(1, 1, max(lengths), max(lengths), dtype=torch.bool).tril().expand(3, -1, -1, -1)
    model(ids, attention=causal, cache=cache)  # right-padded prefill
    new = random_ids(variant, len(lengths), 1, seed=5)
    slots = torch.arange(max(lengths) + 1)
    filled = (slots < torch.tensor(lengths)[:, None]) | (slots == max(lengths))  # the new token is in the last slot
    got = model(new, torch.tensor(lengths)[:, None], filled[:, None, None, :], cache)
    for row, length in enumerate(lengths):
        alone = model(torch.cat((ids[row : row + 1, :length], new[row : row + 1]), dim=1))
        close(got[row, -1], alone[0, -1])


@given(st.lists(st.integers(1, 15), min_size=1, max_size=5))
@torch.no_grad()
def test_packed_documents_do_not_see_each_other(lengths: list[int]) -> None:
    config = tiny_config()
    model, ids = tiny_model(config), random_ids(config, 1, sum(lengths))
    document = torch.repeat_interleave(torch.arange(len(lengths)), torch.tensor(lengths))
    mask = (document[:, None] == document[None, :]).tril()[None, None]
    positions = torch.cat([torch.arange(n) for n in lengths])[None]
    packed = model(ids, positions, mask)
    alone = [model(part) for part in ids.split(lengths, dim=1)]
    close(packed, torch.cat(alone, dim=1))


@torch.no_grad()
def test_the_future_changes_nothing(variant: ModelConfig) -> None:
    model, ids = tiny_model(variant), random_ids(variant, 1, 20)
    changed = ids.clone()
    changed[:, 12:] = (changed[:, 12:] + 1) % variant.vocab_size
    before, after = model(ids), model(changed)
    close(before[:, :12], after[:, :12])
    assert (before[:, 12:] - after[:, 12:]).abs().max() > 0.1


@pytest.mark.parametrize(
    "new, total, masked", [(5, 5, False), (5, 9, False), (1, 9, False), (5, 9, True), (1, 9, True)]
)
def test_attention_equals_the_textbook(new: int, total: int, masked: bool) -> None:
    g = torch.Generator().manual_seed(0)
    q, k, v = (torch.randn(2, heads, n, 8, generator=g) for heads, n in ((6, new), (2, total), (2, total)))
    mask = torch.ones(new, total, dtype=torch.bool).tril(total - new).expand(2, 1, new, total)
    if masked:
        mask = mask & (torch.rand(2, 1, new, total, generator=g) < 0.7)
        mask[..., 0] = True
    scores = q @ k.repeat_interleave(3, 1).transpose(-2, -1) / 8**0.5
    expected = scores.masked_fill(~mask, -torch.inf).softmax(-1) @ v.repeat_interleave(3, 1)
    close(attend(q, k, v, mask if masked else None), expected)


@torch.no_grad()
@pytest.mark.parametrize("tokens", [1, 6])
def test_a_row_that_may_attend_to_nothing_stays_finite(tokens: int) -> None:
    config = tiny_config()
    model, ids = tiny_model(config), random_ids(config, 2, tokens)
    mask = torch.ones(2, 1, tokens, tokens, dtype=torch.bool).tril()
    mask[1] = False
    logits = model(ids, attention=mask)
    assert logits.isfinite().all()
    close(logits[0], model(ids[:1])[0])


def test_experts_equal_a_loop_over_tokens_forward_and_backward() -> None:
    config = tiny_config(**VARIANTS["moe"])
    g = torch.Generator().manual_seed(0)
    experts = Experts(config)
    for parameter in experts.parameters():
        torch.nn.init.normal_(parameter, std=0.3, generator=g)
    x = torch.randn(9, config.hidden_size, generator=g)
    weights, chosen = torch.rand(9, config.num_experts, generator=g).topk(2)
    chosen[:] = chosen.where(chosen != 3, torch.tensor(0))  # an expert that nobody visits

    def one_by_one(token: int, choice: int) -> Tensor:
        expert = int(chosen[token, choice])
        gate, up = (experts.gate_up_proj[expert] @ x[token]).chunk(2)
        return weights[token, choice] * (experts.down_proj[expert] @ (F.silu(gate) * up))

    expected = torch.stack([one_by_one(token, 0) + one_by_one(token, 1) for token in range(9)])
    actual = experts(x, weights, chosen)
    close(actual, expected)
    parameters = list(experts.parameters())
    for ours, reference in zip(
        torch.autograd.grad(actual.square().sum(), parameters),
        torch.autograd.grad(expected.square().sum(), parameters),
        strict=True,
    ):
        torch.testing.assert_close(ours, reference, rtol=1e-4, atol=1e-4)


def test_every_parameter_gets_a_gradient(variant: ModelConfig) -> None:
    model = tiny_model(variant)
    model(random_ids(variant, 4, 60)).logsumexp(-1).sum().backward()
    silent = [name for name, p in model.named_parameters() if p.grad is None or not p.grad.abs().sum() > 0]
    assert silent == []


@pytest.mark.parametrize("masked", [False, True])
def test_the_dense_forward_compiles_as_one_graph(masked: bool) -> None:
    config = tiny_config(**VARIANTS["yarn"])
    model, ids = tiny_model(config), random_ids(config, 2, 8)
    arguments = (torch.arange(8).expand(2, -1), torch.ones(2, 1, 8, 8, dtype=torch.bool).tril()) if masked else ()
    compiled = torch.compile(model, fullgraph=True, backend="aot_eager")
    logits = compiled(ids, *arguments)
    close(logits, model(ids, *arguments))
    logits.sum().backward()
    assert model.model.embed_tokens.weight.grad is not None


def test_weights_follow_the_seed_and_leave_the_global_state_alone() -> None:
    config = tiny_config(**VARIANTS["moe"])
    before = torch.get_rng_state()
    first, second, other = Transformer(config), Transformer(config), Transformer(config)
    first.init_weights(1)
    second.init_weights(1)
    other.init_weights(2)
    assert torch.equal(torch.get_rng_state(), before)
    for (name, a), b, c in zip(first.named_parameters(), second.parameters(), other.parameters(), strict=True):
        assert torch.equal(a, b), name
        assert torch.equal(a, c) == (a.dim() == 1), name


def test_fresh_weights_have_the_spread_that_the_configuration_asks_for() -> None:
    config = tiny_config(initializer_range=0.1, num_hidden_layers=2)
    layer = Transformer(config).model.layers[1]
    assert layer.self_attn.q_proj.weight.std().item() == pytest.approx(0.1, rel=0.1)
    assert layer.mlp.down_proj.weight.std().item() == pytest.approx(0.05, rel=0.1)  # sqrt(2 * 2 layers) smaller
    assert (layer.input_layernorm.weight == 1).all()


@torch.no_grad()
def test_a_raised_rope_base_takes_the_old_weights() -> None:
    config = tiny_config()
    old = tiny_model(config)
    longer = Transformer(config.replace(rope_theta=1e6, max_position_embeddings=512))
    longer.load_state_dict(old.state_dict())
    ids = random_ids(config, 1, 128)
    assert longer(ids.repeat(1, 4)).shape[1] == 512
    assert (longer(ids) - old(ids)).abs().max() > 0.01  # the base does matter
    close(longer(ids[:, :1]), old(ids[:, :1]))  # but not at position 0


def test_positions_are_relative() -> None:
    config = tiny_config()
    model, ids = tiny_model(config), random_ids(config, 1, 30)
    with torch.no_grad():
        close(model(ids, torch.arange(30)[None] + 50), model(ids))


def test_too_many_tokens_are_an_error_that_names_the_context() -> None:
    config = tiny_config()
    with pytest.raises(SansiError, match="129 tokens are more than the model's context of 128"):
        Transformer(config)(random_ids(config, 1, 129))


def test_yarn_stretches_the_context() -> None:
    assert tiny_config().context_length == 128
    assert tiny_config(**VARIANTS["yarn"]).context_length == 128  # 4 * 32
    assert tiny_config(rope_scaling={"factor": 4.0}).context_length == 512


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_the_grouped_kernel_agrees_with_the_loop() -> None:
    config = tiny_config(num_experts=6, num_experts_per_tok=2, moe_intermediate_size=32, hidden_size=64)
    model, ids = tiny_model(config).to("cuda"), random_ids(config).to("cuda")
    with torch.no_grad():
        exact = model(ids)
        rounded = model.to(torch.bfloat16)(ids).float()
    assert (exact - rounded).abs().mean() < 0.05 * exact.std()
