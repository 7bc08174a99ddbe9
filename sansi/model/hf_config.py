"""Hugging Face's `config.json` of the types qwen3, qwen3_moe, llama and qwen2, to and from the fields of ModelConfig.

Two spellings are read: the hub's (`rope_theta`, `rope_scaling`, `num_experts`) and that of transformers 5
(`rope_parameters`, `num_local_experts`). The hub's is written, because every version of transformers reads it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Set
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from sansi.base.errors import nearest
from sansi.base.shown import show
from sansi.model.hf_refusals import MODEL_TYPES as MODEL_TYPES
from sansi.model.hf_refusals import why_not_ours
from sansi.model.hf_rope import read_rope, write_rope

# Keys that change the forward pass of other models; of these the first value alone is implemented, or its synonyms.
_FIXED_VALUES: Mapping[str, tuple[Any, ...]] = MappingProxyType(
    {
        "hidden_act": ("silu", "swish"),
        "attention_bias": (False, None),
        "qkv_bias": (False, None),
        "mlp_bias": (False, None),
        "use_qk_norm": (True, None),
        "attention_dropout": (0.0, None),
        "partial_rotary_factor": (1.0, None),
        "shared_expert_intermediate_size": (0, None),
        "num_shared_experts": (0, None),
        "n_shared_experts": (0, None),
        "dual_chunk_attention_config": (None,),
        "attention_chunk_size": (None,),
        "is_causal": (True, None),
        "use_bidirectional_attention": (False, None),
        "use_mrope": (False, None),
        "is_encoder_decoder": (False, None),
        "add_cross_attention": (False, None),
    }
)
_ADVICE = MappingProxyType(
    {"dual_chunk_attention_config": "config.json as it was published has none, and reaches 262,144 tokens"}
)
_OF_TYPES: Mapping[str, Mapping[str, tuple[Any, ...]]] = MappingProxyType(
    {
        "llama": {"use_qk_norm": (False, None), "is_llama_config": (True, None), "rope_interleaved": (False, None)},
        "qwen2": {"use_qk_norm": (False, None), "attention_bias": (True, None), "qkv_bias": (True, None)},
    }
)
"""What differs in the neighbours."""
_ARCHITECTURES = MappingProxyType({"qwen3": "Qwen3", "qwen3_moe": "Qwen3Moe", "llama": "Llama", "qwen2": "Qwen2"})
_SWITCHES = ("qk_norm", "attention_bias")
"""Fields that the type stands for; no config.json has them as we do."""
_WINDOW = ("use_sliding_window", "sliding_window", "max_window_layers", "layer_types")

# Book-keeping of other programs: none of these changes the forward pass of a causal language model.
# fmt: off
_IGNORED = frozenset({
    "architectures", "auto_map", "bad_words_ids", "base_model_pp_plan", "base_model_tp_plan",
    "attn_implementation", "cache_implementation", "gradient_checkpointing", "keys_to_ignore_at_inference",
    "model_max_length", "name_or_path", "num_labels", "padding_side",
    "compression_config", "quantization", "quantization_config",  # looked at before
    "begin_suppress_tokens", "chunk_size_feed_forward", "cross_attention_hidden_size", "decoder_start_token_id",
    "diversity_penalty", "do_sample", "dtype", "early_stopping", "encoder_no_repeat_ngram_size",
    "exponential_decay_length_penalty", "finetuning_task", "forced_bos_token_id", "forced_eos_token_id", "id2label",
    "is_decoder", "label2id", "length_penalty", "max_length", "min_length",
    "model_type", "no_repeat_ngram_size", "num_beam_groups", "num_beams", "num_return_sequences",
    "pretraining_tp", "transformers.js_config",  # of Llama and SmolLM2
    "output_attentions", "output_hidden_states", "output_router_logits", "output_scores", "prefix", "problem_type",
    "pruned_heads", "remove_invalid_values", "repetition_penalty", "return_dict", "return_dict_in_generate",
    "sep_token_id", "suppress_tokens", "task_specific_params", "temperature", "tf_legacy_loss",
    "tie_encoder_decoder", "tokenizer_class", "top_k", "top_p", "torch_dtype", "torchscript",
    "transformers_version", "typical_p", "unsloth_fixed", "unsloth_version", "use_bfloat16", "use_cache",
})
# fmt: on

OTHER_SPELLINGS = frozenset({"rope_parameters", "num_local_experts"})
_MOE_FIELDS = (
    "num_experts",
    "num_experts_per_tok",
    "moe_intermediate_size",
    "norm_topk_prob",
    "decoder_sparse_step",
    "mlp_only_layers",
    "router_aux_loss_coef",
)


@dataclass(frozen=True)
class HfValues:
    """What a config.json says, in the names of ModelConfig."""

    fields: dict[str, Any]
    """Values by field; their types are not checked yet."""
    problems: list[str]
    """Unknown keys, and values that are not implemented."""


def read_hf(values: Mapping[str, Any], known: Iterable[str]) -> HfValues:
    """Translate a config.json; `known` are the fields of ModelConfig."""
    if refusal := why_not_ours(values):
        return HfValues({}, [refusal])
    problems = _fixed_problems(values) + _window_problems(values)
    fields = {key: value for key, value in values.items() if key not in (*_WINDOW, *_SWITCHES)}
    kind = values["model_type"]
    fields |= {"qk_norm": kind.startswith("qwen3"), "attention_bias": kind == "qwen2"}
    _translate_experts(fields, problems)
    read_rope(fields, problems)
    _fill_defaults(fields)
    known = set(known)
    problems += _unknown_keys(fields, known | _fixed(kind).keys())
    return HfValues({key: value for key, value in fields.items() if key in known}, problems)


def _unknown_keys(fields: Mapping[str, Any], known: Set[str]) -> list[str]:
    candidates = known | OTHER_SPELLINGS | {*_WINDOW}
    unknown = [key for key in fields if key not in candidates | _IGNORED and not key.startswith("_")]
    near = {key: nearest(key, candidates | _IGNORED) for key in unknown}
    problems = [f'unknown key "{key}"; did you mean "{word}"?' for key, word in near.items() if word]
    if strange := [key for key, word in near.items() if word is None]:
        names = ", ".join(f'"{key[:64]}"' for key in strange[:5])
        more = f" and {len(strange) - 5} more" if len(strange) > 5 else ""
        problems.append(f"unknown: {names}{more}; what another design needs is not here: remove what changes no answer")
    return problems


def write_hf(fields: Mapping[str, Any]) -> dict[str, Any]:
    """The config.json for the fields of a ModelConfig, as plain values."""
    sparse = fields["num_experts"] > 0
    values = {key: value for key, value in fields.items() if sparse or key not in _MOE_FIELDS}
    values = {key: list(value) if isinstance(value, tuple) else value for key, value in values.items()}
    if values["rope_scaling"] is not None:
        values["rope_scaling"] = write_rope(values["rope_scaling"])
    for name in _SWITCHES:
        del values[name]
    if fields["qk_norm"]:
        kind = "qwen3_moe" if sparse else "qwen3"
    else:
        kind = "qwen2" if fields["attention_bias"] else "llama"
    windows = {"max_window_layers": fields["num_hidden_layers"], "sliding_window": None, "use_sliding_window": False}
    return {
        "architectures": [f"{_ARCHITECTURES[kind]}ForCausalLM"],
        "model_type": kind,
        **({} if kind == "qwen2" else {"attention_bias": False}),
        "attention_dropout": 0.0,
        "hidden_act": "silu",
        **({"mlp_bias": False} if kind == "llama" else windows),
        "use_cache": True,
        **values,
    }


def _fixed(kind: str) -> dict[str, tuple[Any, ...]]:
    return {**_FIXED_VALUES, **_OF_TYPES.get(kind, {})}


def _fixed_problems(values: Mapping[str, Any]) -> list[str]:
    return [
        f'"{key}" is {show(values[key])}, but only {show(allowed[0])} is implemented'
        + (f": {_ADVICE[key]}" if key in _ADVICE else "")
        for key, allowed in _fixed(values["model_type"]).items()
        if key in values and values[key] not in allowed
    ]


def _window_problems(values: Mapping[str, Any]) -> list[str]:
    """A sliding window is none where transformers makes no layer slide, or where no text is longer than it."""
    types = values.get("layer_types")
    if types is not None:
        if isinstance(types, list | tuple) and all(kind == "full_attention" for kind in types):
            return []
        return ['"layer_types" asks for more than "full_attention", which is all that is implemented']
    if values.get("use_sliding_window") in (False, None):
        return []
    window, first = values.get("sliding_window", 4096), values.get("max_window_layers", 28)
    layers, longest = values.get("num_hidden_layers"), values.get("max_position_embeddings", 32_768)
    slides_late = values["model_type"] in ("qwen3", "qwen2")  # in qwen3_moe all layers slide
    late = slides_late and type(first) is type(layers) is int and first >= layers  # type: ignore[operator]
    wide = type(window) is type(longest) is int and window >= longest and not values.get("rope_scaling")
    if values["use_sliding_window"] is True and (window is None or late or wide):
        return []
    told = f"sliding_window {show(window)}, from layer {show(first) if slides_late else 0}"
    return [f'"use_sliding_window" asks for windows of attention ({told}), and only full attention is implemented']


def _translate_experts(fields: dict[str, Any], problems: list[str]) -> None:
    local = fields.pop("num_local_experts", None)
    if local is not None and fields.setdefault("num_experts", local) != local:
        problems.append('"num_local_experts" and "num_experts" differ; keep one of them')
    if fields["model_type"] == "qwen3_moe" and "num_experts" not in fields:
        problems.append('"num_experts" is missing')
    if fields["model_type"] != "qwen3_moe" and fields.get("num_experts"):
        told = f'"num_experts" is {fields["num_experts"]!r:.20}, but "{fields["model_type"]}" is dense'
        problems.append(f'{told}; write "qwen3_moe"')


def _fill_defaults(fields: dict[str, Any]) -> None:
    """What transformers makes of keys that are null or left out, where ModelConfig demands a value."""
    heads, hidden = fields.get("num_attention_heads"), fields.get("hidden_size")
    if fields.get("mlp_only_layers", ()) is None:
        del fields["mlp_only_layers"]
    if fields.get("num_key_value_heads", 0) is None:
        fields["num_key_value_heads"] = heads
    if fields.get("head_dim") is None and isinstance(heads, int) and isinstance(hidden, int) and heads > 0:
        # Qwen3Config has a default of its own, the others have none and derive it.
        fields["head_dim"] = 128 if fields["model_type"] == "qwen3" else hidden // heads
