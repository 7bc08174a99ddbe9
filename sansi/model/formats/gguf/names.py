"""Which tensor of a GGUF file a tensor of the model is. Needs no torch.

Experts are one tensor a layer there. In files of the type llama, and in these alone, each head's queries and keys have
their inputs to RoPE side by side in pairs, where the hub has two halves.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from types import MappingProxyType

from sansi.model.config import ModelConfig

ARCHITECTURES = MappingProxyType({"qwen3": "qwen3", "qwen3moe": "qwen3_moe", "qwen2": "qwen2", "llama": "llama"})
"""general.architecture, and model_type of a config.json."""
ROPE_FACTORS = "rope_freqs.weight"
"""[head_dim / 2] factors by which llama3 scaling divides the frequencies; no tensor of the model."""
_WHOLE = MappingProxyType(
    {"model.embed_tokens": "token_embd", "model.norm": "output_norm", "lm_head": "output"},
)
_OF_LAYERS = MappingProxyType(
    {
        "input_layernorm": "attn_norm",
        "post_attention_layernorm": "ffn_norm",
        **{f"self_attn.{name}_proj": f"attn_{name}" for name in "qkv"},
        "self_attn.o_proj": "attn_output",
        "self_attn.q_norm": "attn_q_norm",
        "self_attn.k_norm": "attn_k_norm",
        "mlp.gate": "ffn_gate_inp",
        **{f"mlp.{name}_proj": f"ffn_{name}" for name in ("gate", "up", "down")},
    }
)
_LAYER = re.compile(r"model\.layers\.(?P<layer>\d+)\.(?P<part>.+)\.(?P<what>weight|bias)")
_EXPERT = re.compile(r"mlp\.experts\.(?P<expert>\d+)\.(?P<kind>gate|up|down)_proj")


@dataclass(frozen=True)
class Place:
    """Where a tensor of the model is in a GGUF file."""

    name: str
    expert: int | None = None
    """The number in a tensor of all experts of a layer."""
    paired: bool = False
    """Its rows are in the order of llama: `paired_row`."""


def place_of(name: str, config: ModelConfig) -> Place:
    """The place of a tensor, by its name on the hub."""
    match = _LAYER.fullmatch(name)
    if match is None:
        stem, _, what = name.rpartition(".")
        return Place(f"{_WHOLE[stem]}.{what}")
    start, what = f"blk.{match['layer']}", match["what"]
    if expert := _EXPERT.fullmatch(match["part"]):
        return Place(f"{start}.ffn_{expert['kind']}_exps.{what}", int(expert["expert"]))
    part = _OF_LAYERS[match["part"]]
    paired = part in ("attn_q", "attn_k") and architecture_of(config) == "llama"
    return Place(f"{start}.{part}.{what}", paired=paired)


def architecture_of(config: ModelConfig) -> str:
    """general.architecture of a model."""
    if config.qk_norm:
        return "qwen3moe" if config.is_moe else "qwen3"
    return "qwen2" if config.attention_bias else "llama"


def paired_row(row: int, head_dim: int) -> int:
    """The row of the file in which row `row` of the hub's q or k stands."""
    head, at = divmod(row, head_dim)
    half, pair = divmod(at, head_dim // 2)
    return head * head_dim + 2 * pair + half


def in_order(names: Iterable[str], config: ModelConfig) -> dict[str, list[str]]:
    """The hub's names that stand in each tensor of a file, in the file's usual order: experts one after the other."""
    stacked: dict[str, list[str]] = {}
    for name in names:
        stacked.setdefault(place_of(name, config).name, []).append(name)
    return stacked
