"""Weights on 255 or 16 levels, in groups of 32 with an fp16 scale: 8.5 and 4.5 bits instead of 32.

Quantised are all matrices: projections, experts one by one, embedding and LM head. Norms and routers keep their
precision, they are a thousandth of the weights, and so does a matrix whose inputs are no multiple of 32. A group's
scale is the best of a small search (`kernels.round_to_levels`).
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from sansi.base.errors import SansiError, did_you_mean
from sansi.base.files import atomic_folder, read_json, write_json
from sansi.model.config import ModelConfig
from sansi.model.formats.hf import EMBEDDING, LM_HEAD, WeightReader, model_folder
from sansi.model.formats.names import tensor_table
from sansi.model.kernels import GROUP, LEVELS, PANEL, Arena, PackedWeight, pack, unpack
from sansi.model.transformer import Transformer

FILE = "quantized.safetensors"
"""Not model.safetensors: some programs would warn of an unknown quantisation and go on with random weights."""
METHOD = "sansi"
"""`quant_method` in the quantization_config of a saved folder: a name that other programs refuse."""
FORM = MappingProxyType({"quant_method": METHOD, "layout": "panels-16", "group_size": GROUP})
"""How the bytes of a tensor lie is in `kernels/cpu/gemm.h`; another layout will have another name."""
VALUES_AT_ONCE = 65536  # of a weight, while it is rounded: what that takes stays in the cache
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

    def save(self, folder: str | Path, extra_files: Iterable[str | Path] = ()) -> None:
        """Write a folder that `load_quantized` reads; it appears whole or not at all.

        `extra_files` (tokenizer files, a model card) are copied in. Raises SansiError when `folder` exists and is
        something else than a model folder, or an extra file is missing.
        """
        folder, files = Path(folder), [Path(file) for file in extra_files]
        if folder.exists() and not (folder / "config.json").is_file() and (folder.is_file() or any(folder.iterdir())):
            raise SansiError(f"{folder} exists and is not a model folder; saving would delete it, choose another name")
        if missing := [str(file) for file in files if not file.is_file()]:
            raise SansiError(f"extra files to save with the model do not exist: {', '.join(missing)}")
        tensors = {name: tensor.contiguous() for name, tensor in self.others.items()}
        for name, packed in self.matrices.items():
            tensors |= {f"{name}.levels": packed.data, f"{name}.scales": packed.scales}
        described = {**FORM, "kind": self.kind, "outer": self.outer}
        with atomic_folder(folder) as draft:
            for file in files:
                shutil.copy(file, draft)
            write_json(draft / "config.json", {**self.config.to_hf(), "quantization_config": described})
            save_file(tensors, draft / FILE)


def quantize(source: Transformer | str | Path, kind: str, outer: str | None = None) -> QuantizedWeights:
    """Quantise a model, or the model in a folder, of which then never more than a piece is in memory in full.

    kind: "int4" or "int8"; outer: the same for embedding and LM head, default `kind`. Raises SansiError for another
    kind, for weights that are not finite, and as `load` does.
    """
    outer = outer or kind
    _check_kinds(kind, outer)
    if isinstance(source, Transformer):
        table = tensor_table(source)
        config, shapes = source.config, {name: tuple(tensor.shape) for name, tensor in table.items()}
        return _quantize(config, shapes, lambda name, first, last: table[name][first:last].cpu(), kind, outer)
    reader = WeightReader(source)
    return _quantize(reader.config, reader.shapes, reader.rows, kind, outer)


def kind_of(name: str, shape: tuple[int, ...], kind: str, outer: str) -> str | None:
    """How the tensor `name` is quantised in a model of `kind` and `outer`; None: not at all."""
    if len(shape) != 2 or shape[1] % GROUP or name.endswith(".mlp.gate.weight"):
        return None
    return outer if name in (EMBEDDING, LM_HEAD) else kind


def load_quantized(folder: str | Path) -> QuantizedWeights:
    """What `QuantizedWeights.save` wrote. Raises SansiError for a folder that is damaged, or not of that kind."""
    folder = model_folder(folder)
    file = folder / "config.json"
    values = read_json(file)
    described = values.pop("quantization_config", None) if isinstance(values, dict) else None
    kind, outer = _described_kinds(described, file)
    config = ModelConfig.from_hf(values, str(file))
    with torch.device("meta"):
        shapes = {name: tuple(tensor.shape) for name, tensor in tensor_table(Transformer(config)).items()}
    arena = Arena()
    matrices = {
        name: PackedWeight.zeros(chosen, shape[0], shape[1], arena)
        for name, shape in shapes.items()
        if (chosen := kind_of(name, shape, kind, outer))
    }
    others = {name: torch.empty(shape) for name, shape in shapes.items() if name not in matrices}
    _read(folder, matrices, others)
    return QuantizedWeights(config, kind, outer, matrices, others)


def is_quantized(folder: str | Path) -> bool:
    """Whether a model folder is one of `QuantizedWeights.save`. Raises SansiError if it is no model folder."""
    values = read_json(model_folder(folder) / "config.json")
    described = values.get("quantization_config") if isinstance(values, dict) else None
    return isinstance(described, dict) and described.get("quant_method") == METHOD


@torch.no_grad()
def dequantize(weights: QuantizedWeights) -> Transformer:
    """A float32 model on the CPU with the quantised values, for whatever has no kernels for them."""
    with torch.device("meta"):
        model = Transformer(weights.config).to(torch.float32)
    model.to_empty(device="cpu")
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


def _check_kinds(kind: str, outer: str) -> None:
    for param, value in (("quantize", kind), ("outer", outer)):
        if value not in LEVELS:
            raise SansiError(f'unknown quantisation "{value}"{did_you_mean(value, LEVELS)}', param=param)


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
        try:
            _fill(matrices[name], name, rows)
        except SansiError as error:
            raise SansiError(f"{name}: {error}", param=error.param) from error
    return QuantizedWeights(config, kind, outer, matrices, others)


def _fill(packed: PackedWeight, name: str, rows: Rows) -> None:
    panels = len(packed.scales)
    data = packed.data.view(panels, -1)
    step = max(VALUES_AT_ONCE // packed.columns // PANEL, 1)
    for first in range(0, panels, step):
        last = min(first + step, panels)
        part = pack(rows(name, first * PANEL, min(last * PANEL, packed.rows)), packed.kind)
        data[first:last] = part.data.view(last - first, -1)
        packed.scales[first:last] = part.scales


def _described_kinds(described: Any, file: Path) -> tuple[str, str]:
    """kind and outer of a quantization_config that is ours."""
    if not isinstance(described, dict) or described.get("quant_method") != METHOD:
        raise SansiError(f"{file} describes no weights quantised by Sansi; load it in full and quantise it")
    kind, outer = str(described.get("kind")), str(described.get("outer"))
    if {**FORM, "kind": kind, "outer": outer} != described or not {kind, outer} <= set(LEVELS):
        raise SansiError(f"{file}: this form of quantised weights is unknown: {described}; quantise the model again")
    return kind, outer


def _read(folder: Path, matrices: Mapping[str, PackedWeight], others: dict[str, Tensor]) -> None:
    """Fill the tensors; what is not quantised takes the dtype of the file."""
    places = {f"{name}.levels": packed.data for name, packed in matrices.items()}
    places |= {f"{name}.scales": packed.scales for name, packed in matrices.items()}
    missing = {*places, *others}
    file = folder / FILE
    if not file.is_file():
        raise SansiError(f"{folder} has no {FILE}; copy or download it again")
    try:
        with safe_open(file, framework="pt") as weights:
            for name in weights.keys():  # noqa: SIM118 (not a mapping)
                tensor = weights.get_tensor(name)
                place = places.get(name, others.get(name))
                if place is None or place.shape != tensor.shape:
                    raise SansiError(f"{file}: {name} {list(tensor.shape)} does not fit config.json")
                if name in others:
                    others[name] = tensor.clone()
                else:
                    place.copy_(tensor)
                missing.discard(name)
    except SafetensorError as error:
        raise SansiError(f"{file}: damaged ({error}); copy or download it again") from error
    if missing:
        raise SansiError(f"{file}: missing: {', '.join(sorted(missing)[:10])}; copy or download it again")
