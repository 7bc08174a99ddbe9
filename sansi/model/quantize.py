"""Weights on 255 or 16 levels, in groups of 32 with an fp16 scale: 8.5 and 4.5 bits instead of 32.

Quantised are all matrices: projections, experts one by one, embedding and LM head. Norms and routers keep their
precision, they are a thousandth of the weights, and so does a matrix whose inputs are no multiple of 32. A group's
scale is the best of a small search (`kernels.round_to_levels`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import Tensor

from sansi.base.device import DeviceLike, DtypeLike, resolve_device, resolve_dtype
from sansi.base.errors import SansiError, did_you_mean
from sansi.base.files import as_path, updated_folder, write_json
from sansi.model.bundle import ModelBundle
from sansi.model.config import ModelConfig
from sansi.model.formats.files import QUANTIZED_FILE
from sansi.model.formats.names import tensor_table
from sansi.model.formats.quantized import DEFAULT_OUTER, FORM, QuantizedReader, kind_of
from sansi.model.formats.source import WeightSource, open_source
from sansi.model.formats.target import check_target, kept_cards
from sansi.model.formats.weights import Rows, fill_from_rows
from sansi.model.kernels import (
    LEVELS,
    Arena,
    PackedWeight,
    unpack,
)
from sansi.model.transformer import Transformer, uncompiled


@dataclass(frozen=True)
class QuantizedWeights:
    """A model's weights; names are those on the hub, experts one by one, a tied LM head only as the embedding."""

    config: ModelConfig
    kind: str
    """ "int4" or "int8"."""
    outer: str
    """The same of embedding and LM head."""
    matrices: Mapping[str, PackedWeight]
    others: Mapping[str, Tensor]
    """What is not quantised, in the dtype that it had."""

    @property
    def nbytes(self) -> int:
        return sum(m.nbytes for m in self.matrices.values()) + sum(t.nbytes for t in self.others.values())

    @property
    def bits_per_weight(self) -> float:
        count = sum(m.rows * m.columns for m in self.matrices.values()) + sum(t.numel() for t in self.others.values())
        return self.nbytes * 8 / count

    def save(self, folder: str | Path, bundle: ModelBundle | None = None) -> None:
        """Write a folder that `load_quantized` reads, with what `bundle` holds; it changes as a whole or not at all.

        What else is in it stays. Raises SansiError for a folder of full weights, and where a file would be replaced
        that is not a model's.
        """
        folder = as_path(folder, "a model folder")
        bundle = kept_cards(bundle, folder)
        check_target(folder, bundle, quantised=True)
        tensors = {name: tensor.contiguous() for name, tensor in self.others.items()}
        for name, packed in self.matrices.items():
            tensors |= {f"{name}.levels": packed.data, f"{name}.scales": packed.scales}
        described = {**FORM, "kind": self.kind, "outer": self.outer}
        with updated_folder(folder) as draft:
            bundle.write(draft)
            values = bundle.with_token_ids(self.config.to_hf())
            write_json(draft / "config.json", {**values, "quantization_config": described})
            save_file(tensors, draft / QUANTIZED_FILE)


def quantize(source: Transformer | WeightSource | str | Path, kind: str, outer: str | None = None) -> QuantizedWeights:
    """Quantise a model, or the model of a source or in a folder, of which then never more than a piece is in memory.

    kind: "int4" or "int8"; outer: the same for embedding and LM head, default int8. Raises SansiError for another
    kind, for weights that are not finite, and as `load` does.
    """
    outer = outer or DEFAULT_OUTER
    check_kinds(kind, outer)
    source = uncompiled(source)
    if isinstance(source, Transformer):
        table = tensor_table(source)
        config, shapes = source.config, {name: tuple(tensor.shape) for name, tensor in table.items()}
        return _quantize(config, shapes, lambda name, first, last: table[name][first:last].cpu(), kind, outer)
    reader = open_source(source) if isinstance(source, str | Path) else source
    if isinstance(reader, QuantizedReader):
        raise SansiError(
            f"{source} holds weights that Sansi quantised already ({reader.kind}); other kinds need the full model"
        )
    return _quantize(reader.config, reader.shapes, reader.rows, kind, outer)


