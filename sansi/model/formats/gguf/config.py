"""What the metadata of a GGUF file says of a model, as a config.json and a generation_config.json. Needs no torch."""

from __future__ import annotations

import math
import struct
from collections.abc import Mapping
from typing import Any

from sansi.base.errors import SansiError
from sansi.base.shown import show
from sansi.model.formats.gguf.blocks import F32
from sansi.model.formats.gguf.file import GgufFile
from sansi.model.formats.gguf.names import ARCHITECTURES, ROPE_FACTORS

GENERATION = "sansi.generation_config"
"""Our own entry: generation_config.json as it was, of which general.sampling.* can say a part only."""
SAMPLING = {
    "temp": "temperature",
    "top_k": "top_k",
    "top_p": "top_p",
    "min_p": "min_p",
    "penalty_repeat": "repetition_penalty",
}
"""general.sampling.*, and the fields of a generation_config.json."""
_SIZES = {
    "context_length": "max_position_embeddings",
    "embedding_length": "hidden_size",
    "block_count": "num_hidden_layers",
    "feed_forward_length": "intermediate_size",
    "attention.head_count": "num_attention_heads",
    "attention.head_count_kv": "num_key_value_heads",
    "attention.key_length": "head_dim",
    "rope.freq_base": "rope_theta",
    "attention.layer_norm_rms_epsilon": "rms_norm_eps",
    "expert_count": "num_experts",
    "expert_used_count": "num_experts_per_tok",
    "expert_feed_forward_length": "moe_intermediate_size",
}
_SCALING = {
    "factor": "factor",
    "original_context_length": "original_max_position_embeddings",
    "attn_factor": "attn_factor",
    "yarn_attn_factor": "attn_factor",
    "yarn_beta_fast": "beta_fast",
    "yarn_beta_slow": "beta_slow",
}
_HARMLESS = ("vocab_size", "tensor_data_layout", "pooling_type", "attention.causal", "rope.scaling.finetuned")
_LOOKED_AT = ("attention.value_length", "rope.dimension_count", "rope.scaling.type", "rope.scale_linear")
LLAMA3 = {"low_freq_factor": 1.0, "high_freq_factor": 4.0}
"""Of every Llama since 3.1; a GGUF file has the resulting factors alone."""
_LLAMA3_CONTEXT = 8192
_NO_SCALING = ("none", "")


