"""Memory of training: full, LoRA, or reinforcement learning with an engine beside the trainer."""

from __future__ import annotations

from dataclasses import dataclass

from sansi.base.sizes import size_text
from sansi.deploy.plan.devices import Device
from sansi.deploy.plan.precision import PRECISIONS
from sansi.deploy.plan.work import Work
from sansi.model.config import ModelConfig

MASTER, GRADIENT, ADAM = 4, 4, 8
"""Bytes a parameter: float32 weights, their gradients, two moments of AdamW."""
LOGITS_AT_ONCE = 2**26
"""Elements of a chunk of the head's loss, which is what `sansi.model.head` computes at a time."""


@dataclass(frozen=True)
class TrainingMemory:
    """Bytes on each of `count` devices, parameters and their states sharded over all (FSDP2)."""

    states: int
    """Weights, gradients and moments."""
    activations: int
    engine: int
    """Weights in bfloat16 and cache of the rollouts; 0 without reinforcement learning."""
    usable: int

    @property
    def total(self) -> int:
        return self.states + self.activations + self.engine

    @property
    def fits(self) -> bool:
        return self.total <= self.usable

    def __str__(self) -> str:
        parts = [
            f"weights, gradients and moments {size_text(self.states)}",
            f"activations {size_text(self.activations)}",
        ]
        parts += [f"engine and rollouts {size_text(self.engine)}"] if self.engine else []
        return f"{', '.join(parts)}; {size_text(self.total)} of {size_text(self.usable)} a device"


def training_memory(
    config: ModelConfig,
    device: Device,
    count: int = 1,
    kind: str = "train",
    tokens: int = 4096,
    lora_rank: int = 16,
    rollout_tokens: int = 65_536,
) -> TrainingMemory:
    """kind: "train" (all parameters), "lora" or "rl" (all parameters, with an engine). tokens: of one micro-batch.

    With gradient checkpointing: of each layer its input is kept, and one layer at a time is whole.
    """
    parameters = config.num_parameters()
    if kind == "lora":
        states = 2 * parameters + lora_parameters(config, lora_rank) * (MASTER + GRADIENT + ADAM)
    else:
        states = parameters * (MASTER + GRADIENT + ADAM)
    engine = 0
    if kind == "rl":
        kv_bytes = Work(config, PRECISIONS["bf16"]).kv_bytes
        engine = (2 * parameters + kv_bytes * rollout_tokens) // count
    return TrainingMemory(states // count, _activations(config, tokens), engine, device.usable)


def lora_parameters(config: ModelConfig, rank: int) -> int:
    """Of adapters on every projection; of experts each has its own."""
    c = config
    query, key = c.num_attention_heads * c.head_dim, c.num_key_value_heads * c.head_dim
    attention = 2 * (c.hidden_size + query) + 2 * (c.hidden_size + key)
    total = 0
    for layer in range(c.num_hidden_layers):
        width = c.moe_intermediate_size if c.is_sparse(layer) else c.intermediate_size
        feed_forwards = c.num_experts if c.is_sparse(layer) else 1
        total += rank * (attention + feed_forwards * 3 * (c.hidden_size + width))
    return total


def _activations(config: ModelConfig, tokens: int) -> int:
    c = config
    width = c.num_experts_per_tok * c.moe_intermediate_size if c.is_moe else c.intermediate_size
    heads = (2 * c.num_attention_heads + 2 * c.num_key_value_heads) * c.head_dim
    kept = c.num_hidden_layers * c.hidden_size * 2
    one_layer = (6 * c.hidden_size + heads + 4 * width) * 4
    return tokens * (kept + one_layer) + 2 * 4 * min(LOGITS_AT_ONCE, tokens * c.vocab_size)
