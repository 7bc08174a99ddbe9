"""The shape of a model, in Hugging Face names, and the published shapes by name. Needs no torch."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from sansi.base.config import Config, config_to_dict, load_config
from sansi.base.errors import ConfigError, SansiError, did_you_mean
from sansi.model.hf_config import read_hf, write_hf
from sansi.model.presets import PRESETS, preset_of


@dataclass(frozen=True)
class RopeScaling(Config):
    """How a trained model's positions are stretched `factor` times.

    yarn: Peng et al. 2023, arXiv:2309.00071; the only one that Qwen3 uses. linear: every position divided by the factor
    (Chen et al. 2023, arXiv:2306.15595). llama3: slow pairs divided, fast ones left, a ramp between them (Llama 3.1).
    """

    factor: float
    """How many times longer the context becomes."""
    rope_type: Literal["yarn", "linear", "llama3"] = "yarn"
    """Which of the three."""
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
    low_freq_factor: float | None = None
    """llama3: pairs that turn less often than this in the trained context are slowed down `factor` times."""
    high_freq_factor: float | None = None
    """llama3: pairs that turn more often than this are left alone."""

    def problems(self) -> list[str]:
        found = [] if self.factor >= 1 else [f'"factor" must be at least 1, not {self.factor}']
        original = self.original_max_position_embeddings
        if original is not None and original < 1:
            found.append(f'"original_max_position_embeddings" must be positive, not {original}')
        fast, slow = self.beta_fast or 32.0, self.beta_slow or 1.0
        if fast < slow:
            found.append(f'"beta_fast" ({fast}) must not be below "beta_slow" ({slow})')
        return found + self._llama3_problems()

    def _llama3_problems(self) -> list[str]:
        low, high = self.low_freq_factor, self.high_freq_factor
        if self.rope_type != "llama3":
            given = [name for name in ("low_freq_factor", "high_freq_factor") if getattr(self, name) is not None]
            return [f'"{name}" is of the rope type "llama3", not "{self.rope_type}"' for name in given]
        if low is None or high is None or self.original_max_position_embeddings is None:
            needs = '"low_freq_factor", "high_freq_factor" and "original_max_position_embeddings"'
            return [f'the rope type "llama3" needs {needs}']
        return (
            []
            if 0 < low < high
            else [f'"high_freq_factor" ({high}) must be above "low_freq_factor" ({low}), both above 0']
        )


@dataclass(frozen=True)
class ModelConfig(Config):
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
    """YaRN or one of its kin, or None for plain RoPE."""
    max_position_embeddings: int = 32_768
    """Context length in tokens, before YaRN."""
    qk_norm: bool = True
    """RMSNorm on each head of queries and keys, as Qwen3 has; False: the neighbours, Llama and Qwen2."""
    attention_bias: bool = False
    """Queries, keys and values have biases, as in Qwen2."""
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
        """The published shape called `name` ("Qwen3-8B", "nano", …), in any case.

        Raises SansiError for an unknown name or field.
        """
        short = preset_of(name) if isinstance(name, str) else None
        if short is None:
            raise SansiError(f'unknown preset "{name}"{did_you_mean(name, PRESETS)}', param="preset")
        return load_config(cls, {**PRESETS[short], **overrides}, f"preset {short}")

    @classmethod
    def from_hf(cls, values: Mapping[str, Any], where: str = "config.json") -> ModelConfig:
        """Read a Hugging Face configuration, in the spelling of the hub or of transformers 5.

        Types are qwen3 and qwen3_moe, and their dense neighbours llama and qwen2.

        Raises ConfigError that lists every unknown key and every value that the model does not implement.
        """
        if not isinstance(values, Mapping):
            raise ConfigError(where, [f"a configuration is a mapping of names to values, not {type(values).__name__}"])
        read = read_hf(values, (field.name for field in dataclasses.fields(cls)))
        try:
            config = load_config(cls, read.fields, where) if read.fields else None
        except ConfigError as error:
            raise ConfigError(where, read.problems + error.problems) from error
        if read.problems or config is None:
            raise ConfigError(where, read.problems)
        return config

    def to_hf(self) -> dict[str, Any]:
        """A Hugging Face configuration in the spelling of the hub, which every transformers version reads."""
        return write_hf(config_to_dict(self))

    def replace(self, **changes: Any) -> ModelConfig:
        """A checked copy with other values, e.g. a raised `rope_theta`. Raises ConfigError like `preset`."""
        return load_config(type(self), {**_shallow(self), **changes}, "model configuration")

    def differences(self, other: ModelConfig) -> list[str]:
        """The fields in which the two differ, this one's value first; ids that other programs need do not count."""
        names = [field.name for field in dataclasses.fields(self) if not field.name.endswith("_token_id")]
        return [
            f"{name}: {mine!r} there, {theirs!r} here"
            for name in names
            if (mine := getattr(self, name)) != (theirs := getattr(other, name))
        ]

    @property
    def is_moe(self) -> bool:
        return any(self.is_sparse(layer) for layer in range(self.num_hidden_layers))

    @property
    def context_length(self) -> int:
        """Tokens that positions exist for; YaRN counts."""
        scaling = self.rope_scaling
        if scaling is None or scaling.rope_type != "yarn":  # the others are counted in max_position_embeddings
            return self.max_position_embeddings
        original = scaling.original_max_position_embeddings or self.max_position_embeddings
        return max(self.max_position_embeddings, int(original * scaling.factor))

    def is_sparse(self, layer: int) -> bool:
        """Whether layer `layer` (from 0) is a mixture of experts."""
        chosen = (layer + 1) % self.decoder_sparse_step == 0 and layer not in self.mlp_only_layers
        return chosen and self.num_experts > 0

    def num_parameters(self, embedding: bool = True) -> int:
        """Parameters of the model, a tied LM head counted once; without `embedding`, neither embedding nor LM head."""
        return self._count(self.num_experts, embedding)

    def num_active_parameters(self, embedding: bool = True) -> int:
        """Parameters that one token meets: all of them, less the experts it does not visit."""
        return self._count(self.num_experts_per_tok, embedding)

    def _count(self, experts: int, embedding: bool) -> int:
        hidden, heads, groups = self.hidden_size, self.num_attention_heads, self.num_key_value_heads
        attention = hidden * self.head_dim * (2 * heads + 2 * groups) + 2 * self.head_dim * self.qk_norm
        attention += self.head_dim * (heads + 2 * groups) * self.attention_bias
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
        sizes = (
            "vocab_size",
            "hidden_size",
            "intermediate_size",
            "num_hidden_layers",
            "num_attention_heads",
            "num_key_value_heads",
            "head_dim",
            "rms_norm_eps",
            "max_position_embeddings",
            "decoder_sparse_step",
        )
        found = [f'"{n}" must be positive, not {getattr(self, n)}' for n in sizes if getattr(self, n) <= 0]
        natural = ("initializer_range", "router_aux_loss_coef")
        found += [f'"{n}" must be 0 or more, not {getattr(self, n)}' for n in natural if getattr(self, n) < 0]
        if found:
            return found
        if self.num_attention_heads % self.num_key_value_heads:
            found.append(
                f'"num_attention_heads" ({self.num_attention_heads}) must be a multiple of '
                f'"num_key_value_heads" ({self.num_key_value_heads})'
            )
        if not self.rope_theta > 1:
            found.append(f'"rope_theta" must be above 1, not {self.rope_theta}')
        if self.head_dim % 2:
            found.append(f'"head_dim" must be even for RoPE, not {self.head_dim}')
        if self.num_experts > 0 and (self.attention_bias or not self.qk_norm):
            found.append(
                '"num_experts" needs "qk_norm" and no "attention_bias": no neighbour with experts is known here'
            )
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
