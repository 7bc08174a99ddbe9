"""What a GGUF file says of a model: the metadata of a configuration, a bundle, and what is known beside them."""

from __future__ import annotations

import json
import math
from typing import Any

from sansi.base.errors import SansiError
from sansi.model.bundle import ModelBundle
from sansi.model.config import ModelConfig, RopeScaling
from sansi.model.formats.gguf.config import GENERATION, LLAMA3, SAMPLING, llama3_factors
from sansi.model.formats.gguf.container import Typed
from sansi.model.formats.gguf.names import architecture_of
from sansi.model.formats.gguf.tokens import tokenizer_metadata
from sansi.model.hub.repository import licence_in

QUANTIZATION_VERSION = 2


def metadata_of(config: ModelConfig, bundle: ModelBundle, name: str, file_type: int) -> dict[str, Any]:
    """All entries for a model. Raises SansiError for a configuration or a tokenizer that GGUF has no words for."""
    values = {
        "general.architecture": architecture_of(config),
        "general.type": "model",
        "general.name": name,
        "general.file_type": file_type,
        "general.quantization_version": QUANTIZATION_VERSION,
    }
    if licence := licence_in(bundle.files.get("README.md", b"").decode("utf-8", "replace")):
        values["general.license"] = licence
    return values | _shape(config) | _sampling(bundle) | _tokenizer(config, bundle)


def rope_factors(config: ModelConfig) -> list[float] | None:
    """The tensor that says how llama3 scaling changes frequencies; None where there is no such scaling."""
    scaling = config.rope_scaling
    if scaling is None or scaling.rope_type != "llama3":
        return None
    values = {
        "factor": scaling.factor,
        "low_freq_factor": scaling.low_freq_factor,
        "high_freq_factor": scaling.high_freq_factor,
        "original_max_position_embeddings": scaling.original_max_position_embeddings,
    }
    return llama3_factors(values, config.rope_theta, config.head_dim)


def _shape(config: ModelConfig) -> dict[str, Any]:
    _check_width(config)
    values: dict[str, Any] = {
        "vocab_size": config.vocab_size,
        "context_length": config.max_position_embeddings,
        "embedding_length": config.hidden_size,
        "block_count": config.num_hidden_layers,
        "feed_forward_length": config.intermediate_size,
        "attention.head_count": config.num_attention_heads,
        "attention.head_count_kv": config.num_key_value_heads,
        "attention.key_length": config.head_dim,
        "attention.value_length": config.head_dim,
        "attention.layer_norm_rms_epsilon": float(config.rms_norm_eps),
        "rope.freq_base": float(config.rope_theta),
        "rope.dimension_count": config.head_dim,
    }
    if config.is_moe:
        values |= _experts(config)
    if config.rope_scaling is not None:
        values |= _scaling(config.rope_scaling, config.max_position_embeddings)
    return {f"{architecture_of(config)}.{key}": value for key, value in values.items()}


def _check_width(config: ModelConfig) -> None:
    width = config.num_attention_heads * config.head_dim
    if architecture_of(config) == "qwen2" and width != config.hidden_size:
        told = f"hidden_size {config.hidden_size} is not num_attention_heads x head_dim ({width})"
        raise SansiError(f"{told}, and GGUF has no words for that in Qwen2's design")


def _experts(config: ModelConfig) -> dict[str, Any]:
    sparse = [config.is_sparse(layer) for layer in range(config.num_hidden_layers)]
    if not all(sparse):
        dense = sparse.index(False)
        raise SansiError(f"layer {dense} is dense among layers of experts, which GGUF has no words for in this design")
    if not config.norm_topk_prob:
        told = "programs that read GGUF scale the weights of a token's experts to sum to 1"
        raise SansiError(f'"norm_topk_prob" is false, but {told}: the file would be another model')
    return {
        "expert_count": config.num_experts,
        "expert_used_count": config.num_experts_per_tok,
        "expert_feed_forward_length": config.moe_intermediate_size,
    }


def _scaling(scaling: RopeScaling, context: int) -> dict[str, Any]:
    if scaling.rope_type == "llama3":
        if strange := [name for name, usual in LLAMA3.items() if getattr(scaling, name) != usual]:
            raise SansiError(
                f'"{strange[0]}" of rope_scaling is not {LLAMA3[strange[0]]}, and GGUF has no words for that'
            )
        return {"rope.scaling.original_context_length": scaling.original_max_position_embeddings}  # and `rope_factors`
    values: dict[str, Any] = {"type": scaling.rope_type, "factor": float(scaling.factor)}
    if scaling.rope_type == "yarn":
        strange = [name for name in ("mscale", "mscale_all_dim") if getattr(scaling, name) is not None]
        strange += [] if scaling.truncate else ["truncate"]
        if strange:
            raise SansiError(f'"{strange[0]}" of rope_scaling can not be told in a GGUF file; leave it out')
        values["original_context_length"] = scaling.original_max_position_embeddings or context
        if scaling.attention_factor is not None:
            values["attn_factor"] = scaling.attention_factor / (0.1 * math.log(scaling.factor) + 1)
        betas = {"yarn_beta_fast": scaling.beta_fast, "yarn_beta_slow": scaling.beta_slow}
        values |= {key: float(value) for key, value in betas.items() if value is not None}
    return {f"rope.scaling.{key}": value for key, value in values.items()}


def _sampling(bundle: ModelBundle) -> dict[str, Any]:
    """How to sample, for all programs, and all that generation_config.json says, for ours."""
    kept = bundle.generation_config
    values: dict[str, Any] = {GENERATION: json.dumps(dict(kept))} if kept else {}
    for theirs, ours in SAMPLING.items():
        value = kept.get(ours)
        if isinstance(value, int | float) and not isinstance(value, bool):
            whole = theirs == "top_k"
            values[f"general.sampling.{theirs}"] = Typed(int(value), "i") if whole else float(value)
    if kept.get("do_sample") is False:
        values["general.sampling.temp"] = 0.0
    return values


def _tokenizer(config: ModelConfig, bundle: ModelBundle) -> dict[str, Any]:
    values = tokenizer_metadata(bundle.files, config.vocab_size)
    if not values:
        return {"tokenizer.ggml.model": "none"}
    count = len(values["tokenizer.ggml.tokens"])
    if count != config.vocab_size:
        raise SansiError(f"the tokenizer has {count:,} ids, and the model {config.vocab_size:,}: not of one model")
    ends = bundle.generation_config.get("eos_token_id", config.eos_token_id)
    first = ends[0] if isinstance(ends, list | tuple) and ends else ends
    if isinstance(first, int):
        values["tokenizer.ggml.eos_token_id"] = first
    return values
