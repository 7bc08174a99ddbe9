"""The shape of a model, in Hugging Face names, and the published shapes by name. Needs no torch."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Literal

from sansi.base.config import check_config, config_to_dict, load_config
from sansi.base.errors import ConfigError, SansiError, did_you_mean


@dataclass(frozen=True)
class RopeScaling:
    """YaRN (Peng et al. 2023, arXiv:2309.00071): stretches the context of a trained model `factor` times."""

    factor: float
    """How many times longer the context becomes."""
    rope_type: Literal["yarn"] = "yarn"
    """The only scaling Qwen3 uses."""
    original_max_position_embeddings: int | None = None
    """Context length of training, in tokens; None: the model's `max_position_embeddings`."""
    attention_factor: float | None = None
    """Multiplies cos and sin; None: 0.1 ln(factor) + 1, as the paper says."""
    beta_fast: float | None = None
    """Dimensions that turn more often than this in the trained context are left alone; None: 32."""
    beta_slow: float | None = None
    """Dimensions that turn less often than this are interpolated fully; None: 1."""
    mscale: float | None = None
    """With `mscale_all_dim`: weight of ln(factor) in the numerator of the attention factor."""
    mscale_all_dim: float | None = None
    """With `mscale`: weight of ln(factor) in the denominator of the attention factor."""
    truncate: bool = True
    """Round the borders of the ramp to whole dimensions."""

    def problems(self) -> list[str]:
        found = [] if self.factor >= 1 else [f'"factor" must be at least 1, not {self.factor}']
        original = self.original_max_position_embeddings
        if original is not None and original < 1:
            found.append(f'"original_max_position_embeddings" must be positive, not {original}')
        fast, slow = self.beta_fast or 32.0, self.beta_slow or 1.0
        if fast < slow:
            found.append(f'"beta_fast" ({fast}) must not be below "beta_slow" ({slow})')
        return found


