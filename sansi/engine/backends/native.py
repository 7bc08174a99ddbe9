"""The backend of our own CPU kernels; the work is done in `sansi.model.native`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor

from sansi.engine.batch import Batch
from sansi.model import Transformer
from sansi.model.adapters import Adapter
from sansi.model.native import NativeModel


class NativeBackend:
    """Runs a `Transformer` in memory, whose later changes `refresh` takes over, or the model in a folder, also one that
    is quantised already.

    Keys and values are float32, or float16 beside quantised weights, whose rounding is coarser by far; `cache_dtype`
    chooses otherwise. Other arguments and errors: `NativeModel`.
    """

    device = torch.device("cpu")
    own_threads = True

    def __init__(
        self,
        source: Transformer | str | Path,
        quantize: str | None = None,
        threads: int | None = None,
        isa: str | None = None,
        cache_dtype: str | None = None,
        outer: str | None = None,
        adapters: Sequence[Adapter] = (),
    ):
        make = NativeModel if isinstance(source, Transformer) else NativeModel.from_pretrained
        self._model = make(source, quantize, threads, isa, cache_dtype, outer, adapters)  # type: ignore[arg-type]
        self.name = f"native {self._model.kind}" if self._model.kind else "native"
        self.block_bytes = self._model.block_bytes

    @property
    def weight_bytes(self) -> int:
        return self._model.weight_bytes

    def allocate(self, num_blocks: int) -> None:
        self._model.allocate(num_blocks)

    def forward(self, batch: Batch) -> Tensor:
        return self._model.forward(
            batch.ids, batch.positions, batch.starts, batch.context, batch.tables, batch.rows, batch.adapters
        )

    def refresh(self) -> None:
        self._model.refresh()
