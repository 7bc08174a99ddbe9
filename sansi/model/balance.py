"""The load-balancing loss of mixture-of-experts training, over the global batch.

Switch-style product of load and probability (Fedus et al. 2021, arXiv:2101.03961), with the load counted over the
whole batch instead of a micro-batch (Qiu et al. 2025, arXiv:2501.11873), which lets experts specialise by domain.
Two choices differ between implementations; here: every layer is balanced for itself and the layers are averaged
(layers pooled into one histogram could hide opposite imbalances), and padding is left out of both load and
probability. The scale is transformers': a perfectly balanced router has the loss `num_experts_per_tok`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor


@dataclass(frozen=True)
class LoadBalance:
    """The loss and what it was made of."""

    loss: Tensor
    """Scalar, to be multiplied by `router_aux_loss_coef`."""
    counts: Tensor
    """int64 [layers, experts]: visits that the loss was computed with; `counts / counts.sum(1)` is the load."""


def load_balancing_loss(
    router_logits: Sequence[Tensor],
    num_experts_per_tok: int,
    mask: Tensor | None = None,
    counts: Tensor | None = None,
) -> LoadBalance:
    """Loss of the router logits [B, T, E] of each sparse layer.

    mask: boolean [B, T], False for padding. counts: visits [layers, E] of the global batch, i.e. `expert_counts`
    summed over micro-batches and ranks; None: those of the given tokens. With the global counts, the mean of the
    micro-batches' losses weighted by their tokens is the loss of the whole batch. A batch of padding alone has no loss.
    """
    if not router_logits:
        raise ValueError("load_balancing_loss needs the logits of at least one router; a dense model has none")
    if counts is None:
        counts = expert_counts(router_logits, num_experts_per_tok, mask)
    losses = [_layer_loss(_tokens(x, mask), n, num_experts_per_tok) for x, n in zip(router_logits, counts, strict=True)]
    return LoadBalance(torch.stack(losses).mean(), counts)


@torch.no_grad()
def expert_counts(router_logits: Sequence[Tensor], num_experts_per_tok: int, mask: Tensor | None = None) -> Tensor:
    """int64 [layers, E]: how many of the tokens visit each expert."""
    return torch.stack([_visits(_tokens(logits, mask), num_experts_per_tok) for logits in router_logits])


def _tokens(logits: Tensor, mask: Tensor | None) -> Tensor:
    """[B, T, E] -> [N, E], padding left out."""
    return logits.flatten(0, -2) if mask is None else logits[mask]


def _visits(logits: Tensor, active: int) -> Tensor:
    chosen = logits.topk(active, dim=-1).indices.flatten()
    return F.one_hot(chosen, logits.shape[-1]).sum(0)


def _layer_loss(logits: Tensor, counts: Tensor, active: int) -> Tensor:
    load = counts * (active / counts.sum().clamp(min=1))  # visits per token, sums to `active`
    probability = logits.float().softmax(-1).sum(0) / max(len(logits), 1)
    return logits.shape[-1] * (load * probability).sum()
