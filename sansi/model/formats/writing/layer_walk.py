"""A model that reads a calibration text layer by layer: no more than one layer of it is in memory.

What comes into a layer is what the layers before it make of the text once their weights are rounded, so that each makes
good for the errors of those before it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from sansi.base.device import DeviceLike, resolve_device
from sansi.base.errors import SansiError
from sansi.base.shown import show
from sansi.model.formats.listening import Heard, expert_names, listening
from sansi.model.formats.names import tensor_table
from sansi.model.formats.tensors import EMBEDDING
from sansi.model.formats.weights import VALUES_AT_ONCE, WeightSource
from sansi.model.rope import rope_table
from sansi.model.transformer import DecoderLayer

LEAST = 8
"""Tokens of each batch that an expert hears at least."""


class SecondMoments:
    """Of what comes into each matrix: the sum of x xT over the tokens."""

    def __init__(self) -> None:
        self._sums: dict[str, Tensor] = {}
        self.tokens: dict[str, int] = {}
        """That were meant for each matrix."""

    def hear(self, heard: Heard) -> None:
        x, first = heard.inputs.float(), heard.names[0]
        known = self._sums.get(first)
        total = x.T @ x if known is None else known.addmm_(x.T, x)
        for name in heard.names:
            self._sums[name] = total
            self.tokens[name] = self.tokens.get(name, 0) + heard.tokens

    def of(self, name: str) -> Tensor | None:
        """[K, K] float32; None: no token of the text was meant for the matrix.

        Raises SansiError where it is not finite.
        """
        if not self.tokens.get(name):
            return None
        if not self._sums[name].isfinite().all():
            told = "what comes in there while the calibration is read is not finite"
            raise SansiError(f"{name}: {told}; the model is damaged, take another checkpoint of it")
        return self._sums[name]


class LayerWalk:
    """The layers of a model, one after the other, and a text on its way through them."""

    def __init__(self, weights: WeightSource, batches: Iterable[Tensor], device: DeviceLike = "auto"):
        """batches: ids [B, T]. Raises SansiError for ids that are none of the model's, and where there are none."""
        self._weights, self._device = weights, resolve_device(device)
        self._rope = rope_table(weights.config)
        batches = [_checked(ids, weights.config.vocab_size, weights.config.context_length) for ids in batches]
        if not batches:
            raise SansiError("there is no text to calibrate on; give one", param="calibration")
        self._hidden = self._embedded(batches)
        self.coverage: dict[str, int] = {}
        """Expert -> tokens that went to it."""

    @contextmanager
    def layer(self, number: int) -> Iterator[Mapping[str, Tensor]]:
        """The tensors of a layer by their names, float32, to be changed in place: with what stands there at the end the
        text goes on to the next layer.
        """
        with torch.device("meta"):
            layer = DecoderLayer(self._weights.config, number).float()
        self._layer = layer.to_empty(device=self._device)
        self._prefix = f"model.layers.{number}."
        table = tensor_table(nn.ModuleDict({"layer": self._layer}))
        tensors = {self._prefix + name.removeprefix("layer."): tensor for name, tensor in table.items()}
        for name, tensor in tensors.items():
            tensor.copy_(self._weights.rows(name, 0, len(tensor)))
        yield tensors
        self._hidden = [self._through(x) for x in self._hidden]
        del self._layer

    def moments(self) -> SecondMoments:
        """Of the inputs of the layer that is open, as its weights are now."""
        found = SecondMoments()
        with listening(self._layer, found.hear, self._prefix, LEAST):
            for x in self._hidden:
                self._through(x)
        experts = expert_names(self._layer, self._prefix)
        self.coverage |= {expert: found.tokens.get(f"{expert}.down_proj.weight", 0) for expert in experts}
        return found

    def _through(self, x: Tensor) -> Tensor:
        cos, sin = (table[: x.shape[1]].to(self._device) for table in (self._rope.cos, self._rope.sin))
        return self._layer(x.to(self._device), cos, sin)[0].cpu()

    def _embedded(self, batches: list[Tensor]) -> list[Tensor]:
        """[B, T, C] each; the table is read in pieces."""
        rows, columns = self._weights.shapes[EMBEDDING]
        hidden = [torch.zeros(*ids.shape, columns) for ids in batches]
        step = max(1, VALUES_AT_ONCE // columns)
        for first in range(0, rows, step):
            piece = self._weights.rows(EMBEDDING, first, min(first + step, rows)).float()
            for ids, x in zip(batches, hidden, strict=True):
                here = (ids >= first) & (ids < first + len(piece))
                x[here] = piece[ids[here] - first]
        return hidden


def _checked(ids: Tensor, vocabulary: int, longest: int) -> Tensor:
    """[B, T] int64, on the CPU."""
    wrong = not isinstance(ids, Tensor) or ids.dim() != 2 or ids.dtype.is_floating_point or not ids.numel()
    if wrong:
        shape = list(ids.shape) if isinstance(ids, Tensor) else type(ids).__name__
        raise SansiError(f"a batch of the calibration must be ids [B, T], not {show(shape)}", param="calibration")
    if ids.shape[1] > longest:
        told = f"{ids.shape[1]} tokens in a row, and the model's context is {longest}"
        raise SansiError(f"the calibration has {told}; cut it into shorter rows", param="calibration")
    ids = ids.detach().cpu().long()
    if ids.min() < 0 or ids.max() >= vocabulary:
        bad = int(ids.min() if ids.min() < 0 else ids.max())
        told = f"id {bad}, and the model's vocabulary has {vocabulary}"
        raise SansiError(f"the calibration has {told}; encode it with this model's tokenizer", param="calibration")
    return ids