@dataclass(frozen=True)
class ModelConfig:
    """Everything that fixes the parameters and the forward pass of a model. `num_experts=0` is a dense model."""

    vocab_size: int
    """Rows of the embedding table, padding rows included."""
    hidden_size: int
    """Width of the residual stream."""
    intermediate_size: int
    """Width of the feed-forward layers that are not mixtures of experts."""
    num_hidden_layers: int
    """Decoder layers."""
    num_attention_heads: int
    """Query heads."""
    num_key_value_heads: int
    """Key and value heads, each shared by a group of query heads."""
    head_dim: int
    """Width of one head; need not be hidden_size / num_attention_heads."""
    rms_norm_eps: float = 1e-6
    """Added to the mean square in every RMSNorm."""
    rope_theta: float = 10_000.0
    """RoPE base."""
    rope_scaling: RopeScaling | None = None
    """YaRN, or None for plain RoPE."""
    max_position_embeddings: int = 32_768
    """Context length in tokens, before YaRN."""
    tie_word_embeddings: bool = False
    """The LM head is the embedding table."""
    initializer_range: float = 0.02
    """Standard deviation of fresh weights."""
    num_experts: int = 0
    """Experts of each sparse layer; 0: no layer is sparse."""
    num_experts_per_tok: int = 0
    """Experts that each token visits."""
    moe_intermediate_size: int = 0
    """Width of one expert."""
    norm_topk_prob: bool = False
    """The weights of a token's experts are scaled to sum to 1."""
    decoder_sparse_step: int = 1
    """Every n-th layer is sparse, counted from 1."""
    mlp_only_layers: tuple[int, ...] = ()
    """Layers (from 0) that stay dense whatever the step says."""
    router_aux_loss_coef: float = 0.001
    """Weight of the load-balancing loss in training."""
    bos_token_id: int | None = None
    """Carried for other programs; Sansi adds no start token."""
    eos_token_id: int | tuple[int, ...] | None = None
    """Carried for other programs; Sansi takes its stop ids from the codec."""
    pad_token_id: int | None = None
    """Carried for other programs; Sansi masks padding."""

    @classmethod
    def preset(cls, name: str, **overrides: Any) -> ModelConfig:
        """The published shape called `name` ("Qwen3-8B", "nano", …). Raises SansiError for an unknown name or field."""
        short = name.removeprefix("Qwen/")
        if short not in PRESETS:
            raise SansiError(f'unknown preset "{name}"{did_you_mean(short, PRESETS)}', param="preset")
        return load_config(cls, {**PRESETS[short], **overrides}, f"preset {short}")

    @classmethod
    def from_hf(cls, values: Mapping[str, Any], where: str = "config.json") -> ModelConfig:
        """Read a Hugging Face configuration of type qwen3 or qwen3_moe, in the spelling of the hub or of transformers 5.

        Raises ConfigError that lists every unknown key and every value that the model does not implement.
        """
        return _from_hf(cls, dict(values), where)

    def to_hf(self) -> dict[str, Any]:
        """A Hugging Face configuration in the spelling of the hub, which every transformers version reads."""
        return _to_hf(self)

    def replace(self, **changes: Any) -> ModelConfig:
        """A checked copy with other values, e.g. a raised `rope_theta`. Raises ConfigError like `preset`."""
        return load_config(type(self), {**_shallow(self), **changes}, "model configuration")

    @property
    def is_moe(self) -> bool:
        return any(self.is_sparse(layer) for layer in range(self.num_hidden_layers))

    @property
    def context_length(self) -> int:
        """Tokens that positions exist for; YaRN counts."""
        scaling = self.rope_scaling
        if scaling is None:
            return self.max_position_embeddings
        original = scaling.original_max_position_embeddings or self.max_position_embeddings
        return max(self.max_position_embeddings, int(original * scaling.factor))

    def is_sparse(self, layer: int) -> bool:
        """Whether layer `layer` (from 0) is a mixture of experts."""
        return (
            self.num_experts > 0 and layer not in self.mlp_only_layers and (layer + 1) % self.decoder_sparse_step == 0
        )

    def num_parameters(self, embedding: bool = True) -> int:
        """Parameters of the model, a tied LM head counted once; without `embedding`, neither embedding nor LM head."""
        return self._count(self.num_experts, embedding)

    def num_active_parameters(self, embedding: bool = True) -> int:
        """Parameters that one token meets: all of them, less the experts it does not visit."""
        return self._count(self.num_experts_per_tok, embedding)

    def _count(self, experts: int, embedding: bool) -> int:
        hidden, heads, groups = self.hidden_size, self.num_attention_heads, self.num_key_value_heads
        attention = hidden * self.head_dim * (2 * heads + 2 * groups) + 2 * self.head_dim
        dense = 3 * hidden * self.intermediate_size
        sparse = hidden * self.num_experts + experts * 3 * hidden * self.moe_intermediate_size
        total = hidden  # the last norm
        for layer in range(self.num_hidden_layers):
            total += attention + 2 * hidden + (sparse if self.is_sparse(layer) else dense)
        if embedding:
            total += self.vocab_size * hidden * (1 if self.tie_word_embeddings else 2)
        return total

    def problems(self) -> list[str]:
        """The impossible combinations, for `load_config`."""
        sizes = ("vocab_size", "hidden_size", "intermediate_size", "num_hidden_layers", "num_attention_heads")
        sizes += ("num_key_value_heads", "head_dim", "max_position_embeddings", "decoder_sparse_step", "rope_theta")
        found = [f'"{n}" must be positive, not {getattr(self, n)}' for n in sizes if getattr(self, n) <= 0]
        if found:
            return found
        if self.num_attention_heads % self.num_key_value_heads:
            found.append(
                f'"num_attention_heads" ({self.num_attention_heads}) must be a multiple of '
                f'"num_key_value_heads" ({self.num_key_value_heads})'
            )
        if self.head_dim % 2:
            found.append(f'"head_dim" must be even for RoPE, not {self.head_dim}')
        found += self.rope_scaling.problems() if self.rope_scaling else []
        return found + self._expert_problems()

    def _expert_problems(self) -> list[str]:
        found = [
            f'"mlp_only_layers" names layer {layer}, but layers go from 0 to {self.num_hidden_layers - 1}'
            for layer in self.mlp_only_layers
            if not 0 <= layer < self.num_hidden_layers
        ]
        if self.num_experts < 0:
            found.append(f'"num_experts" must not be negative, it is {self.num_experts}')
        if self.num_experts > 0 and not 0 < self.num_experts_per_tok <= self.num_experts:
            found.append(
                f'"num_experts_per_tok" ({self.num_experts_per_tok}) must be between 1 and '
                f'"num_experts" ({self.num_experts})'
            )
        if self.num_experts > 0 and self.moe_intermediate_size <= 0:
            found.append(f'"moe_intermediate_size" must be positive, not {self.moe_intermediate_size}')
        return found