def check_kinds(kind: str, outer: str) -> None:
    """Raise SansiError, with `param`, for a kind that there is not."""
    for param, value in (("quantize", kind), ("outer", outer)):
        if value not in tuple(LEVELS):
            raise SansiError(f'unknown quantisation "{value}"{did_you_mean(value, LEVELS)}', param=param)


def check_outer(quantize: str | None, outer: str | None) -> None:
    """Raise SansiError where `outer` has nothing to be the outer of."""
    if outer is not None and quantize is None:
        problem = "is the kind of embedding and LM head beside quantised weights; give quantize too"
        raise SansiError(f'outer="{outer}" {problem}', param="outer")


def load_quantized(folder: str | Path) -> QuantizedWeights:
    """What `QuantizedWeights.save` wrote. Raises SansiError for a folder that is damaged, or not of that kind."""
    reader = QuantizedReader(folder)
    arena = Arena()
    matrices = {name: reader.packed(name, arena) for name in reader.kinds}
    others = {name: reader.rows(name, 0, shape[0]) for name, shape in reader.shapes.items() if name not in matrices}
    return QuantizedWeights(reader.config, reader.kind, reader.outer, matrices, others)


@torch.no_grad()
def dequantize(weights: QuantizedWeights, dtype: DtypeLike = "float32", device: DeviceLike = "cpu") -> Transformer:
    """A model with the quantised values, for whatever has no kernels for them."""
    place = resolve_device(device)
    with torch.device("meta"):
        model = Transformer(weights.config).to(resolve_dtype(dtype, place))
    model.to_empty(device=place)
    for name, tensor in tensor_table(model).items():
        tensor.copy_(unpack(weights.matrices[name]) if name in weights.matrices else weights.others[name])
    return model.eval()


@dataclass(frozen=True)
class KLReport:
    """The divergence KL(full || quantised) of the next-token distributions, in nats, over `tokens` positions."""

    tokens: int
    mean: float
    p99: float
    worst: float
    same_top: float
    """Share of positions where both find the same token likeliest."""

    @property
    def judgement(self) -> str:
        """What the mean means to somebody who asks questions."""
        if self.mean < 0.01:
            return "hardly to be told from the full model"
        if self.mean < 0.05:
            return "a small loss: now and then another word, seldom another answer"
        if self.mean < 0.2:
            return "a loss that shows: expect more wrong answers to hard questions"
        return "a large loss: take int8, or a smaller model in full"

    def __str__(self) -> str:
        return (
            f"KL {self.mean:.5f} nats (99%: {self.p99:.4f}, worst: {self.worst:.4f}), "
            f"same first choice {self.same_top:.2%} of {self.tokens:,} tokens"
        )


@torch.no_grad()
def kl_to_full(
    full: Callable[[Tensor], Tensor], quantised: Callable[[Tensor], Tensor], batches: Iterable[Tensor]
) -> KLReport:
    """Compare two models, functions of ids [B, T] to logits [B, T, V], over `batches` of ids; every position counts."""
    divergences, same = [], []
    for ids in batches:
        expected, found = (model(ids).float().log_softmax(-1) for model in (full, quantised))
        divergences.append((expected.exp() * (expected - found)).sum(-1).flatten().double())
        same.append((expected.argmax(-1) == found.argmax(-1)).flatten())
    values = torch.cat(divergences).clamp(min=0)  # rounding can leave a zero slightly below itself
    agree = torch.cat(same).double().mean().item()
    return KLReport(len(values), values.mean().item(), values.quantile(0.99).item(), values.max().item(), agree)


# ---- the work --------------------------------------------------------------------------------------------------------


@torch.no_grad()
def _quantize(
    config: ModelConfig, shapes: Mapping[str, tuple[int, ...]], rows: Rows, kind: str, outer: str
) -> QuantizedWeights:
    arena = Arena()
    matrices, others = {}, {}
    for name, shape in shapes.items():
        chosen = kind_of(name, shape, kind, outer)
        if chosen is None:
            others[name] = rows(name, 0, shape[0]).clone()
            continue
        matrices[name] = PackedWeight.zeros(chosen, shape[0], shape[1], arena)
        fill_from_rows(matrices[name], [name], shapes, rows)
    return QuantizedWeights(config, kind, outer, matrices, others)