def config_values(file: GgufFile) -> dict[str, Any]:
    """A config.json for the model in the file. Raises SansiError for what it can not say, as another architecture."""
    kind = str(file.metadata.get("general.architecture"))
    if file.metadata.get("general.type", "model") != "model":
        raise SansiError(f"{file.path} is no model but {show(file.metadata['general.type'])}; give the model's file")
    if kind not in ARCHITECTURES:
        known = ", ".join(ARCHITECTURES)
        raise SansiError(f"{file.path} holds a model of the architecture {show(kind)}; those that run here: {known}")
    given = {k.removeprefix(f"{kind}."): v for k, v in file.metadata.items() if k.startswith(f"{kind}.")}
    _check_known(file, kind, given)
    values = {
        "model_type": ARCHITECTURES[kind],
        **{ours: _shortest(given[name]) for name, ours in _SIZES.items() if name in given},
    }
    for name in ("embedding_length", "block_count", "attention.head_count", "attention.layer_norm_rms_epsilon"):
        if name not in given:
            raise SansiError(f'{file.path}: "{kind}.{name}" is missing in its metadata; convert the model again')
    values.setdefault("num_key_value_heads", values["num_attention_heads"])
    values.setdefault("head_dim", values["hidden_size"] // values["num_attention_heads"])
    values |= _experts(file, kind, values)
    values |= _shapes(file)
    if scaling := _rope_scaling(file, given, values):
        values["rope_scaling"] = scaling
    _check_heads(file, kind, given, values)
    return values | _token_ids(file.metadata)


def generation_values(metadata: Mapping[str, Any], stop_ids: list[int]) -> dict[str, Any]:
    """A generation_config.json: which ids end a turn, and how its makers advise to sample."""
    sampling = {ours: metadata.get(f"general.sampling.{name}") for name, ours in SAMPLING.items()}
    values: dict[str, Any] = {key: _shortest(value) for key, value in sampling.items() if value is not None}
    if values:
        values["do_sample"] = values.get("temperature", 1.0) > 0
    return values | ({"eos_token_id": stop_ids} if stop_ids else {})


def _shortest(value: Any) -> Any:
    """A float32 as the number that was meant: 0.6, not 0.6000000238."""
    return float(f"{value:.7g}") if isinstance(value, float) else value


def _check_known(file: GgufFile, kind: str, given: Mapping[str, Any]) -> None:
    known = {*_SIZES, *_HARMLESS, *_LOOKED_AT, *(f"rope.scaling.{name}" for name in _SCALING)}
    unknown = [name for name, value in given.items() if name not in known and value not in (0, 0.0, False, None)]
    if unknown:
        told = f'"{kind}.{unknown[0]}" is {show(given[unknown[0]])}'
        raise SansiError(f"{file.path}: {told}, which is of another design than those that run here")
    for name in (*_SIZES, "attention.value_length"):
        if isinstance(given.get(name), list | str | bool):
            told = f'"{kind}.{name}" is {show(given[name])}'
            raise SansiError(f"{file.path}: {told}, but a model here has the same number in each of its layers")


def _experts(file: GgufFile, kind: str, values: Mapping[str, Any]) -> dict[str, Any]:
    count = values.get("num_experts", 0)
    if kind != "qwen3moe":
        if count:
            raise SansiError(f'{file.path}: "{kind}.expert_count" is {count}; of mixtures, only qwen3moe runs here')
        return {"num_experts": 0}
    if not count:
        raise SansiError(f'{file.path}: "{kind}.expert_count" is missing in its metadata; convert the model again')
    width = values.get("moe_intermediate_size", 0) or file.tensors["blk.0.ffn_down_exps.weight"].shape[-1]
    dense = values.get("intermediate_size") or width * values.get("num_experts_per_tok", 1)
    return {"norm_topk_prob": True, "moe_intermediate_size": width, "intermediate_size": dense}


def _shapes(file: GgufFile) -> dict[str, Any]:
    """What the tensors say."""
    embedding = file.tensors.get("token_embd.weight")
    if embedding is None:
        raise SansiError(f"{file.path} has no token_embd.weight; download all parts of the file again")
    return {"vocab_size": embedding.shape[0], "tie_word_embeddings": "output.weight" not in file.tensors}


def _rope_scaling(file: GgufFile, given: Mapping[str, Any], values: Mapping[str, Any]) -> dict[str, Any] | None:
    kind = given.get("rope.scaling.type", "linear" if "rope.scale_linear" in given else "none")
    scaling = {
        ours: _shortest(given[f"rope.scaling.{n}"]) for n, ours in _SCALING.items() if f"rope.scaling.{n}" in given
    }
    if ROPE_FACTORS in file.tensors:
        return _llama3(file, given, values)
    if kind in _NO_SCALING or scaling.get("factor", given.get("rope.scale_linear", 1.0)) in (0.0, 1.0):
        return None
    if kind == "linear":
        return {"rope_type": "linear", "factor": scaling.get("factor", given.get("rope.scale_linear"))}
    return {"rope_type": kind, **scaling}  # of a type that is not known, the reader of config.json tells


def _llama3(file: GgufFile, given: Mapping[str, Any], values: Mapping[str, Any]) -> dict[str, Any]:
    """The scaling that has just these factors."""
    stored = file.tensors[ROPE_FACTORS]
    if stored.kind != F32:
        raise SansiError(
            f"{file.path}: {ROPE_FACTORS} is stored as {stored.kind.name}, not as F32; convert the model again"
        )
    found = list(struct.unpack(f"<{stored.shape[-1]}f", file.read(stored, 0, 1)))
    context = given.get("rope.scaling.original_context_length", _LLAMA3_CONTEXT)
    scaling = {
        "rope_type": "llama3",
        "factor": _shortest(max(found)),
        **LLAMA3,
        "original_max_position_embeddings": context,
    }
    theta, dim = float(values.get("rope_theta", 10_000.0)), int(values["head_dim"])
    expected = llama3_factors(scaling, theta, dim)
    if len(found) != len(expected) or any(
        not math.isclose(a, b, rel_tol=1e-4) for a, b in zip(found, expected, strict=True)
    ):
        raise SansiError(f"{file.path}: {ROPE_FACTORS} is no scaling of Llama 3.1's kind, the one that is known here")
    return scaling


def llama3_factors(scaling: Mapping[str, Any], theta: float, head_dim: int) -> list[float]:
    """By which the frequency of each pair is divided: 1 for those that turn fast, the factor for slow ones."""
    low, high, factor = scaling["low_freq_factor"], scaling["high_freq_factor"], scaling["factor"]
    context = scaling["original_max_position_embeddings"]
    factors = []
    for pair in range(head_dim // 2):
        turns = context / (2 * math.pi * theta ** (2 * pair / head_dim))
        share = min(max((turns - low) / (high - low), 0.0), 1.0)
        factors.append(1 / ((1 - share) / factor + share))
    return factors


def _check_heads(file: GgufFile, kind: str, given: Mapping[str, Any], values: Mapping[str, Any]) -> None:
    width = values["head_dim"]
    for name in ("attention.value_length", "rope.dimension_count"):
        if given.get(name, width) != width:
            raise SansiError(
                f'{file.path}: "{kind}.{name}" is {given[name]}, and only the width of a head, {width}, runs here'
            )


def _token_ids(metadata: Mapping[str, Any]) -> dict[str, Any]:
    keys = {"bos_token_id": "bos", "eos_token_id": "eos", "pad_token_id": "padding"}
    found = {ours: metadata.get(f"tokenizer.ggml.{name}_token_id") for ours, name in keys.items()}
    return {ours: value for ours, value in found.items() if type(value) is int and value < 2**31}