def _shallow(config: ModelConfig) -> dict[str, Any]:
    return {field.name: getattr(config, field.name) for field in dataclasses.fields(config)}


# --- Hugging Face spellings ---------------------------------------------------------------------------------------

MODEL_TYPES = ("qwen3", "qwen3_moe")

# Keys that change the forward pass of other models; here only these values are implemented.
_FIXED_VALUES: Mapping[str, tuple[Any, ...]] = MappingProxyType(
    {
        "hidden_act": ("silu",),
        "attention_bias": (False,),
        "attention_dropout": (0, 0.0),
        "use_sliding_window": (False, None),
        "partial_rotary_factor": (1, 1.0, None),
        "quantization_config": (None,),
        "is_encoder_decoder": (False,),
        "add_cross_attention": (False,),
        "is_decoder": (False, True),
    }
)

# Book-keeping of other programs: none of these changes the forward pass of a causal language model.
_IGNORED = frozenset(
    [
        "architectures",
        "auto_map",
        "chunk_size_feed_forward",
        "dtype",
        "finetuning_task",
        "id2label",
        "label2id",
        "problem_type",
        "max_window_layers",
        "sliding_window",
        "model_type",
        "output_attentions",
        "output_hidden_states",
        "output_router_logits",
        "return_dict",
        "return_dict_in_generate",
        "sep_token_id",
        "decoder_start_token_id",
        "task_specific_params",
        "tokenizer_class",
        "prefix",
        "torch_dtype",
        "torchscript",
        "transformers_version",
        "use_bfloat16",
        "use_cache",
        "tie_encoder_decoder",
        "cross_attention_hidden_size",
        "pruned_heads",
        "tf_legacy_loss",
        "base_model_tp_plan",
        "base_model_pp_plan",
        "unsloth_version",
        "unsloth_fixed",
        "forced_bos_token_id",
        "forced_eos_token_id",
        "bad_words_ids",
        "begin_suppress_tokens",
        "suppress_tokens",
        "encoder_no_repeat_ngram_size",
        "exponential_decay_length_penalty",
        "diversity_penalty",
        "do_sample",
        "early_stopping",
        "length_penalty",
        "max_length",
        "min_length",
        "no_repeat_ngram_size",
        "num_beam_groups",
        "num_beams",
        "num_return_sequences",
        "output_scores",
        "remove_invalid_values",
        "repetition_penalty",
        "temperature",
        "top_k",
        "top_p",
        "typical_p",
    ]
)

_ROPE_KEYS = frozenset({"rope_theta", "partial_rotary_factor", "type"})


def _from_hf(cls: type[ModelConfig], values: dict[str, Any], where: str) -> ModelConfig:
    model_type = values.get("model_type")
    if model_type not in MODEL_TYPES:
        near = did_you_mean(str(model_type), MODEL_TYPES)
        raise ConfigError(where, [f'"model_type" is {model_type!r}, which Sansi does not implement{near}'])
    problems = [
        f'"{key}" is {values[key]!r}, but only {allowed[0]!r} is implemented'
        for key, allowed in _FIXED_VALUES.items()
        if key in values and values[key] not in allowed
    ]
    if set(values.get("layer_types") or ()) - {"full_attention"}:
        problems.append('"layer_types" asks for more than "full_attention", which is all that is implemented')
    values = _one_spelling(values, model_type, problems)
    known = {field.name for field in dataclasses.fields(cls)}
    ignored = _IGNORED | _FIXED_VALUES.keys() | {"layer_types"}
    arguments = {k: v for k, v in values.items() if k not in ignored and not k.startswith("_")}
    problems += [f'unknown key "{key}"{did_you_mean(key, known | ignored)}' for key in arguments if key not in known]
    arguments = {key: value for key, value in arguments.items() if key in known}
    try:
        config = load_config(cls, arguments, where)
    except ConfigError as error:
        raise ConfigError(where, problems + error.problems) from error
    if problems:
        raise ConfigError(where, problems)
    return config


