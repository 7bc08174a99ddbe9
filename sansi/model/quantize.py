"""Weights on 255 or 16 levels, in groups of 32 with an fp16 scale: 8.5 and 4.5 bits instead of 32.

Quantised are all matrices: projections, experts one by one, embedding and LM head. Norms and routers keep their
precision, they are a thousandth of the weights, and so does a matrix whose inputs are no multiple of 32. A group's
scale is the best of a small search (`kernels.round_to_levels`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

import torch
from safetensors.torch import save_file
from torch import Tensor

from sansi.base.device import DeviceLike, DtypeLike, resolve_device, resolve_dtype
from sansi.base.errors import SansiError, did_you_mean
from sansi.base.files import as_path, updated_folder, write_json
from sansi.model.bundle import ModelBundle
from sansi.model.config import ModelConfig
from sansi.model.formats.files import QUANT_METHOD, QUANTIZED_FILE, is_ours
from sansi.model.formats.folders import model_folder, read_config, read_config_values
from sansi.model.formats.names import tensor_table
from sansi.model.formats.target import check_target, kept_cards
from sansi.model.formats.tensors import EMBEDDING, LM_HEAD, TensorFiles, WeightReader
from sansi.model.kernels import (
    GROUP,
    LEVELS,
    PANEL,
    Arena,
    PackedWeight,
    pack_levels,
    unpack,
    unpack_levels,
)
from sansi.model.kernels.cpu.packing import pack_into, rows_at_once
from sansi.model.transformer import Transformer, uncompiled

FORM = MappingProxyType({"quant_method": QUANT_METHOD, "layout": "panels-16", "group_size": GROUP})
"""How the bytes of a tensor lie is in `kernels/cpu/gemm.h`; another layout will have another name."""
DEFAULT_OUTER = "int8"  # of embedding and LM head, which are felt more than other matrices and read one row at a time
Rows = Callable[[str, int, int], Tensor]
"""(name on the hub, first, last) -> those rows of the tensor."""


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


def quantize(source: Transformer | str | Path, kind: str, outer: str | None = None) -> QuantizedWeights:
    """Quantise a model, or the model in a folder, of which then never more than a piece is in memory in full.

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
    reader = WeightReader(source)
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


def kinds_of(shapes: Mapping[str, tuple[int, ...]], kind: str, outer: str) -> dict[str, str]:
    """`kind_of` of each tensor that is quantised, by name."""
    found = {name: kind_of(name, shape, kind, outer) for name, shape in shapes.items()}
    return {name: chosen for name, chosen in found.items() if chosen}


def kind_of(name: str, shape: tuple[int, ...], kind: str, outer: str) -> str | None:
    """How the tensor `name` is quantised in a model of `kind` and `outer`; None: not at all."""
    if len(shape) != 2 or shape[1] % GROUP or name.endswith(".mlp.gate.weight"):
        return None
    return outer if name in (EMBEDDING, LM_HEAD) else kind


def fill_from_rows(
    packed: PackedWeight, names: Sequence[str], shapes: Mapping[str, tuple[int, ...]], rows: Rows
) -> None:
    """Put the rows of all `names`, one after the other, into `packed`, rounded to its kind.

    Raises SansiError that names the tensor where a value can not be rounded.
    """
    at = 0
    for name, piece in _pieces(packed, names, shapes, rows):
        try:
            pack_into(packed, at, piece)
        except SansiError as error:
            raise SansiError(f"{name}: {error}", param=error.param) from error
        at += len(piece)


def load_quantized(folder: str | Path) -> QuantizedWeights:
    """What `QuantizedWeights.save` wrote. Raises SansiError for a folder that is damaged, or not of that kind."""
    reader = QuantizedReader(folder)
    arena = Arena()
    matrices = {name: reader.packed(name, arena) for name in reader.kinds}
    others = {name: reader.rows(name, 0, shape[0]) for name, shape in reader.shapes.items() if name not in matrices}
    return QuantizedWeights(reader.config, reader.kind, reader.outer, matrices, others)


