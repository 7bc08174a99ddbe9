"""Losses over packed batches."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from sansi.model import Transformer


def packed_mask(document: Tensor) -> Tensor:
    """Boolean attention mask [batch, 1, sequence, sequence] from `document` [batch, sequence]: causal, one document."""
    size = document.size(1)
    causal = torch.ones(size, size, dtype=torch.bool, device=document.device).tril()
    return ((document[:, :, None] == document[:, None, :]) & causal).unsqueeze(1)


def packed_loss(model: Transformer, ids: Tensor, document: Tensor, loss_mask: Tensor) -> tuple[Tensor, Tensor]:
    """Mean next-token cross-entropy over the targets that `loss_mask` selects, and how many those are.

    All arguments [batch, sequence + 1]; the model reads all but the last column and predicts all but the first.
    """
    logits = model(ids[:, :-1], attention=packed_mask(document[:, :-1]))
    targets = loss_mask[:, 1:].flatten()
    losses = F.cross_entropy(logits.float().flatten(0, 1), ids[:, 1:].flatten(), reduction="none")
    total = targets.sum()
    return (losses * targets).sum() / total.clamp(min=1), total