def _one_spelling(values: dict[str, Any], model_type: str, problems: list[str]) -> dict[str, Any]:
    """Translate to the field names of ModelConfig, and fill what transformers fills when it is left out."""
    values = dict(values)
    if "num_local_experts" in values:
        values.setdefault("num_experts", values["num_local_experts"])
        if values.pop("num_local_experts") != values["num_experts"]:
            problems.append('"num_local_experts" and "num_experts" differ; keep one of them')
    if "rope_parameters" in values and values.get("rope_scaling"):
        problems.append('"rope_parameters" and "rope_scaling" are two spellings of one thing; keep one of them')
    rope = values.pop("rope_parameters", None) or values.pop("rope_scaling", None) or {}
    values.pop("rope_scaling", None)
    if rope.get("rope_theta") is not None:
        values["rope_theta"] = rope["rope_theta"]
    values["rope_scaling"] = _scaling(rope, problems)
    if values.get("mlp_only_layers", ()) is None:
        values["mlp_only_layers"] = ()
    heads = values.get("num_attention_heads")
    if values.get("num_key_value_heads", 0) is None:
        values["num_key_value_heads"] = heads
    if values.get("head_dim") is None and heads and "hidden_size" in values:
        # transformers: Qwen3Config has its own default, Qwen3MoeConfig has none and derives it
        values["head_dim"] = 128 if model_type == "qwen3" else values["hidden_size"] // heads
    if model_type == "qwen3_moe" and "num_experts" not in values:
        problems.append('"num_experts" is missing')
    return values


def _scaling(rope: Mapping[str, Any], problems: list[str]) -> dict[str, Any] | None:
    kind = rope.get("rope_type", rope.get("type", "default"))
    if rope.get("partial_rotary_factor") not in (None, 1, 1.0):
        problems.append(f'"partial_rotary_factor" is {rope["partial_rotary_factor"]!r}, but only 1.0 is implemented')
    rest = {key: value for key, value in rope.items() if key not in _ROPE_KEYS}
    if kind == "default":
        rest.pop("rope_type", None)
        problems += [
            f'"{key}" is set, but the rope type is "default"' for key, value in rest.items() if value is not None
        ]
        return None
    if kind != "yarn":
        problems.append(f'rope type "{kind}" is not implemented{did_you_mean(str(kind), ("default", "yarn"))}')
        return None
    return {**rest, "rope_type": "yarn"}


def _to_hf(config: ModelConfig) -> dict[str, Any]:
    check_config(config, "model configuration")
    values = config_to_dict(config)
    if config.rope_scaling is not None:
        values["rope_scaling"] = {k: v for k, v in values["rope_scaling"].items() if v is not None}
    values["mlp_only_layers"] = list(config.mlp_only_layers)
    if isinstance(config.eos_token_id, tuple):
        values["eos_token_id"] = list(config.eos_token_id)
    moe = config.num_experts > 0
    if not moe:
        for key in _MOE_KEYS:
            del values[key]
    return {
        "architectures": ["Qwen3MoeForCausalLM" if moe else "Qwen3ForCausalLM"],
        "model_type": "qwen3_moe" if moe else "qwen3",
        "attention_bias": False,
        "attention_dropout": 0.0,
        "hidden_act": "silu",
        "max_window_layers": config.num_hidden_layers,
        "sliding_window": None,
        "use_cache": True,
        "use_sliding_window": False,
        **values,
    }


_MOE_KEYS = (
    "num_experts",
    "num_experts_per_tok",
    "moe_intermediate_size",
    "norm_topk_prob",
    "decoder_sparse_step",
    "mlp_only_layers",
    "router_aux_loss_coef",
)


# --- Published shapes (model cards of Qwen3; Qwen3 technical report, arXiv:2505.09388, tables 1 and 2) ----------------


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
        "Qwen3-0.6B": _qwen3(28, 16, 8, 1024, 3072, tied=True),
        "Qwen3-1.7B": _qwen3(28, 16, 8, 2048, 6144, tied=True),
        "Qwen3-4B": _qwen3(36, 32, 8, 2560, 9728, tied=True),
        "Qwen3-8B": _qwen3(36, 32, 8, 4096, 12288),
        "Qwen3-14B": _qwen3(40, 40, 8, 5120, 17408),
        "Qwen3-32B": _qwen3(64, 64, 8, 5120, 25600),
        "Qwen3-30B-A3B": _qwen3(48, 32, 4, 2048, 6144, **_experts(768)),
        "Qwen3-235B-A22B": _qwen3(94, 64, 4, 4096, 12288, **_experts(1536)),
        "nano": {
            "vocab_size": 512,
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
    }
)
