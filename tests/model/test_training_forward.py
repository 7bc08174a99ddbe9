"""What training changes in the forward: layers that run twice to save memory, and a router that does not round."""

from __future__ import annotations

import pytest
import torch
from sansi.model import Documents, Transformer
from tiny_models import VARIANTS, random_ids, tiny_config, tiny_model
from torch import Tensor
from transformers import Qwen3MoeConfig
from transformers.models.qwen3_moe.modeling_qwen3_moe import Qwen3MoeSparseMoeBlock


def gradients(model: Transformer, ids: Tensor, documents: Documents | None) -> dict[str, Tensor]:
    model.zero_grad()
    features = model.features(ids, attention=documents)
    (features.hidden.square().mean() + sum(x.logsumexp(-1).mean() for x in features.router_logits)).backward()
    return {name: p.grad.clone() for name, p in model.named_parameters() if p.grad is not None}


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("name", ["dense-tied", "moe-sparse-step"])
def test_checkpointed_layers_have_the_same_gradients(name: str, packed: bool) -> None:
    config = tiny_config(**VARIANTS[name])
    model, ids = tiny_model(config), random_ids(config, 2, 12)
    documents = Documents.from_lengths([[5, 7], [12]]) if packed else None
    usual = gradients(model, ids, documents)
    model.gradient_checkpointing_enable()
    again = gradients(model, ids, documents)
    assert usual.keys() == again.keys()
    for gradient, expected in zip(again.values(), usual.values(), strict=True):
        assert torch.equal(gradient, expected)


def kept_bytes(model: Transformer, ids: Tensor) -> int:
    """Bytes of activations that the backward pass waits for."""
    own = {parameter.data_ptr() for parameter in model.parameters()}
    kept: dict[int, int] = {}

    def keep(tensor: Tensor) -> Tensor:
        if tensor.data_ptr() not in own:
            kept[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        hidden = model.hidden(ids)
    assert hidden.requires_grad
    return sum(kept.values())


def test_checkpointed_layers_keep_their_inputs_alone() -> None:
    config = tiny_config(num_hidden_layers=4)
    model, ids = tiny_model(config), random_ids(config, 2, 64)
    usual = kept_bytes(model, ids)
    model.gradient_checkpointing_enable()
    one_input = 2 * 64 * config.hidden_size * 4
    assert kept_bytes(model, ids) < 8 * one_input < usual / 5
    model.gradient_checkpointing_disable()
    assert kept_bytes(model, ids) == usual


def test_nothing_runs_twice_where_there_is_no_gradient(monkeypatch: pytest.MonkeyPatch) -> None:
    model = tiny_model(tiny_config())
    model.gradient_checkpointing_enable()
    monkeypatch.setattr("sansi.model.transformer.recomputed", None)
    with torch.no_grad():
        model(random_ids(model.config))


@pytest.mark.filterwarnings("error")
def test_the_forward_under_autocast_warns_of_nothing() -> None:
    """torch warns where it can not take its fused norm."""
    config = tiny_config()
    model, ids = tiny_model(config), random_ids(config, 2, 12)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        rounded = model.hidden(ids, attention=Documents.from_lengths([[5, 7], [12]]))
    exact = model.hidden(ids, attention=Documents.from_lengths([[5, 7], [12]]))
    assert rounded.dtype == torch.float32
    assert 0 < (rounded - exact).norm() < 0.05 * exact.norm()


def test_the_router_does_not_round_where_its_weight_does_not() -> None:
    config = tiny_config(**VARIANTS["moe"])
    model, ids = tiny_model(config), random_ids(config)
    with torch.no_grad(), torch.autocast("cpu", dtype=torch.bfloat16):
        found = model.features(ids).router_logits
    assert {logits.dtype for logits in found} == {torch.float32}
    assert not torch.equal(found[0], found[0].bfloat16().float())


def test_the_router_of_a_half_precision_model_is_that_of_transformers() -> None:
    """Bit for bit the same logits, so that the same experts are chosen."""
    config = tiny_config(**VARIANTS["moe-norm-topk"])
    block = tiny_model(config).bfloat16().model.layers[0].mlp
    shape = {"hidden_size": config.hidden_size, "moe_intermediate_size": config.moe_intermediate_size}
    experts = {"num_experts": config.num_experts, "num_experts_per_tok": 2, "norm_topk_prob": True}
    theirs = Qwen3MoeSparseMoeBlock(Qwen3MoeConfig(**shape, **experts)).bfloat16()
    with torch.no_grad():
        theirs.gate.weight.copy_(block.gate.weight)
        theirs.experts.gate_up_proj.copy_(block.experts.gate_up_proj)
        theirs.experts.down_proj.copy_(block.experts.down_proj)
        x = torch.randn(2, 9, config.hidden_size, generator=torch.Generator().manual_seed(0)).bfloat16()
        y, logits = block(x)
        assert logits.dtype == torch.bfloat16
        expected = theirs(x)
        expected = expected[0] if isinstance(expected, tuple) else expected
    torch.testing.assert_close(y, expected, rtol=0.02, atol=0.02 * float(expected.abs().max()))
    torch.testing.assert_close(logits, torch.nn.functional.linear(x, theirs.gate.weight), rtol=0, atol=0)
