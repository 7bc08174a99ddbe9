"""The peer of bench/train.py: a training loop as one writes it by hand, the model in plain PyTorch, all of it compiled.

The same layers as `sansi.model` (pre-norm, grouped-query attention with norms on q and k, RoPE, SwiGLU, a tied head),
without documents, caches or experts: what a file of a few hundred lines can do.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class Block(nn.Module):
    def __init__(self, shape: dict[str, int]):
        super().__init__()
        width, self.head = shape["hidden_size"], shape["head_dim"]
        self.heads, self.groups = shape["num_attention_heads"], shape["num_key_value_heads"]
        self.q = nn.Linear(width, self.heads * self.head, bias=False)
        self.k = nn.Linear(width, self.groups * self.head, bias=False)
        self.v = nn.Linear(width, self.groups * self.head, bias=False)
        self.o = nn.Linear(self.heads * self.head, width, bias=False)
        self.gate = nn.Linear(width, shape["intermediate_size"], bias=False)
        self.up = nn.Linear(width, shape["intermediate_size"], bias=False)
        self.down = nn.Linear(shape["intermediate_size"], width, bias=False)
        self.norms = nn.ModuleList(nn.RMSNorm(size, 1e-6) for size in (width, width, self.head, self.head))

    def forward(self, x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
        b, t, _ = x.shape
        y = self.norms[0](x)
        q = rotated(self.norms[2](self.q(y).view(b, t, self.heads, self.head)), cos, sin).transpose(1, 2)
        k = rotated(self.norms[3](self.k(y).view(b, t, self.groups, self.head)), cos, sin).transpose(1, 2)
        v = self.v(y).view(b, t, self.groups, self.head).transpose(1, 2)
        y = F.scaled_dot_product_attention(q, k.to(q.dtype), v.to(q.dtype), is_causal=True, enable_gqa=True)
        x = x + self.o(y.transpose(1, 2).reshape(b, t, -1))
        y = self.norms[1](x)
        return x + self.down(F.silu(self.gate(y)) * self.up(y))


class Model(nn.Module):
    cos: Tensor
    sin: Tensor

    def __init__(self, shape: dict[str, int], length: int):
        super().__init__()
        self.embedding = nn.Embedding(shape["vocab_size"], shape["hidden_size"])
        self.blocks = nn.ModuleList(Block(shape) for _ in range(shape["num_hidden_layers"]))
        self.norm = nn.RMSNorm(shape["hidden_size"], 1e-6)
        for name, parameter in self.named_parameters():
            if "norm" not in name:
                nn.init.normal_(parameter, std=0.02)
        angles = torch.outer(torch.arange(length), 1e4 ** -torch.linspace(0, 1, shape["head_dim"] // 2))
        self.register_buffer("cos", angles.cos()[:, None])
        self.register_buffer("sin", angles.sin()[:, None])

    def forward(self, ids: Tensor, targets: Tensor) -> Tensor:
        x = self.embedding(ids)
        for block in self.blocks:
            x = block(x, self.cos, self.sin)
        logits = F.linear(self.norm(x), self.embedding.weight)
        return F.cross_entropy(logits.float().flatten(0, 1), targets.flatten())


def rotated(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    a, b = x.chunk(2, dim=-1)
    return torch.cat((a * cos - b * sin, b * cos + a * sin), dim=-1)


def optimizer_of(model: nn.Module, rate: float) -> torch.optim.Optimizer:
    matrices = [p for p in model.parameters() if p.dim() > 1]
    vectors = [p for p in model.parameters() if p.dim() == 1]
    groups = [{"params": matrices, "weight_decay": 0.1}, {"params": vectors, "weight_decay": 0.0}]
    return torch.optim.AdamW(groups, lr=rate, betas=(0.9, 0.95), fused=True)
