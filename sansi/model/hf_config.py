"""Hugging Face's `config.json` of the types qwen3 and qwen3_moe, to and from the fields of ModelConfig.

Two spellings are read: the hub's (`rope_theta`, `rope_scaling`, `num_experts`) and that of transformers 5
(`rope_parameters`, `num_local_experts`). The hub's is written, because every version of transformers reads it.
"""

from __future__ import annotations

import reprlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from sansi.base.errors import did_you_mean

MODEL_TYPES = ("qwen3", "qwen3_moe")

# Keys that change the forward pass of other models; of these the first value alone is implemented, or its synonyms.
_FIXED_VALUES: Mapping[str, tuple[Any, ...]] = MappingProxyType(
    {
        "hidden_act": ("silu",),
        "attention_bias": (False, None),
        "attention_dropout": (0.0, None),
        "use_sliding_window": (False, None),
        "partial_rotary_factor": (1.0, None),
        "quantization_config": (None,),
        "is_encoder_decoder": (False,),
        "add_cross_attention": (False,),
    }
)

# Book-keeping of other programs: none of these changes the forward pass of a causal language model.
# fmt: off
_IGNORED = frozenset({
    "architectures", "auto_map", "bad_words_ids", "base_model_pp_plan", "base_model_tp_plan",
    "begin_suppress_tokens", "chunk_size_feed_forward", "cross_attention_hidden_size", "decoder_start_token_id",
    "diversity_penalty", "do_sample", "dtype", "early_stopping", "encoder_no_repeat_ngram_size",
    "exponential_decay_length_penalty", "finetuning_task", "forced_bos_token_id", "forced_eos_token_id", "id2label",
    "is_decoder", "label2id", "layer_types", "length_penalty", "max_length", "max_window_layers", "min_length",
    "model_type", "no_repeat_ngram_size", "num_beam_groups", "num_beams", "num_return_sequences",
    "output_attentions", "output_hidden_states", "output_router_logits", "output_scores", "prefix", "problem_type",
    "pruned_heads", "remove_invalid_values", "repetition_penalty", "return_dict", "return_dict_in_generate",
    "sep_token_id", "sliding_window", "suppress_tokens", "task_specific_params", "temperature", "tf_legacy_loss",
    "tie_encoder_decoder", "tokenizer_class", "top_k", "top_p", "torch_dtype", "torchscript",
    "transformers_version", "typical_p", "unsloth_fixed", "unsloth_version", "use_bfloat16", "use_cache",
})
# fmt: on

_OTHER_SPELLINGS = frozenset({"rope_parameters", "num_local_experts"})
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
    model_type = values.get("model_type")
    if model_type not in MODEL_TYPES:
        near = did_you_mean(str(model_type), MODEL_TYPES)
        return HfValues({}, [f'"model_type" is {reprlib.repr(model_type)}, which Sansi does not implement{near}'])
    problems = _fixed_problems(values)
    fields = dict(values)
    _translate_experts(fields, problems)
    _translate_rope(fields, problems)
    _fill_defaults(fields)
    known = set(known)
    candidates = known | _FIXED_VALUES.keys() | _OTHER_SPELLINGS
    unknown = [k for k in fields if k not in candidates | _IGNORED and not k.startswith("_")]
    problems += [f'unknown key "{key}"{did_you_mean(key, candidates)}' for key in unknown]
    return HfValues({key: value for key, value in fields.items() if key in known}, problems)


def write_hf(fields: Mapping[str, Any]) -> dict[str, Any]:
    """The config.json for the fields of a ModelConfig, as plain values."""
    sparse = fields["num_experts"] > 0
    values = {key: value for key, value in fields.items() if sparse or key not in _MOE_FIELDS}
    values = {key: list(value) if isinstance(value, tuple) else value for key, value in values.items()}
    if values["rope_scaling"] is not None:
        values["rope_scaling"] = {k: v for k, v in values["rope_scaling"].items() if v is not None}
    return {
        "architectures": ["Qwen3MoeForCausalLM" if sparse else "Qwen3ForCausalLM"],
        "model_type": "qwen3_moe" if sparse else "qwen3",
        "attention_bias": False,
        "attention_dropout": 0.0,
        "hidden_act": "silu",
        "max_window_layers": fields["num_hidden_layers"],
        "sliding_window": None,
        "use_cache": True,
        "use_sliding_window": False,
        **values,
    }


def _fixed_problems(values: Mapping[str, Any]) -> list[str]:
    problems = [
        f'"{key}" is {reprlib.repr(values[key])}, but only {allowed[0]!r} is implemented'
        for key, allowed in _FIXED_VALUES.items()
        if key in values and values[key] not in allowed
    ]
    layer_types = values.get("layer_types") or ()
    if not isinstance(layer_types, list | tuple) or any(kind != "full_attention" for kind in layer_types):
        problems.append('"layer_types" asks for more than "full_attention", which is all that is implemented')
    return problems


def _translate_experts(fields: dict[str, Any], problems: list[str]) -> None:
    local = fields.pop("num_local_experts", None)
    if local is not None and fields.setdefault("num_experts", local) != local:
        problems.append('"num_local_experts" and "num_experts" differ; keep one of them')
    if fields["model_type"] == "qwen3_moe" and "num_experts" not in fields:
        problems.append('"num_experts" is missing')


def _translate_rope(fields: dict[str, Any], problems: list[str]) -> None:
    old, new = fields.pop("rope_scaling", None), fields.pop("rope_parameters", None)
    if old and new:
        problems.append('"rope_parameters" and "rope_scaling" are two spellings of one thing; keep one of them')
    rope = new or old or {}
    if not isinstance(rope, Mapping):
        problems.append(f'"rope_scaling" must be a mapping, not {reprlib.repr(rope)}')
        return
    scaling = dict(rope)
    if scaling.get("rope_theta") is not None:
        fields["rope_theta"] = scaling["rope_theta"]
    if scaling.get("partial_rotary_factor") not in _FIXED_VALUES["partial_rotary_factor"]:
        problems.append(f'"partial_rotary_factor" is {scaling["partial_rotary_factor"]!r}, but only 1.0 is implemented')
    kind = scaling.get("rope_type", scaling.get("type", "default"))
    for key in ("rope_theta", "partial_rotary_factor", "type", "rope_type"):
        scaling.pop(key, None)
    if kind == "yarn":
        fields["rope_scaling"] = {**scaling, "rope_type": "yarn"}
    elif kind == "default":
        extra = [key for key, value in scaling.items() if value is not None]
        problems += [f'"{key}" is set, but the rope type is "default"' for key in extra]
    else:
        near = did_you_mean(str(kind), ("default", "yarn"))
        problems.append(f'"rope_type" is {reprlib.repr(kind)}, which is not implemented{near}')


def _fill_defaults(fields: dict[str, Any]) -> None:
    """What transformers makes of keys that are null or left out, where ModelConfig demands a value."""
    heads, hidden = fields.get("num_attention_heads"), fields.get("hidden_size")
    if fields.get("mlp_only_layers", ()) is None:
        del fields["mlp_only_layers"]
    if fields.get("num_key_value_heads", 0) is None:
        fields["num_key_value_heads"] = heads
    if fields.get("head_dim") is None and isinstance(heads, int) and isinstance(hidden, int) and heads > 0:
        # Qwen3Config has a default of its own, Qwen3MoeConfig has none and derives it.
        fields["head_dim"] = 128 if fields["model_type"] == "qwen3" else hidden // heads
