"""How weights lie in memory, by the name of the format: bits, and what they forbid in the way of splitting."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from sansi.base.errors import SansiError, did_you_mean
from sansi.model.config import ModelConfig


@dataclass(frozen=True)
class Precision:
    """A format of weights."""

    name: str
    bits: float
    """Per weight of a projection or an expert, scales and zero points counted."""
    outer_bits: float = 16.0
    """Per weight of embedding and LM head."""
    block: int = 1
    """Inputs or outputs that may not be torn apart when a matrix is split."""
    products: str = "bf16"
    """What the units multiply: bf16, fp8 or int8."""
    separate_head: bool = False
    """A tied model gets an LM head of its own, as the official FP8 files have."""
    engines: tuple[str, ...] = ("vllm", "sglang")
    """Who opens it."""


_LOCAL = ("llama.cpp", "ollama", "lmstudio")
_ALL = (
    Precision("fp32", 32, 32, engines=("vllm", "sglang", "sansi")),
    Precision("bf16", 16, engines=("vllm", "sglang", "sansi", "mlx", *_LOCAL)),
    Precision("fp8", 8 + 32 / 128**2, block=128, products="fp8", separate_head=True),
    Precision("awq", 4 + 20 / 128, block=128),
    Precision("gptq-int4", 4 + 20 / 128, block=128),
    Precision("gptq-int8", 8 + 24 / 128, block=128),
    Precision("fp4", 4.5, block=16, products="fp8"),
    Precision("q8_0", 8.5, 8.5, 32, engines=_LOCAL),
    Precision("q6_k", 6.5625, 6.5625, 256, engines=_LOCAL),
    Precision("q5_k_m", 5.66, 6.03, 256, engines=_LOCAL),
    Precision("q4_k_m", 4.83, 5.53, 256, engines=_LOCAL),
    Precision("q4_0", 4.5, 5.53, 32, engines=_LOCAL),
    Precision("q3_k_m", 3.9, 5.0, 256, engines=_LOCAL),
    Precision("mlx-4bit", 4.5, 4.5, 64, engines=("mlx", "lmstudio")),
    Precision("mlx-5bit", 5.5, 5.5, 64, engines=("mlx", "lmstudio")),
    Precision("mlx-6bit", 6.5, 6.5, 64, engines=("mlx", "lmstudio")),
    Precision("mlx-8bit", 8.5, 8.5, 64, engines=("mlx", "lmstudio")),
    Precision("int8", 8.5, 8.5, 32, products="int8", engines=("sansi",)),
    Precision("int4", 4.5, 8.5, 32, products="int8", engines=("sansi",)),
)
PRECISIONS: Mapping[str, Precision] = MappingProxyType({precision.name: precision for precision in _ALL})
_ALIASES = {
    "bfloat16": "bf16",
    "fp16": "bf16",
    "float16": "bf16",
    "float32": "fp32",
    "float8": "fp8",
    "awq-int4": "awq",
    "w8a16": "gptq-int8",
    "nvfp4": "fp4",
}


def precision_called(name: str) -> Precision:
    """The format of that name, in any case and with - for _. Raises SansiError with the nearest."""
    plain = name.lower()
    for spelt in (plain, plain.replace("-", "_"), plain.replace("_", "-"), _ALIASES.get(plain.replace("_", "-"), "")):
        if spelt in PRECISIONS:
            return PRECISIONS[spelt]
    raise SansiError(f'unknown format of weights "{name}"{did_you_mean(plain, PRECISIONS)}', param="dtype")


def weight_bytes(config: ModelConfig, precision: Precision) -> int:
    """Bytes of all weights as the engine holds them; norms and routers stay in bfloat16."""
    return int(sum(_parts(config, precision)))


def _parts(config: ModelConfig, precision: Precision) -> tuple[float, float, float]:
    """Bytes of matrices, of embedding and LM head, and of what is never quantised."""
    table = config.vocab_size * config.hidden_size
    tables = 1 if config.tie_word_embeddings and not precision.separate_head else 2
    kept = kept_parameters(config)
    matrices = config.num_parameters(embedding=False) - kept
    full = max(precision.bits, 16.0)
    return matrices * precision.bits / 8, tables * table * precision.outer_bits / 8, kept * full / 8


def kept_parameters(config: ModelConfig) -> int:
    """Of norms and routers."""
    layers, sparse = config.num_hidden_layers, sum(config.is_sparse(n) for n in range(config.num_hidden_layers))
    norms = config.hidden_size * (2 * layers + 1) + 2 * config.head_dim * layers
    return norms + sparse * config.hidden_size * config.num_experts


def legal_splits(config: ModelConfig, precision: Precision, most: int = 16) -> list[int]:
    """Tensor-parallel sizes up to `most` that heads, feed-forward layers and the format's blocks divide by.

    A block that is torn apart ends a start of vLLM with an error for FP8, and for GPTQ only at the first request.
    """
    return [size for size in range(1, most + 1) if not why_not_split(config, precision, size)]


def why_not_split(config: ModelConfig, precision: Precision, size: int) -> str | None:
    """Why tensor parallelism over `size` devices is not possible; None: it is."""
    heads, groups = config.num_attention_heads, config.num_key_value_heads
    if heads % size:
        return f"{heads} query heads do not divide by {size}"
    if groups % size and size % groups:
        return f"{groups} key and value heads neither divide by {size} nor divide it"
    for name, width in (
        ("expert", config.moe_intermediate_size if config.is_moe else 0),
        ("feed-forward layer", 0 if config.is_moe else config.intermediate_size),
        ("attention output", heads * config.head_dim),
    ):
        if width % size:
            return f"the width of the {name} ({width:,}) does not divide by {size}"
        if width and size > 1 and (width // size) % precision.block:
            part = f"{width // size:,} of the {name}'s {width:,} a device"
            return f"{part} are no multiple of the {precision.block} that share a scale in {precision.name}"
    return None
