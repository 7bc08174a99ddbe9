"""How far the predictions of one backend are from another's, over the same texts."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor

from sansi.engine.batch import BLOCK, Backend, Batch
from sansi.engine.blocks import blocks_for
from sansi.model.quantize import KLReport, kl_to_full

PIECE = 4 * BLOCK  # tokens that are compared at once: their logits, over the whole vocabulary, are what takes memory

__all__ = ["KLReport", "divergence"]


@torch.inference_mode()
def divergence(full: Backend, other: Backend, texts: Sequence[Sequence[int]]) -> KLReport:
    """KL(full || other) of the next token, after every token of `texts` (ids, none of them empty).

    Nobody else may use the backends meanwhile. What their caches hold is lost.
    """
    blocks = blocks_for(max(map(len, texts)))
    readers = _Reader(full, blocks), _Reader(other, blocks)

    def pieces() -> Iterator[Tensor]:
        for ids in texts:
            for reader in readers:
                reader.read = 0
            yield from torch.tensor([list(ids)], dtype=torch.int32).split(PIECE, dim=1)

    return kl_to_full(*readers, pieces())


class _Reader:
    """A backend as a function of ids [1, T] to logits [1, T, V]; the ids go on where those of the last call ended."""

    def __init__(self, backend: Backend, blocks: int):
        backend.allocate(blocks)
        self._backend = backend
        self.read = 0

    def __call__(self, ids: Tensor) -> Tensor:
        count, before = ids.shape[1], self.read
        self.read += count

        def ints(*values: int) -> Tensor:
            return torch.tensor(values, dtype=torch.int32)

        tokens = torch.arange(count, dtype=torch.int32)
        table = torch.arange(blocks_for(self.read), dtype=torch.int32)[None]
        batch = Batch(ids[0].contiguous(), before + tokens, ints(0, count), ints(self.read), table, tokens)
        return self._backend.forward(batch)[None]
