"""Every parameter has a role, which its module says; copies and moves keep it."""

from __future__ import annotations

import copy

import pytest
import torch
from sansi.base.errors import SansiError
from sansi.model import ModelConfig, Transformer, parameter_roles
from sansi.model.transformer import Linear
from tiny_models import ALL, VARIANTS, tiny_config
from torch import nn

ROLES = {
    ".bias": "norm",
    "embed_tokens": "embedding",
    "lm_head": "head",
    "norm": "norm",
    "mlp.gate.": "router",
    "experts.": "expert",
    "_proj.": "matrix",
}


@pytest.fixture(params=ALL)
def variant(request: pytest.FixtureRequest) -> ModelConfig:
    return tiny_config(**ALL[request.param])


def test_every_parameter_has_the_role_that_its_name_promises(variant: ModelConfig) -> None:
    model = Transformer(variant)
    roles = parameter_roles(model)
    assert list(roles) == [name for name, _ in model.named_parameters()]
    for name, role in roles.items():
        assert role == next(expected for part, expected in ROLES.items() if part in name), name
    assert ("head" in roles.values()) == (not variant.tie_word_embeddings)
    assert {model.get_parameter(name).dim() for name, role in roles.items() if role == "expert"} <= {3}


def test_the_role_comes_from_the_module_not_the_name() -> None:
    model = nn.Module()
    model.embed_tokens = Linear(3, 4)
    model.layer_norm = Linear(3, 4, role="adapter")
    assert parameter_roles(model) == {"embed_tokens.weight": "matrix", "layer_norm.weight": "adapter"}


def test_a_head_that_shares_its_weight_is_an_embedding() -> None:
    model = Transformer(tiny_config(tie_word_embeddings=False))
    assert model.lm_head is not None
    model.lm_head.weight = model.model.embed_tokens.weight
    assert "head" not in parameter_roles(model).values()


def test_roles_outlive_copies_and_parameters_that_are_replaced() -> None:
    model = Transformer(tiny_config(**VARIANTS["moe"]))
    expected = parameter_roles(model)
    with torch.device("meta"):
        empty = Transformer(model.config)
    assert parameter_roles(empty.to_empty(device="cpu")) == expected
    assert parameter_roles(copy.deepcopy(model)) == expected
    assert parameter_roles(copy.deepcopy(model).to(torch.bfloat16)) == expected
    empty.load_state_dict(model.state_dict(), assign=True)
    assert parameter_roles(empty) == expected


@pytest.mark.parametrize("role", [None, "matrixx"])
def test_a_module_without_a_role_is_named(role: str | None) -> None:
    model = nn.Sequential(nn.Linear(2, 2))
    if role:
        model[0].role = role
    with pytest.raises(SansiError, match=r'"0\.weight" has the role .* set `role` of its Linear'):
        parameter_roles(model)
