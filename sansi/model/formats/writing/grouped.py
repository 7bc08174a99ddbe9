"""What the formats share whose inputs are in groups: how many of them have a scale together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from sansi.base.config import not_among
from sansi.model.formats.weights import WeightSource
from sansi.model.formats.writing.folder_format import FolderFormat, WriterOptions, is_projection

SIZES = (128, 64, 32)


@dataclass(frozen=True)
class GroupedOptions(WriterOptions):
    """Options of formats with groups."""

    group_size: int | None = None
    """Inputs that share a scale; None: the format's usual size, or a smaller one where more of the model fits that."""

    def problems(self) -> list[str]:
        wrong = [] if self.group_size is None else not_among(self, "group_size", sorted(self.sizes()))
        return super().problems() + wrong

    def sizes(self) -> Sequence[int]:
        """That can be asked for."""
        return SIZES


class GroupedFormat(FolderFormat):
    """A format whose inputs are in groups of `group`."""

    options_type: ClassVar[type[WriterOptions]] = GroupedOptions
    usual: ClassVar[int] = SIZES[0]
    """The size of a group that other programs choose."""
    options: GroupedOptions

    def __init__(self, weights: WeightSource, options: WriterOptions):
        assert isinstance(options, GroupedOptions)
        self.group = options.group_size or widest_group(weights, [size for size in SIZES if size <= self.usual])
        """-1: all inputs."""
        super().__init__(weights, options)

    def group_size(self, columns: int) -> int:
        """Of a matrix with so many inputs."""
        return columns if self.group == -1 else self.group


def widest_group(weights: WeightSource, sizes: Sequence[int]) -> int:
    """The size, of these that fall, in whose groups most of the projections can be; the first of those alike."""
    matrices = [shape for name, shape in weights.shapes.items() if is_projection(name)]
    return max(sizes, key=lambda size: sum(rows * columns for rows, columns in matrices if columns % size == 0))
