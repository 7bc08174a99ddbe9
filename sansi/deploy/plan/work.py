"""What a model has to do for a token, in bytes and operations: the terms that speed is made of."""

from __future__ import annotations

from dataclasses import dataclass

from sansi.deploy.plan.precision import Precision
from sansi.model.config import ModelConfig

KV_BYTES = 2  # of a key or value in the cache: bfloat16 everywhere here


@dataclass(frozen=True)
class Work:
    """The sizes of one model in one format, from which the cost of any step follows."""

    config: ModelConfig
    precision: Precision

    @property
    def layers(self) -> int:
        return self.config.num_hidden_layers

    @property
    def matrices(self) -> int:
        """Parameters of projections and feed-forward layers that one token meets."""
        return self._matrices(self.config.num_experts_per_tok)

    @property
    def head(self) -> int:
        """Parameters of the LM head."""
        return self.config.vocab_size * self.config.hidden_size

    @property
    def kv_bytes(self) -> int:
        """Of keys and values, a token."""
        c = self.config
        return 2 * c.num_hidden_layers * c.num_key_value_heads * c.head_dim * KV_BYTES

    def read_bytes(self, batch: int = 1) -> float:
        """Of matrices that one step of `batch` tokens reads: of experts those that anybody visits.

        Routers are taken to spread tokens evenly: each expert is missed by a token with the chance 1 - k / E.
        """
        return self._matrices(self.visited_experts(batch)) * self.precision.bits / 8

    def visited_experts(self, tokens: float) -> float:
        """Experts of a layer that `tokens` tokens visit between them."""
        all_, each = self.config.num_experts, self.config.num_experts_per_tok
        return all_ * (1 - (1 - each / all_) ** tokens) if self.config.is_moe else 0.0

    def head_bytes(self) -> float:
        return self.head * self.precision.outer_bits / 8

    def flops(self, tokens: float) -> float:
        """Of the matrices, for `tokens` tokens."""
        return 2.0 * self.matrices * tokens

    def attention_flops(self, tokens: int) -> float:
        """Of causal attention over a prompt of `tokens`."""
        c = self.config
        return 2.0 * c.num_hidden_layers * c.num_attention_heads * c.head_dim * tokens**2

    def _matrices(self, experts: float) -> int:
        c = self.config
        attention = c.hidden_size * c.head_dim * (2 * c.num_attention_heads + 2 * c.num_key_value_heads)
        total = 0.0
        for layer in range(c.num_hidden_layers):
            width = experts * c.moe_intermediate_size if c.is_sparse(layer) else c.intermediate_size
            total += attention + 3 * c.hidden_size * width
        return int(total)
