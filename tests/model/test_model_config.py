"""Presets against the published figures; both spellings of config.json; errors that name what is wrong."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from sansi.base.errors import ConfigError, SansiError
from sansi.model import PRESETS, ModelConfig, Transformer
from tiny_models import ALL, YARN, tiny_config

# Billions of parameters on the model cards: all, without embeddings, active per token.
PUBLISHED = {
    "Qwen3-0.6B": (0.6, 0.44, 0.6),
    "Qwen3-1.7B": (1.7, 1.4, 1.7),
    "Qwen3-4B": (4.0, 3.6, 4.0),
    "Qwen3-8B": (8.2, 6.95, 8.2),
    "Qwen3-14B": (14.8, 13.2, 14.8),
    "Qwen3-32B": (32.8, 31.2, 32.8),
    "Qwen3-30B-A3B": (30.5, 29.9, 3.3),
    "Qwen3-235B-A22B": (235, 234, 22),
}


@pytest.mark.parametrize("name", PUBLISHED)
def test_sizes_are_the_published_ones(name: str) -> None:
    config = ModelConfig.preset(name)
    counted = (config.num_parameters(), config.num_parameters(embedding=False), config.num_active_parameters())
    for got, published in zip(counted, PUBLISHED[name], strict=True):
        assert got / 1e9 == pytest.approx(published, rel=0.02)


@pytest.mark.parametrize("name", PRESETS)
def test_the_formula_counts_what_the_model_holds(name: str) -> None:
    config = ModelConfig.preset(name)
    with torch.device("meta"):
        model = Transformer(config)
    assert sum(parameter.numel() for parameter in model.parameters()) == config.num_parameters()


@pytest.mark.parametrize("name", ALL)
def test_the_formula_counts_every_kind_of_layer(name: str) -> None:
    config = tiny_config(**ALL[name])
    assert sum(parameter.numel() for parameter in Transformer(config).parameters()) == config.num_parameters()


@pytest.mark.parametrize("name", PRESETS)
def test_presets_survive_a_round_trip(name: str) -> None:
    config = ModelConfig.preset(name)
    assert ModelConfig.from_hf(config.to_hf()) == config


def hub_config(**changes: Any) -> dict[str, Any]:
    return {**ModelConfig.preset("Qwen3-30B-A3B").to_hf(), **changes}


def without(values: dict[str, Any], *keys: str) -> dict[str, Any]:
    return {key: value for key, value in values.items() if key not in keys}


def test_both_spellings_mean_the_same() -> None:
    hub = hub_config(rope_scaling=YARN)
    new = without(hub, "rope_theta", "rope_scaling", "num_experts")
    new |= {"rope_parameters": {**YARN, "rope_theta": 1e6}, "num_local_experts": 128}
    assert ModelConfig.from_hf(new) == ModelConfig.from_hf(hub)
    assert ModelConfig.from_hf(hub).rope_scaling is not None
    older = hub_config(rope_scaling={**without(YARN, "rope_type"), "type": "yarn"})
    assert ModelConfig.from_hf(older) == ModelConfig.from_hf(hub)


def test_left_out_values_are_those_of_transformers() -> None:
    hub = without(
        hub_config(), "head_dim", "rope_theta", "max_position_embeddings", "norm_topk_prob", "num_key_value_heads"
    )
    config = ModelConfig.from_hf({**hub, "num_key_value_heads": None, "mlp_only_layers": None})
    assert (config.head_dim, config.rope_theta, config.max_position_embeddings) == (64, 10_000.0, 32_768)
    assert (config.norm_topk_prob, config.num_key_value_heads, config.mlp_only_layers) == (False, 32, ())


def test_book_keeping_of_hugging_face_is_no_error() -> None:
    extra = {"_name_or_path": "x", "transformers_version": "4.51.0", "dtype": "bfloat16", "torch_dtype": "bfloat16"}
    extra |= {"use_cache": False, "sliding_window": 4096, "max_window_layers": 3, "output_router_logits": True}
    extra |= {"layer_types": ["full_attention"] * 48, "quantization_config": None, "eos_token_id": [1, 2]}
    config = ModelConfig.from_hf(hub_config(**extra))
    assert config.eos_token_id == (1, 2)
    assert config.to_hf()["eos_token_id"] == [1, 2]


@pytest.mark.parametrize(
    "changes, message",
    [
        ({"hiden_size": 4}, 'unknown key "hiden_size"; did you mean "hidden_size"'),
        ({"attention_bias": True}, '"attention_bias" is true, but only false is implemented'),
        ({"hidden_act": "gelu"}, '"hidden_act" is "gelu", but only "silu" is implemented'),
        (
            {"use_sliding_window": True, "sliding_window": 4096},
            "windows of attention .sliding_window 4096, from layer 0",
        ),
        ({"use_sliding_window": "no"}, '"use_sliding_window"'),
        ({"layer_types": ["sliding_attention"]}, '"layer_types"'),
        ({"rope_scaling": {"rope_type": "dynamic", "factor": 2.0}}, '"rope_type" is "dynamic"'),
        ({"rope_scaling": {"rope_type": "yarn"}}, '"factor" is missing'),
        ({"rope_scaling": {**YARN, "beta_quick": 1}}, 'unknown key "beta_quick"'),
        ({"rope_scaling": {"factor": 2.0}}, '"factor" is set in "rope_scaling", but the rope type is'),
        ({"rope_scaling": YARN, "rope_parameters": {**YARN, "factor": 8.0}}, "two spellings"),
        ({"rope_scaling": YARN, "rope_parameters": {"rope_type": "default"}}, "two spellings"),
        ({"rope_parameters": {"rope_theta": 5.0}}, '"rope_theta" is 1000000.0, and 5.0 in "rope_parameters"'),
        ({"rope_scaling": {**YARN, "type": "linear"}}, "\"rope_type\" 'yarn' and \"type\" 'linear'"),
        ({"rope_scaling": {**YARN, "extrapolation_factor": 2}}, '"extrapolation_factor" is 2'),
        ({"rope_scaling": {**YARN, "attn_factor": 0.5, "attention_factor": 2.0}}, "do not agree"),
        ({"rope_scaling": {**YARN, "attn_factor": "x"}}, '"attn_factor" must be a number above 0'),
        ({"rope_scaling": "yarn"}, '"rope_scaling" must be a mapping'),
        ({"rope_scaling": {**YARN, "factor": 0.5}}, '"factor" must be at least 1'),
        ({"num_local_experts": 4}, '"num_local_experts" and "num_experts" differ'),
        ({"num_experts_per_tok": 200}, '"num_experts_per_tok" .200. must be between 1'),
        ({"moe_intermediate_size": 0}, '"moe_intermediate_size" must be positive'),
        ({"mlp_only_layers": [48]}, '"mlp_only_layers" names layer 48'),
        ({"num_key_value_heads": 3}, '"num_attention_heads" .32. must be a multiple'),
        ({"head_dim": 63}, '"head_dim" must be even'),
        ({"hidden_size": "big"}, '"hidden_size" must be a whole number, not "big"'),
        ({"hidden_size": 0}, '"hidden_size" must be positive'),
    ],
)
def test_errors_name_the_key(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        ModelConfig.from_hf(hub_config(**changes))


def test_all_problems_are_reported_at_once() -> None:
    broken = without(hub_config(attention_bias=True, vocab_sise=1), "num_hidden_layers")
    with pytest.raises(ConfigError) as caught:
        ModelConfig.from_hf(broken, "folder/config.json")
    assert len(caught.value.problems) == 3
    assert str(caught.value).startswith("folder/config.json: ")


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-3, 10**6) | st.floats(allow_nan=False) | st.text(max_size=6),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3),
    max_leaves=4,
)
KEYS = sorted({*hub_config(), "rope_parameters", "num_local_experts", "layer_types", "quantization_config"})


@given(st.dictionaries(st.sampled_from(KEYS), JSON, max_size=4))
def test_any_values_are_read_or_refused_cleanly(changes: dict[str, Any]) -> None:
    try:
        config = ModelConfig.from_hf(hub_config(**changes))
    except SansiError:
        return
    assert ModelConfig.from_hf(config.to_hf()) == config


def test_presets_take_changes_and_refuse_mistakes() -> None:
    assert ModelConfig.preset("nano", rope_scaling={"factor": 2.0}).rope_scaling is not None
    assert ModelConfig.preset("Qwen/Qwen3-8B") == ModelConfig.preset("Qwen3-8B")
    with pytest.raises(SansiError, match='unknown preset "Qwen3-8"; did you mean "Qwen3-8B"'):
        ModelConfig.preset("Qwen3-8")
    with pytest.raises(ConfigError, match='unknown key "hidden"'):
        ModelConfig.preset("nano", hidden=3)
    with pytest.raises(ConfigError, match='"rope_theta" must be above 1'):
        ModelConfig.preset("nano").replace(rope_theta=0.0)


def test_an_impossible_configuration_builds_no_model() -> None:
    with pytest.raises(ConfigError, match='"head_dim" must be even'):
        Transformer({**tiny_config().__dict__, "head_dim": 7})
    with pytest.raises(ConfigError, match="must be of type ModelConfig, or a mapping of its fields"):
        Transformer("nano")


@pytest.mark.parametrize("wrong", [None, 3, ["Qwen3-8B"], b"nano"])
def test_what_is_no_configuration_at_all(wrong: Any) -> None:
    with pytest.raises(SansiError, match="unknown preset"):
        ModelConfig.preset(wrong)
    with pytest.raises(SansiError, match="a configuration is a mapping"):
        ModelConfig.from_hf(wrong)


@pytest.mark.parametrize("name", ["initializer_range", "router_aux_loss_coef"])
def test_what_would_turn_round_below_0_is_refused(name: str) -> None:
    with pytest.raises(SansiError, match=f'"{name}" must be 0 or more, not -0.1'):
        tiny_config(**{name: -0.1})
    assert getattr(tiny_config(**{name: 0.0}), name) == 0
