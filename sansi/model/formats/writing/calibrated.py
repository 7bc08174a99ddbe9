"""What the formats share that look at a text before they round: they are written layer by layer."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from sansi.model.formats.names import same_inputs
from sansi.model.formats.weights import WeightSource
from sansi.model.formats.writing.folder_format import Piece, WriterOptions, check_finite
from sansi.model.formats.writing.grouped import GroupedFormat, GroupedOptions
from sansi.model.formats.writing.layer_walk import LayerWalk, SecondMoments


@dataclass(frozen=True)
class CalibratedOptions(GroupedOptions):
    """Options of formats that read a text."""

    device: str = "auto"
    """Where the text is read and weights are rounded."""


class CalibratedFormat(GroupedFormat):
    """A format whose matrices are rounded whole, each layer with the second moments of what comes into it."""

    options_type: ClassVar[type[WriterOptions]] = CalibratedOptions
    calibrated: ClassVar[str] = "needed"
    options: CalibratedOptions

    def __init__(self, weights: WeightSource, options: WriterOptions, calibration: Iterable[Tensor] | None = None):
        super().__init__(weights, options)
        self._calibration = calibration

    @abstractmethod
    def layer(self, tensors: Mapping[str, Tensor], moments: SecondMoments) -> Iterator[tuple[str, Piece]]:
        """The pieces of all tensors of a layer, which are left as what was written means."""

    def pieces(self) -> Iterator[tuple[str, Piece]]:
        if self._calibration is None:
            yield from super().pieces()
            return
        walk = LayerWalk(self.weights, self._calibration, self.options.device)
        layers = self.weights.config.num_hidden_layers
        prefixes = [f"model.layers.{number}." for number in range(layers)]
        for name in (name for name in self.weights.shapes if not name.startswith(tuple(prefixes))):
            yield from ((name, piece) for piece in self.pieces_of(name))
        for number in range(layers):
            with walk.layer(number) as tensors:
                for name, tensor in tensors.items():
                    check_finite(name, tensor)
                yield from self.layer(tensors, walk.moments())
        self.coverage = walk.coverage

    def whole(self, name: str, weight: Tensor, values: Tensor) -> Piece:
        """The piece of a whole tensor that is not quantised, which then has the values that were written."""
        piece = self.in_full(name, 0, values)
        ((_, written),) = piece.parts.values()
        weight.copy_(written)
        return piece


def shared_inputs(names: Iterable[str]) -> list[tuple[str, ...]]:
    """Matrices in runs that get the same inputs."""
    runs: dict[tuple[str, tuple[str, ...]], list[str]] = {}
    for name in names:
        stem, _, kind = name.removesuffix(".weight").rpartition(".")
        runs.setdefault((stem, same_inputs(kind)), []).append(name)
    return [tuple(run) for run in runs.values()]