class QuantizedReader:
    """The weights in a folder of `QuantizedWeights.save`, piece by piece. Raises as `load_quantized` does."""

    BYTES_AT_ONCE = 16 * 2**20

    def __init__(self, folder: str | Path):
        kinds = stored_kinds(folder)
        folder = model_folder(folder)
        if kinds is None:
            file = folder / "config.json"
            raise SansiError(f"{file} describes no weights quantised by Sansi; load it in full and quantise it")
        self.kind, self.outer = kinds
        self.config = read_config(folder)
        with torch.device("meta"):
            table = tensor_table(Transformer(self.config))
        self.shapes = {name: tuple(tensor.shape) for name, tensor in table.items()}
        """Of every tensor of the model, experts one by one."""
        self.kinds = kinds_of(self.shapes, self.kind, self.outer)
        """Of those that are quantised."""
        self._file = file = folder / QUANTIZED_FILE
        if not file.is_file():
            raise SansiError(f"{folder} has no {QUANTIZED_FILE}; copy or download it again")
        self._files = TensorFiles([file])
        _check_tensors(file, self._files.shapes, _stored_shapes(self.shapes, self.kinds))

    def rows(self, name: str, first: int, last: int) -> Tensor:
        """Rows [first, last) of a tensor that is not quantised, in the dtype of the file."""
        return self._files.read(name, slice(first, last)).clone()

    def fill(self, names: Sequence[str], packed: PackedWeight) -> None:
        """Put the rows of all `names`, one after the other, into `packed`, which is of their kind."""
        if names[0] not in self.kinds:
            fill_from_rows(packed, names, self.shapes, self.rows)
            return
        if any(self.shapes[name][0] % PANEL for name in names[:-1]):  # panels that hold rows of two
            levels, all_scales = zip(*(unpack_levels(self.packed(name)) for name in names), strict=True)
            whole = pack_levels(torch.cat(levels), torch.cat(all_scales), packed.kind)
            packed.data.copy_(whole.data)
            packed.scales.copy_(whole.scales)
            return
        at = panel = 0
        data = packed.data.numpy()  # numpy copies on this thread alone, as fast as memory is; torch would wake others
        for name in names:
            for piece in self._pieces(f"{name}.levels"):
                data[at : at + len(piece)] = piece.numpy()
                at += len(piece)
            scales = self._read(f"{name}.scales", slice(None), torch.float16)
            packed.scales[panel : panel + len(scales)] = scales
            panel += len(scales)

    def packed(self, name: str, arena: Arena | None = None) -> PackedWeight:
        """One quantised matrix."""
        rows, columns = self.shapes[name]
        packed = PackedWeight.zeros(self.kinds[name], rows, columns, arena)
        self.fill([name], packed)
        return packed

    def _pieces(self, name: str) -> Iterator[Tensor]:
        for first in range(0, self._files.shapes[name][0], self.BYTES_AT_ONCE):
            yield self._read(name, slice(first, first + self.BYTES_AT_ONCE), torch.uint8)

    def _read(self, name: str, piece: slice, dtype: torch.dtype) -> Tensor:
        tensor = self._files.read(name, piece)
        if tensor.dtype != dtype:
            raise SansiError(f"{self._file}: {name} is {tensor.dtype}, not {dtype}; copy or download it again")
        return tensor


def stored_kinds(folder: str | Path) -> tuple[str, str] | None:
    """`kind` and `outer` of a folder of `QuantizedWeights.save`; None for a folder of full weights.

    Raises SansiError if it is no model folder, or of a form that is unknown.
    """
    described = read_config_values(folder).get("quantization_config")
    if described is None or not is_ours(described):
        return None
    kind, outer = str(described.get("kind")), str(described.get("outer"))
    if {**FORM, "kind": kind, "outer": outer} != described or not {kind, outer} <= set(LEVELS):
        file = Path(folder) / "config.json"
        raise SansiError(f"{file}: this form of quantised weights is unknown: {described}; quantise the model again")
    return kind, outer


def check_stored(folder: str | Path, quantize: str | None, outer: str | None) -> None:
    """Raise SansiError where another kind is asked for than the quantised folder has."""
    kinds = stored_kinds(folder)
    assert kinds is not None
    for param, asked, kind in (("quantize", quantize, kinds[0]), ("outer", outer, kinds[1])):
        if asked is not None and asked != kind:
            where = "weights" if param == "quantize" else "embedding and LM head"
            raise SansiError(
                f'{folder} holds {kind} {where}, and {param}="{asked}" can not be made of them; leave it out, or '
                "quantise the full model",
                param=param,
            )


@torch.no_grad()
def dequantize(weights: QuantizedWeights, dtype: DtypeLike = "float32", device: DeviceLike = "cpu") -> Transformer:
    """A model with the quantised values, for whatever has no kernels for them."""
    place = resolve_device(device)
    with torch.device("meta"):
        model = Transformer(weights.config).to(resolve_dtype(dtype, place))
    model.to_empty(device=place)
    model.init_buffers()
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


def _pieces(
    packed: PackedWeight, names: Sequence[str], shapes: Mapping[str, tuple[int, ...]], rows: Rows
) -> Iterator[tuple[str, Tensor]]:
    """Name and rows, of whole panels but for the last."""
    if any(shapes[name][0] % PANEL for name in names[:-1]):
        yield " and ".join(names), torch.cat([rows(name, 0, shapes[name][0]) for name in names])
        return
    step = rows_at_once(packed.kind, packed.columns)
    for name in names:
        for first in range(0, shapes[name][0], step):
            yield name, rows(name, first, min(first + step, shapes[name][0]))


def _stored_shapes(shapes: Mapping[str, tuple[int, ...]], kinds: Mapping[str, str]) -> dict[str, tuple[int, ...]]:
    """Of the tensors in the file."""
    stored = {name: shape for name, shape in shapes.items() if name not in kinds}
    for name, kind in kinds.items():
        rows, columns = shapes[name]
        panels = -(-rows // PANEL)
        stored[f"{name}.levels"] = (panels * PANEL * columns // (2 if kind == "int4" else 1),)
        stored[f"{name}.scales"] = (panels, columns // GROUP, PANEL)
    return stored


def _check_tensors(file: Path, found: Mapping[str, tuple[int, ...]], expected: Mapping[str, tuple[int, ...]]) -> None:
    for name, shape in found.items():
        if expected.get(name) != shape:
            raise SansiError(f"{file}: {name} {list(shape)} does not fit config.json")
    if missing := expected.keys() - found.keys():
        raise SansiError(f"{file}: missing: {', '.join(sorted(missing)[:10])}; copy or download it again")
