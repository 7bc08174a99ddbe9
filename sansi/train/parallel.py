"""Replicated data parallelism: every rank holds the whole model and works through its share of each batch.

Started by `torchrun`, a Trainer finds its ranks by itself. Gradients are summed, not averaged, since the loss is
already a share of the global batch's; every rank then makes the same update. What one rank can not do, no rank does:
errors are told to all.
"""

from __future__ import annotations

import atexit
import os
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, TypeVar

import torch
import torch.distributed as dist
from torch import Tensor, nn

from sansi.base import SansiError
from sansi.data.batch import Batch

T = TypeVar("T")
BUCKET_ELEMENTS = 1 << 24  # gradients that are summed in one message: 64 MiB of float32
PATIENCE = timedelta(hours=2)  # rank 0 may evaluate or write for long while the others wait; a dead rank is seen before


@dataclass(frozen=True)
class World:
    """The processes that train one model together, and which of them this is."""

    rank: int = 0
    size: int = 1

    @classmethod
    def current(cls, device: torch.device) -> World:
        """The process group that is there, or that `torchrun` started this process for; else one rank alone."""
        if not dist.is_available():
            return cls()
        if not dist.is_initialized() and int(os.environ.get("WORLD_SIZE", "1")) > 1 and "RANK" in os.environ:
            # gloo carries what is told in words, also where NCCL carries the gradients
            backend = "cpu:gloo,cuda:nccl" if device.type == "cuda" else "gloo"
            dist.init_process_group(backend, timeout=PATIENCE)
            atexit.register(_leave)
        return cls(dist.get_rank(), dist.get_world_size()) if dist.is_initialized() else cls()

    @property
    def is_main(self) -> bool:
        """Whether this rank writes and shows progress."""
        return self.rank == 0

    def gather(self, compute: Callable[[], T]) -> list[T]:
        """What `compute` returns on each rank. An exception on one of them is raised on all."""
        if self.size == 1:
            return [compute()]
        value, error = None, None
        try:
            value = compute()
        except Exception as caught:
            error = caught
        answers: list[Any] = [None] * self.size
        dist.all_gather_object(answers, (value, None if error is None else f"{type(error).__name__}: {error}"))
        if error is not None:
            raise error
        for rank, (_, message) in enumerate(answers):
            if message is not None:
                raise SansiError(f"rank {rank} of {self.size} stopped: {message}")
        return [answer for answer, _ in answers]

    def on_main(self, compute: Callable[[], T]) -> T | None:
        """Run `compute` on rank 0 while the others wait; None on those."""
        return self.gather(lambda: compute() if self.is_main else None)[self.rank]

    def share(self, batch: Batch) -> Batch:
        """This rank's rows of a batch that all ranks have."""
        rows = len(batch)
        return batch.rows(slice(rows * self.rank // self.size, rows * (self.rank + 1) // self.size))

    @torch.no_grad()
    def broadcast(self, model: nn.Module) -> None:
        """Give every rank the weights of rank 0."""
        if self.size > 1:
            for value in model.state_dict().values():
                dist.broadcast(value, 0)

    @torch.no_grad()
    def sum_gradients(self, parameters: Iterable[nn.Parameter]) -> None:
        """Add up the gradients of all ranks; a parameter that has none anywhere keeps none."""
        if self.size == 1:
            return
        every = list(parameters)
        has = torch.tensor([p.grad is not None for p in every], dtype=torch.uint8, device=every[0].device)
        dist.all_reduce(has, dist.ReduceOp.MAX)
        used = [parameter for parameter, flag in zip(every, has.tolist(), strict=True) if flag]
        for parameter in used:
            if parameter.grad is None:
                parameter.grad = torch.zeros_like(parameter)
        for bucket in _buckets([parameter.grad for parameter in used]):  # type: ignore[misc]
            flat = torch.cat([gradient.flatten() for gradient in bucket])
            dist.all_reduce(flat)
            for gradient, total in zip(bucket, flat.split([g.numel() for g in bucket]), strict=True):
                gradient.copy_(total.view_as(gradient))


def check_ranks(batches: Any, world: World) -> bool:
    """Whether the producer gives each rank its own share; False: all ranks get the same, for the loop to part.

    Raises SansiError for a producer that was made for another number of ranks.
    """
    size, rank = getattr(batches, "world_size", 1), getattr(batches, "rank", 0)
    if size == 1:
        return world.size == 1
    if (rank, size) != (world.rank, world.size):
        raise SansiError(
            f"the batches are made for rank {rank} of {size}, but this is rank {world.rank} of {world.size}; leave "
            '"rank" and "world_size" out, and the loop gives each rank its share',
            param="world_size",
        )
    return True


def _buckets(gradients: list[Tensor]) -> Iterator[list[Tensor]]:
    """Successive gradients of one dtype, together of a size that is worth a message."""
    bucket: list[Tensor] = []
    size = 0
    for gradient in gradients:
        if bucket and (size + gradient.numel() > BUCKET_ELEMENTS or gradient.dtype != bucket[0].dtype):
            yield bucket
            bucket, size = [], 0
        bucket.append(gradient)
        size += gradient.numel()
    if bucket:
        yield bucket


def _leave() -> None:
    if dist.is_initialized():
        dist.destroy_process_group()
