"""The configurations of the published models open with their values; others are refused in one sentence."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest
import torch
from official_configs import OFFICIAL, OTHERS
from sansi.base.errors import ConfigError
from sansi.model import ModelConfig, Transformer
from sansi.model.rope import attention_factor, rope_table

DENSE = OFFICIAL["Qwen3-8B"]
YARN = {"rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": 32768}


@pytest.mark.parametrize("name", OFFICIAL)
def test_a_published_configuration_opens_and_keeps_its_meaning(name: str) -> None:
    config = ModelConfig.from_hf(OFFICIAL[name])
    for field in ("hidden_size", "intermediate_size", "num_hidden_layers", "vocab_size", "tie_word_embeddings"):
        assert getattr(config, field) == OFFICIAL[name][field]
    assert config.context_length == max(
        OFFICIAL[name]["max_position_embeddings"], 131_072 if config.rope_scaling else 0
    )
    assert ModelConfig.from_hf(config.to_hf()) == config
    with torch.device("meta"):
        assert sum(p.numel() for p in Transformer(config).parameters()) == config.num_parameters()


@pytest.mark.parametrize("name", [name for name in OFFICIAL if "R1" not in name])
def test_transformers_reads_the_same_from_ours(name: str) -> None:
    from transformers import AutoConfig

    theirs = AutoConfig.for_model(**OFFICIAL[name])
    ours = AutoConfig.for_model(**ModelConfig.from_hf(OFFICIAL[name]).to_hf())
    names = (
        "hidden_size",
        "num_hidden_layers",
        "head_dim",
        "num_key_value_heads",
        "tie_word_embeddings",
        "layer_types",
    )
    said = [name for name in names if getattr(theirs, name, None) is not None]  # Qwen2's derives the width of a head
    assert [getattr(theirs, name) for name in said] == [getattr(ours, name, None) for name in said]
    wanted = {key: value for key, value in theirs.rope_parameters.items() if value is not None}
    assert {key: ours.rope_parameters.get(key) for key in wanted} == wanted


@pytest.mark.parametrize("name", OTHERS)
def test_what_is_not_ours_is_refused_in_one_sentence(name: str) -> None:
    values, words = OTHERS[name]
    with pytest.raises(ConfigError, match=words) as caught:
        ModelConfig.from_hf(values, "config.json")
    assert len(caught.value.problems) == 1 and len(str(caught.value)) < 300


def test_r1_has_attention_as_sharp_as_it_was_trained() -> None:
    """attn_factor multiplies the usual factor, and here the two cancel; other programs read both spellings of ours."""
    config = ModelConfig.from_hf(OFFICIAL["DeepSeek-R1-0528-Qwen3-8B"])
    assert attention_factor(config.rope_scaling) == pytest.approx(1.0, abs=1e-6)
    written = config.to_hf()["rope_scaling"]
    assert written["attention_factor"] == pytest.approx(1.0, abs=1e-6)
    assert written["attn_factor"] == pytest.approx(1 / (0.1 * math.log(4) + 1), abs=1e-6)


@pytest.mark.parametrize(
    "changes",
    [
        {"rope_scaling": YARN, "rope_parameters": {**YARN, "rope_theta": 1000000}},
        {"rope_scaling": {**YARN, "rope_theta": 1e6}, "rope_parameters": {**YARN, "type": "yarn"}},
        {"rope_scaling": {**YARN, "finetuned": True}},
        {"rope_scaling": {**YARN, "finetuned": False, "extrapolation_factor": 1.0, "attn_factor": None}},
        {"rope_scaling": {"type": "yarn", **{k: v for k, v in YARN.items() if k != "rope_type"}}},
    ],
)
def test_every_spelling_of_one_yarn_is_the_same(changes: dict[str, Any]) -> None:
    expected = rope_table(ModelConfig.from_hf({**DENSE, "rope_scaling": YARN}).replace(head_dim=8))
    found = rope_table(ModelConfig.from_hf({**DENSE, **changes}).replace(head_dim=8))
    assert torch.equal(expected.cos, found.cos) and torch.equal(expected.sin, found.sin)


@pytest.mark.parametrize(
    "changes",
    [
        {"sliding_window": None},
        {"sliding_window": None, "max_window_layers": 0},
        {"sliding_window": 4096, "max_window_layers": 36},
        {"sliding_window": 4096, "max_window_layers": 70},
        {"sliding_window": 4096, "max_window_layers": 0, "layer_types": ["full_attention"] * 36},
        {"sliding_window": 40960, "max_window_layers": 0},
    ],
)
def test_a_sliding_window_without_effect_is_full_attention(changes: dict[str, Any]) -> None:
    from transformers import AutoConfig

    values = {**DENSE, "use_sliding_window": True, **changes}
    assert ModelConfig.from_hf(values) == ModelConfig.from_hf(DENSE)
    types = set(AutoConfig.for_model(**values).layer_types)
    assert types == {"full_attention"} or values["sliding_window"] >= values["max_position_embeddings"]


@pytest.mark.parametrize(
    "changes",
    [
        {"sliding_window": 4096, "max_window_layers": 35},
        {"sliding_window": 4096, "max_window_layers": None},
        {"sliding_window": 40959, "max_window_layers": 0},
        {"sliding_window": 40960, "max_window_layers": 0, "rope_scaling": YARN},
        {"layer_types": ["full_attention"] * 35 + ["sliding_attention"]},
        {"model_type": "qwen3_moe", "num_experts": 4, "sliding_window": 4096, "max_window_layers": 36},
    ],
)
def test_a_sliding_window_with_effect_is_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match=r"windows of attention|layer_types"):
        ModelConfig.from_hf({**DENSE, "use_sliding_window": True, **changes})


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("qkv_bias", True),
        ("use_qk_norm", False),
        ("shared_expert_intermediate_size", 512),
        ("is_causal", False),
    ],
)
def test_keys_with_a_value_of_another_design_are_named(key: str, value: Any) -> None:
    with pytest.raises(ConfigError, match=f'"{key}" is {json.dumps(value)}, but only'):
        ModelConfig.from_hf({**OFFICIAL["Qwen3-Coder-30B-A3B-Instruct"], key: value})
