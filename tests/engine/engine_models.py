"""A one-layer model of the shape that the engine expects, and one whose logits are random: fast stand-ins for tests."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from sansi.model import ModelConfig
from torch import Tensor, nn


def config_of(vocab_size: int, context: int, width: int, layers: int = 1) -> ModelConfig:
    """One head in each layer."""
    return ModelConfig(
        vocab_size=vocab_size,
        hidden_size=width,
        intermediate_size=width,
        num_hidden_layers=layers,
        num_attention_heads=1,
        num_key_value_heads=1,
        head_dim=width,
        max_position_embeddings=context,
    )


class RandomModel(nn.Module):
    """Logits are a fixed random function of (token, position): no attention, so any schedule gives the same tokens."""

    def __init__(self, vocab_size: int = 24, context: int = 64, seed: int = 0, scale: float = 2.0):
        super().__init__()
        self.config = config_of(vocab_size, context, 2)
        draw = torch.Generator().manual_seed(seed)
        self.table = nn.Parameter(torch.randn(context, vocab_size, vocab_size, generator=draw) * scale)
        self.lm_head_weight = torch.eye(vocab_size)

    def hidden(
        self, ids: Tensor, positions: Tensor | None = None, attention: Tensor | None = None, cache=None
    ) -> Tensor:
        if positions is None:
            positions = torch.arange(ids.shape[1]).expand_as(ids)
        if cache is not None:
            kv = ids[:, None, :, None].float().expand(-1, -1, -1, 2)
            cache.update(0, kv, kv)
        return self.table[positions, ids]


class TinyModel(nn.Module):
    """Embeddings, two causal attention layers, a head: what it says depends on every earlier token and position.

    Two, so that keys and values of a position depend on what came before it.
    """

    def __init__(self, vocab_size: int = 32, context: int = 256, width: int = 16, seed: int = 0):
        super().__init__()
        self.config = config_of(vocab_size, context, width, layers=2)
        draw = torch.Generator().manual_seed(seed)

        def weight(*shape: int) -> nn.Parameter:
            return nn.Parameter(torch.randn(*shape, generator=draw, dtype=torch.float64))

        self.tokens, self.places = weight(vocab_size, width), weight(context, width)
        self.qkv = weight(2, 3 * width, width)
        self.lm_head_weight = weight(vocab_size, width)
        self.lm_head_weight.data /= 4  # flat enough that sampling matters

    def hidden(
        self, ids: Tensor, positions: Tensor | None = None, attention: Tensor | None = None, cache=None
    ) -> Tensor:
        if positions is None:
            positions = torch.arange(ids.shape[1]).expand_as(ids)
        x = self.tokens[ids] + self.places[positions]
        for layer, weight in enumerate(self.qkv):
            q, k, v = (part[:, None] for part in F.linear(F.rms_norm(x, x.shape[-1:]), weight).chunk(3, -1))
            if cache is not None:
                k, v = cache.update(layer, k, v)
            x = x + F.scaled_dot_product_attention(q, k, v, attn_mask=attention, is_causal=attention is None)[:, 0]
        return x

    def forward(self, ids: Tensor) -> Tensor:
        return F.linear(self.hidden(ids), self.lm_head_weight)
