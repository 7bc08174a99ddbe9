"""The same logits and the same greedy tokens as transformers, with checkpoints crossing both ways."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
import transformers
from sansi.model import ModelConfig, Transformer, load, save
from sansi.model.rope import attention_factor, inverse_frequencies
from tiny_models import ALL, YARN, random_ids, tiny_config, tiny_model
from torch import Tensor
from transformers import AutoModelForCausalLM, Qwen3Config, Qwen3ForCausalLM, Qwen3MoeConfig, Qwen3MoeForCausalLM
from transformers.modeling_rope_utils import ROPE_INIT_FUNCTIONS

TOLERANCE = 1e-4  # fp32 logits that span several units

transformers.logging.set_verbosity_error()
transformers.logging.disable_progress_bar()


@pytest.fixture(params=ALL)
def variant(request: pytest.FixtureRequest) -> ModelConfig:
    return tiny_config(**ALL[request.param])


def open_with_transformers(folder: Path) -> Any:
    return AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()


@torch.no_grad()
def assert_same_logits(ours: Transformer, theirs: Any) -> None:
    ids = random_ids(ours.config)
    expected = theirs(ids).logits
    assert expected.std() > 0.3  # logits that are all alike would prove nothing
    torch.testing.assert_close(ours(ids), expected, atol=TOLERANCE, rtol=0)


def test_transformers_opens_what_we_save(variant: ModelConfig, tmp_path: Path) -> None:
    ours = tiny_model(variant)
    save(ours, tmp_path / "model")
    assert_same_logits(ours, open_with_transformers(tmp_path / "model"))


def test_we_open_what_transformers_saves(variant: ModelConfig, tmp_path: Path) -> None:
    ours = tiny_model(variant, seed=1)
    save(ours, tmp_path / "ours")
    theirs = open_with_transformers(tmp_path / "ours")
    theirs.save_pretrained(tmp_path / "theirs")
    again = load(tmp_path / "theirs", "cpu", "float32")
    assert again.config == variant
    assert_same_logits(again, theirs)


@pytest.mark.parametrize("moe", [False, True])
def test_we_open_a_model_made_by_transformers(moe: bool, tmp_path: Path) -> None:
    shape = {
        "vocab_size": 61,
        "hidden_size": 32,
        "intermediate_size": 64,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "num_key_value_heads": 1,
        "head_dim": 16,
        "initializer_range": 0.2,
    }
    torch.manual_seed(0)
    if moe:
        experts = {"num_experts": 5, "num_experts_per_tok": 3, "moe_intermediate_size": 16, "norm_topk_prob": True}
        theirs: Any = Qwen3MoeForCausalLM(Qwen3MoeConfig(**shape, **experts))
    else:
        theirs = Qwen3ForCausalLM(Qwen3Config(**shape))
    theirs.eval().save_pretrained(tmp_path / "theirs")
    assert_same_logits(load(tmp_path / "theirs", "cpu", "float32"), theirs)


def test_stacked_experts_open_too(tmp_path: Path) -> None:
    ours = tiny_model(tiny_config(num_experts=4, num_experts_per_tok=2, moe_intermediate_size=24))
    save(ours, tmp_path / "ours")
    theirs = open_with_transformers(tmp_path / "ours")
    theirs.save_pretrained(tmp_path / "stacked", save_original_format=False)
    assert_same_logits(load(tmp_path / "stacked", "cpu", "float32"), theirs)


def test_the_same_greedy_tokens(variant: ModelConfig, tmp_path: Path) -> None:
    ours = tiny_model(variant, seed=2)
    save(ours, tmp_path / "model")
    prompt = random_ids(variant, batch=1, tokens=5)
    theirs = open_with_transformers(tmp_path / "model")
    expected = theirs.generate(prompt, attention_mask=torch.ones_like(prompt), max_new_tokens=24, do_sample=False)
    assert greedy(ours, prompt, 24).tolist() == expected.tolist()


@torch.no_grad()
def greedy(model: Transformer, ids: Tensor, count: int) -> Tensor:
    for _ in range(count):
        ids = torch.cat((ids, model(ids)[:, -1:].argmax(-1)), dim=1)
    return ids


LONG: dict[str, Any] = {"rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": 32_768}


@pytest.mark.parametrize(
    "scaling",
    [
        LONG,  # as the model cards recommend it
        YARN,
        {**LONG, "factor": 1.0},
        {"rope_type": "yarn", "factor": 2.0},  # the original length is then max_position_embeddings
        {**LONG, "attention_factor": 0.9},
        {**LONG, "mscale": 0.7, "mscale_all_dim": 1.3},
        {**LONG, "mscale": 0.7},
        {**LONG, "beta_fast": 8, "beta_slow": 2},
        {**LONG, "truncate": False},
        {**LONG, "original_max_position_embeddings": 2},
    ],
    ids=str,
)
def test_yarn_is_computed_as_in_transformers(scaling: dict[str, Any]) -> None:
    config = ModelConfig.preset("Qwen3-8B", rope_scaling=scaling)  # its heads are wide enough for every border to count
    theirs = Qwen3Config(
        rope_parameters={**scaling, "rope_theta": config.rope_theta},
        head_dim=config.head_dim,
        max_position_embeddings=config.max_position_embeddings,
    )
    frequencies, factor = ROPE_INIT_FUNCTIONS["yarn"](theirs, "cpu")
    torch.testing.assert_close(inverse_frequencies(config), frequencies, rtol=1e-6, atol=0)
    assert attention_factor(config.rope_scaling) == pytest.approx(factor, rel=1e-12)
