"""Tiny configurations of every kind of layer, and fresh models whose weights are large enough to tell errors."""

from __future__ import annotations

from typing import Any

import torch
from sansi.model import ModelConfig, Transformer

EXPERTS: dict[str, Any] = {"num_experts": 6, "num_experts_per_tok": 2, "moe_intermediate_size": 24}
YARN: dict[str, Any] = {"rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": 32}

LLAMA3: dict[str, Any] = {
    "rope_type": "llama3",
    "factor": 4.0,
    "low_freq_factor": 1.0,
    "high_freq_factor": 4.0,
    "original_max_position_embeddings": 32,
}
NEIGHBOURS: dict[str, dict[str, Any]] = {
    "llama": {"qk_norm": False, "tie_word_embeddings": True},
    "llama-3": {"qk_norm": False, "rope_scaling": LLAMA3},
    "llama-linear": {"qk_norm": False, "rope_scaling": {"rope_type": "linear", "factor": 2.0}},
    "qwen2": {"qk_norm": False, "attention_bias": True},
}
"""Dense designs next to Qwen3: without a norm of queries and keys, with biases, with other scalings of RoPE."""

VARIANTS: dict[str, dict[str, Any]] = {
    "dense-tied": {"tie_word_embeddings": True},
    "dense-untied": {},
    "yarn": {"rope_scaling": YARN, "tie_word_embeddings": True},
    "moe": EXPERTS,
    "moe-norm-topk": {**EXPERTS, "norm_topk_prob": True},
    "moe-sparse-step": {**EXPERTS, "norm_topk_prob": True, "decoder_sparse_step": 2},
    "moe-mlp-only": {**EXPERTS, "mlp_only_layers": [0, 2]},
    "moe-yarn": {**EXPERTS, "norm_topk_prob": True, "rope_scaling": YARN},
}
ALL = {**VARIANTS, **NEIGHBOURS}


def tiny_config(**overrides: Any) -> ModelConfig:
    shape = {
        "vocab_size": 97,
        "hidden_size": 48,
        "intermediate_size": 80,
        "num_hidden_layers": 3,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "head_dim": 16,
        "tie_word_embeddings": False,
        "max_position_embeddings": 128,
    }
    return ModelConfig.preset("nano", **{**shape, **overrides})


def tiny_model(config: ModelConfig, seed: int = 0) -> Transformer:
    """Weights five times the usual ones and norms that are not 1, so that logits differ by whole units."""
    model = Transformer(config)
    model.init_weights(seed)
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.dim() == 1:
                parameter.uniform_(0.5, 1.5, generator=generator)
            else:
                parameter.mul_(5)
    return model.eval()


def random_ids(config: ModelConfig, batch: int = 2, tokens: int = 40, seed: int = 0) -> torch.Tensor:
    return torch.randint(0, config.vocab_size, (batch, tokens), generator=torch.Generator().manual_seed(seed))
