"""What the engine asks of whatever computes: one batch of new tokens in, logits out.

The cache of keys and values is the backend's; which block belongs to whom is decided outside, and reaches it as tables.
A block holds BLOCK positions of one sequence, in all layers. Storage: keys and values [L, blocks, H_kv, BLOCK, D] each;
position p of sequence n lies in block tables[n, p // BLOCK] at offset p % BLOCK.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import torch
from torch import Tensor

BLOCK = 16


@dataclass(frozen=True)
class Batch:
    """New tokens of N sequences, T in all, laid one after the other: chunked prefill and decode are the same here.

    All tensors are int32 on the CPU, and only valid until the forward returns: their memory is used again.
    """

    ids: Tensor
    """[T]."""
    positions: Tensor
    """[T]; those of one sequence are consecutive, and end at context - 1."""
    starts: Tensor
    """[N+1]; sequence n's new tokens are starts[n]:starts[n+1], at least one."""
    context: Tensor
    """[N]; cached and new tokens of sequence n once this step is done."""
    tables: Tensor
    """[N, W]; block ids of each sequence in order, padded with 0 (block 0 is a real block; padding is never read)."""
    rows: Tensor
    """[M]; which of the T tokens want logits, ascending; may be empty."""
    adapters: Tensor | None = None
    """[N]; 0 for none, or i for the i-th adapter that the backend was made with; None: nobody has one."""


@runtime_checkable
class Backend(Protocol):
    """A model with its cache. One thread calls it; nothing is called while `forward` runs."""

    name: str
    """For people: "torch", "native int4", …"""
    device: torch.device
    """Where logits are returned."""
    block_bytes: int
    """Keys and values of one block, all layers."""
    own_threads: bool
    """Whether it computes on threads of its own; torch's operators around it then leave the cores to them."""

    @property
    def weight_bytes(self) -> int:
        """Weights as they lie in memory."""
        ...

    def allocate(self, num_blocks: int) -> None:
        """Make room for so many blocks; what the cache held is lost. Pages are to cost nothing until written."""
        ...

    def forward(self, batch: Batch) -> Tensor:
        """Logits [M, V] float32 of the rows asked for; may be a buffer that the next call overwrites.

        Writes keys and values of all new tokens first, then attends causally: the token at position p sees 0 … p. A
        block may hold rubbish, even NaN, beyond the positions that its sequence wrote; it must not reach any result.
        """
        ...

    def refresh(self) -> None:
        """The weights of the torch module changed in place (a trainer did that): take them over."""
        ...
