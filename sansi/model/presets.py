"""The published shapes by name: Qwen3 technical report (arXiv:2505.09388), tables 1 and 2, and the model cards."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any


def _qwen3(
    layers: int, heads: int, groups: int, hidden: int, ffn: int, tied: bool = False, **rest: Any
) -> dict[str, Any]:
    return {
        "vocab_size": 151_936,
        "hidden_size": hidden,
        "intermediate_size": ffn,
        "num_hidden_layers": layers,
        "num_attention_heads": heads,
        "num_key_value_heads": groups,
        "head_dim": 128,
        "rope_theta": 1_000_000.0,
        "max_position_embeddings": 40_960,  # 32,768 of answer and 8,192 of prompt
        "tie_word_embeddings": tied,
        "bos_token_id": 151_643,
        "eos_token_id": 151_645,
        **rest,
    }


def _experts(width: int) -> dict[str, Any]:
    return {"num_experts": 128, "num_experts_per_tok": 8, "moe_intermediate_size": width, "norm_topk_prob": True}


PRESETS: Mapping[str, Mapping[str, Any]] = MappingProxyType(
    {
        "nano": {
            "vocab_size": 768,
            "hidden_size": 128,
            "intermediate_size": 384,
            "num_hidden_layers": 5,
            "num_attention_heads": 4,
            "num_key_value_heads": 2,
            "head_dim": 32,
            "rope_theta": 10_000.0,
            "max_position_embeddings": 1024,
            "tie_word_embeddings": True,
        },
        "Qwen3-0.6B": _qwen3(28, 16, 8, 1024, 3072, tied=True),
        "Qwen3-1.7B": _qwen3(28, 16, 8, 2048, 6144, tied=True),
        "Qwen3-4B": _qwen3(36, 32, 8, 2560, 9728, tied=True),
        "Qwen3-8B": _qwen3(36, 32, 8, 4096, 12288),
        "Qwen3-14B": _qwen3(40, 40, 8, 5120, 17408),
        "Qwen3-30B-A3B": _qwen3(48, 32, 4, 2048, 6144, **_experts(768)),
        "Qwen3-32B": _qwen3(64, 64, 8, 5120, 25600),
        "Qwen3-235B-A22B": _qwen3(94, 64, 4, 4096, 12288, **_experts(1536)),
    }
)
"""In the order of their sizes."""

OWNER = "Qwen"
"""Who publishes them on the hubs."""


def preset_of(name: str) -> str | None:
    """The published shape that `name` means: in any case, with or without its owner. None if there is none."""
    owner, _, short = name.rpartition("/")
    if owner.lower() not in ("", OWNER.lower()):
        return None
    return next((preset for preset in PRESETS if preset.lower() == short.lower()), None)
