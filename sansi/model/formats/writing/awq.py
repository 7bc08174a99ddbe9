"""AWQ as AutoAWQ's GEMM kernels have it (see `formats/awq.py`; Lin et al. 2023, arXiv:2306.00978).

Inputs that are large where a text is read are given finer levels: their columns are multiplied by a scale before
rounding, and what comes before the matrix is divided by it. How much is searched for, and how far each group's range is
clipped. Where that leaves the outputs of the matrices further off than plain rounding would, it is not done.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor

from sansi.model.formats.fitting import inverse
from sansi.model.formats.writing.calibrated import CalibratedFormat
from sansi.model.formats.writing.folder_format import Piece, is_projection, piece_of
from sansi.model.formats.writing.layer_walk import SecondMoments
from sansi.model.formats.writing.levels import Grid, Levels, best_rows, exact_in, nearest
from sansi.model.formats.writing.shards import Stored
from sansi.model.formats.writing.words import words

BITS = 4
TOP = 2**BITS - 1
ORDER = (0, 2, 4, 6, 1, 3, 5, 7)
"""Which of eight outputs lies in each nibble of a word."""
POWERS = tuple(step / 10 for step in range(1, 11))
CLIPS = tuple(1 - step / 20 for step in range(1, 11))
LEAST_SHARE = 1e-4
WIDEST = 64.0
"""The most that an input is scaled up or down."""


@dataclass(frozen=True)
class Fold:
    """Matrices whose inputs are scaled together, and what takes the inverse."""

    matrices: tuple[str, ...]
    """With these inputs, the router too."""
    before: tuple[str, ...]
    """Tensors whose rows make the inputs: a norm, or a matrix and its bias."""
    heads: tuple[int, int] | None = None
    """(heads of values, queries to each), where a row makes an input of several heads."""


class AwqWriter(CalibratedFormat):
    """Projections and experts in levels with zero points; embedding, norms, routers and head in full."""

    name: ClassVar[str] = "awq"

    def fits(self, name: str, shape: tuple[int, ...]) -> bool:
        return is_projection(name) and shape[1] % self.group == 0 and shape[0] % len(ORDER) == 0

    def kind(self, name: str) -> str:
        return f"int{BITS}"

    def described(self) -> Mapping[str, Any]:
        said: dict[str, Any] = {"quant_method": "awq", "bits": BITS, "group_size": self.group}
        said |= {"zero_point": True, "version": "gemm", "modules_to_not_convert": self.full_modules() or None}
        return {"quantization_config": said}

    def stored(self, name: str) -> list[Stored]:
        (rows, columns), stem = self.weights.shapes[name], name.removesuffix("weight")
        groups, words_ = columns // self.group, rows // len(ORDER)
        return [
            Stored(f"{stem}qweight", torch.int32, (columns, words_)),
            Stored(f"{stem}qzeros", torch.int32, (groups, words_)),
            Stored(f"{stem}scales", torch.float16, (groups, rows)),
        ]

    def layer(self, tensors: Mapping[str, Tensor], moments: SecondMoments) -> Iterator[tuple[str, Piece]]:
        original = {name: tensor.clone() for name, tensor in tensors.items()}
        done: dict[str, Levels] = {}
        scaled: dict[str, Tensor] = {}  # what was multiplied into a tensor, where it is quantised
        for fold in self._folds(tensors):
            chosen = self._folded(fold, tensors, moments)
            done |= chosen.levels
            for name in fold.matrices:
                tensors[name].mul_(chosen.scale)
                scaled[name] = scaled.get(name, torch.ones(())) * chosen.scale
            for name in fold.before:
                tensors[name].copy_(_divided(tensors[name], chosen.made))
                shaped = chosen.made.view(-1, *[1] * (tensors[name].dim() - 1))
                scaled[name] = scaled.get(name, torch.ones(())) / shaped
        for name, tensor in tensors.items():
            if name not in done:
                yield name, self.whole(name, tensor, tensor.cpu())
                continue
            meant = done[name].floats()
            tensor.copy_(meant)
            yield name, piece_of(original[name].cpu(), _parts(name, done[name]), (meant / scaled[name]).cpu())

    def _folds(self, tensors: Mapping[str, Tensor]) -> list[Fold]:
        """Of a layer; a matrix that makes the inputs of another comes after that one."""
        config, stem = self.weights.config, ".".join(next(iter(tensors)).split(".")[:3])
        attention = f"{stem}.self_attn."
        values = tuple(n for n in (f"{attention}v_proj.weight", f"{attention}v_proj.bias") if n in tensors)
        heads = (config.num_key_value_heads, config.num_attention_heads // config.num_key_value_heads)
        folds = [Fold((f"{attention}o_proj.weight",), values, heads)]
        downs = [name for name in tensors if name.endswith(".down_proj.weight")]
        folds += [Fold((name,), (name.replace(".down_proj.", ".up_proj."),)) for name in downs]
        after = tuple(name for name in tensors if ".mlp." in name and name not in downs)
        return [
            *folds,
            Fold(tuple(f"{attention}{kind}_proj.weight" for kind in "qkv"), (f"{stem}.input_layernorm.weight",)),
            Fold(after, (f"{stem}.post_attention_layernorm.weight",)),
        ]

    def _folded(self, fold: Fold, tensors: Mapping[str, Tensor], moments: SecondMoments) -> _Chosen:
        """What is best for the outputs of the matrices, and at least as good as no scale."""
        quantised = {name: tensors[name] for name in fold.matrices if name in self.quantised}
        before = tensors[fold.before[0]]
        nothing = torch.ones(len(before), device=before.device)
        plain = self._rounded(fold, quantised, moments, nothing)
        made = self._searched(fold, quantised, moments, len(before))
        if made is None:
            return plain
        if before.dim() == 1:  # the norm is written in a shorter dtype, and what it then is counts
            short = _divided(before, made).to(self.dtype).float()
            made = torch.where((short != 0) & short.isfinite(), before / short, 1.0)
        scaled = self._rounded(fold, quantised, moments, made)
        return scaled if scaled.error < plain.error else plain

    def _rounded(self, fold: Fold, quantised: Mapping[str, Tensor], moments: SecondMoments, made: Tensor) -> _Chosen:
        scale = _spread(made, fold)
        levels, total = {}, 0.0
        for name, weight in quantised.items():
            known, wanted = moments.of(name), weight * scale
            plain = nearest(wanted, self._grid(wanted, self._ends(wanted)))
            if known is None:
                levels[name] = plain
                continue
            of_scaled = known / torch.outer(scale, scale)
            clipped = nearest(wanted, self._clipped(wanted, of_scaled))
            best = best_rows(wanted, [plain, clipped], of_scaled)
            levels[name], total = best.levels, total + best.error.double().sum().item()
        return _Chosen(levels, made, scale, total)

    def _searched(
        self, fold: Fold, quantised: Mapping[str, Tensor], moments: SecondMoments, count: int
    ) -> Tensor | None:
        """[rows of what comes before]: the scale that plain rounding is best with; None: better without."""
        known = {name: found for name in quantised if (found := moments.of(name)) is not None}
        if not known:
            return None
        blocks = {name: self._blocks(found) for name, found in known.items()}
        sizes = _gathered(torch.stack([found.diagonal() for found in known.values()]).sum(0), fold, count).sqrt()
        spread = [self._shares(quantised[name]) for name in known]
        shares = _gathered(torch.stack(spread).mean(0), fold, count).clamp(min=LEAST_SHARE)

        def error(made: Tensor) -> float:
            scale, total = _spread(made, fold), 0.0
            for name, block in blocks.items():
                wanted = quantised[name] * scale
                missed = nearest(wanted, self._grid(wanted, self._ends(wanted))).floats() / scale - quantised[name]
                total += self._block_error(missed, block).double().sum().item()
            return total

        best: Tensor | None = None
        least = error(torch.ones_like(sizes))
        for power in POWERS:
            for made in (sizes**power, sizes**power / shares ** (1 - power)):
                made = _centred(made)
                if (reached := error(made)) < least:
                    best, least = made, reached
        return best

    def _grid(self, weight: Tensor, ends: tuple[Tensor, Tensor], clip: float = 1.0) -> Grid:
        """Levels from the least to the largest weight of each group, drawn in to `clip` of that; 0 is among them."""
        low, high = ends
        scales = exact_in((high - low) * clip / TOP, (torch.float16, self.dtype))
        zeros = (-low * clip * inverse(scales)).round().clamp(0, TOP)
        group_of = torch.arange(weight.shape[1]) // self.group
        return Grid(BITS, scales, zeros, group_of)

    def _ends(self, weight: Tensor) -> tuple[Tensor, Tensor]:
        groups = weight.view(len(weight), -1, self.group)
        return groups.amin(2).clamp(max=0), groups.amax(2).clamp(min=0)

    def _clipped(self, weight: Tensor, moments: Tensor) -> Grid:
        """For each group the ends whose rounding moves its part of the output least."""
        ends, blocks = self._ends(weight), self._blocks(moments)
        best = self._grid(weight, ends)
        least = self._block_error(nearest(weight, best).floats() - weight, blocks)
        for clip in CLIPS:
            grid = self._grid(weight, ends, clip)
            error = self._block_error(nearest(weight, grid).floats() - weight, blocks)
            best, least = best.replaced(error < least, grid), torch.minimum(least, error)
        return best

    def _blocks(self, moments: Tensor) -> Tensor:
        """[G, n, n]: the moments of the inputs of each group among themselves."""
        size = self.group
        return moments.view(len(moments) // size, size, -1, size).diagonal(dim1=0, dim2=2).permute(2, 0, 1).contiguous()

    def _block_error(self, missed: Tensor, blocks: Tensor) -> Tensor:
        """[N, G]: the squared error that each group alone brings into each output."""
        parts = missed.view(len(missed), -1, self.group).transpose(0, 1)  # [G, N, n]
        return ((parts @ blocks) * parts).sum(2).T

    def _shares(self, weight: Tensor) -> Tensor:
        """[K]: how much of its group's range each input takes up, in the mean of the outputs."""
        groups = weight.abs().view(len(weight), -1, self.group)
        return (groups * inverse(groups.amax(2, keepdim=True))).mean(0).flatten()


