"""What a config.json says that is not ours as a whole: one sentence each, with what to do instead."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sansi.base.shown import show

MODEL_TYPES = ("qwen3", "qwen3_moe", "llama", "qwen2")
"""Qwen3, dense and with experts, and its dense neighbours."""
_PREFIXES = {"qwen3": "Qwen3", "qwen3_moe": "Qwen3", "llama": "Llama", "qwen2": "Qwen2"}
"""What the name of an architecture begins with."""
_HEADS = ("ForCausalLM", "Model", "LMHeadModel")
"""What the name of an architecture ends in that is a causal language model, or one without its head."""
_RELATIVES = ("qwen3_", "qwen3.", "qwen3-")


def why_not_ours(values: Mapping[str, Any]) -> str | None:
    """Why Sansi does not open this configuration at all; None where it is worth a closer look."""
    return _model_type(values) or _architecture(values) or _quantised(values)


def _named() -> str:
    return ", ".join(f'"{kind}"' for kind in MODEL_TYPES[:-1]) + f' or "{MODEL_TYPES[-1]}"'


def _model_type(values: Mapping[str, Any]) -> str | None:
    kind = values.get("model_type")
    if kind in MODEL_TYPES:
        return None
    if kind is None:
        return f'"model_type" is missing; a model that Sansi opens says {_named()}'
    shown = show(kind)
    if isinstance(kind, str) and kind.lower().replace("-", "_") in MODEL_TYPES:
        return f'"model_type" is {shown}; write "{kind.lower().replace("-", "_")}"'
    if isinstance(kind, str) and kind.lower().startswith(_RELATIVES):
        return f'"model_type" is {shown}, another design than Qwen3 in spite of its name; take a Qwen3: Qwen/Qwen3-8B'
    return f'"model_type" is {shown}, and Sansi opens {_named()} alone; take a Qwen3, such as Qwen/Qwen3-8B'


def _architecture(values: Mapping[str, Any]) -> str | None:
    named = values.get("architectures") or []
    names = [named] if isinstance(named, str) else named
    if not isinstance(names, list | tuple) or not all(isinstance(name, str) for name in names):
        return f'"architectures" must be a list of names, not {show(named)}'
    begins = _PREFIXES[values["model_type"]]
    other = next((name for name in names if not (name.startswith(begins) and name.endswith(_HEADS))), None)
    if other is None:
        return None
    return f'"architectures" names {show(other)}, a model with another head or layers; Sansi opens language models'


def _quantised(values: Mapping[str, Any]) -> str | None:
    for key in ("quantization_config", "compression_config", "quantization"):
        described = values.get(key)
        if described:
            usual = "mlx" if key == "quantization" else None
            method = described.get("quant_method", usual) if isinstance(described, Mapping) else None
            shown = method if isinstance(method, str) else show(described)
            advice = "take the model that it was made of, and serve that with --quantize int8 or int4"
            return f'"{key}" says that the weights are quantised ({shown}), and Sansi opens full weights: {advice}'
    return None
