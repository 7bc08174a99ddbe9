"""Where the memory of each device goes."""

from __future__ import annotations

from dataclasses import dataclass

from sansi.deploy.plan.devices import Device
from sansi.deploy.plan.precision import weight_bytes
from sansi.deploy.plan.work import Work

TRANSFORMERS_OVERHEAD = 35 * 2**20
"""What the official benchmark shows beside weights and cache: 33 to 48 MiB."""
STEP_TOKENS = 8192
"""Of a prompt that vLLM and SGLang read at once."""
RUNTIME = {"server": 1.25 * 2**30, "gpu": 0.6 * 2**30, "mac": 0.25 * 2**30, "phone": 0.1 * 2**30, "cpu": 0.1 * 2**30}
"""Of the runtime itself: CUDA's context, libraries, communication buffers. Engines differ; assumed, not measured."""
GRAPHS = 1.0 * 2**30
"""Of CUDA graphs for the usual batch sizes. vLLM counts them within its share from version 0.21 on. Assumed."""


@dataclass(frozen=True)
class Memory:
    """Bytes on each device."""

    weights: int
    cache: int
    activations: int
    graphs: int
    runtime: int
    usable: int
    """Of the device, as its engines take it by default."""

    @property
    def total(self) -> int:
        return self.weights + self.cache + self.activations + self.graphs + self.runtime

    @property
    def fits(self) -> bool:
        return self.total <= self.usable

    @property
    def left(self) -> int:
        """Below 0: so much is missing."""
        return self.usable - self.total


def serving_memory(work: Work, device: Device, tp: int, positions: int, concurrency: int, pp: int = 1) -> Memory:
    """For `positions` tokens in the cache, over `tp` x `pp` devices that share matrices and layers."""
    groups = work.config.num_key_value_heads
    server = device.kind == "server"
    return Memory(
        weights=weight_bytes(work.config, work.precision) // (tp * pp),
        cache=work.kv_bytes * positions // (min(tp, groups) * pp),  # heads that are too few are held twice
        activations=_activations(work, tp, concurrency, STEP_TOKENS if server else 512),
        graphs=int(GRAPHS) if server else 0,
        runtime=int(RUNTIME[device.kind]),
        usable=device.usable,
    )


def _activations(work: Work, tp: int, concurrency: int, step_tokens: int) -> int:
    """The widest moment of a step, in bfloat16, and logits in float32."""
    c = work.config
    width = c.num_experts_per_tok * c.moe_intermediate_size if c.is_moe else c.intermediate_size
    heads = (c.num_attention_heads + 2 * c.num_key_value_heads) * c.head_dim
    copies = 2 * c.num_experts_per_tok if c.is_moe else 2
    per_token = (2 + copies) * c.hidden_size + max(heads, 3 * width) // tp
    return 2 * step_tokens * per_token + 4 * concurrency * c.vocab_size * 2


def transformers_bytes(work: Work, positions: int) -> int:
    """What `transformers` takes on one GPU, as the official benchmark measured it."""
    return weight_bytes(work.config, work.precision) + work.kv_bytes * positions + TRANSFORMERS_OVERHEAD