@dataclass(frozen=True)
class _Chosen:
    """Matrices of a fold, rounded."""

    levels: Mapping[str, Levels]
    made: Tensor
    """[rows of what comes before]: what these are divided by."""
    scale: Tensor
    """[K]: the same for each input."""
    error: float
    """Of the outputs, squared and summed over the text."""


def _spread(made: Tensor, fold: Fold) -> Tensor:
    """The scale of each input by that of the row which makes it."""
    if fold.heads is None:
        return made
    values, queries = fold.heads
    return made.view(values, 1, -1).expand(-1, queries, -1).reshape(-1)


def _gathered(inputs: Tensor, fold: Fold, count: int) -> Tensor:
    """[rows of what comes before]: the mean of the inputs that each makes."""
    if fold.heads is None:
        return inputs
    values, queries = fold.heads
    return inputs.view(values, queries, -1).mean(1).reshape(count)


def _centred(made: Tensor) -> Tensor:
    """Around 1, and bounded."""
    least = made[made > 0].min() if (made > 0).any() else torch.ones(())
    made = made.clamp(min=least)
    return (made / (made.max() * made.min()).sqrt()).clamp(1 / WIDEST, WIDEST)


def _divided(tensor: Tensor, made: Tensor) -> Tensor:
    return tensor / made.view(-1, *[1] * (tensor.dim() - 1))


def _parts(name: str, levels: Levels) -> dict[str, tuple[int, Tensor]]:
    stem, grid = name.removesuffix("weight"), levels.grid
    tensors = {
        "qweight": _packed(levels.q),
        "qzeros": _packed(grid.zeros.to(torch.uint8)),
        "scales": grid.scales.T.to(torch.float16),
    }
    return {f"{stem}{part}": (0, tensor.cpu()) for part, tensor in tensors.items()}


def _packed(levels: Tensor) -> Tensor:
    """[N, any] -> [any, N / 8] int32."""
    eights = levels.T.reshape(levels.shape[1], -1, len(ORDER))
    return words(eights[..., list(ORDER)].flatten(1).contiguous(), BITS)
