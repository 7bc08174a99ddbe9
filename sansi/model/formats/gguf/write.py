"""Writes a model as a GGUF file, piece by piece: never more than a piece of a tensor is in memory in full."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import torch
from torch import Tensor

from sansi.base.drafts import draft_beside
from sansi.base.errors import SansiError
from sansi.base.files import as_path, check_above
from sansi.base.sizes import size_text
from sansi.model.bundle import ModelBundle
from sansi.model.formats.gguf import blocks
from sansi.model.formats.gguf.container import Planned, Typed, aligned, head
from sansi.model.formats.gguf.describe import metadata_of, rope_factors
from sansi.model.formats.gguf.file import SPLIT, split_names
from sansi.model.formats.gguf.names import ROPE_FACTORS, in_order, paired_row, place_of
from sansi.model.formats.gguf.recipe import Recipe
from sansi.model.formats.gguf.rounding import round_rows
from sansi.model.formats.importance import Importance
from sansi.model.formats.weights import VALUES_AT_ONCE, ModelWeights, WeightSource
from sansi.model.formats.written import WrittenTensor
from sansi.model.transformer import Transformer


@dataclass(frozen=True)
class WrittenGguf:
    """What was written."""

    files: tuple[Path, ...]
    kind: str
    """ "Q4_K_M"."""
    nbytes: int
    bits: float
    """Mean per weight."""
    tensors: tuple[WrittenTensor, ...]
    """By the names and kinds of the file."""


def write_gguf(
    source: WeightSource | Transformer,
    file: str | Path,
    kind: str,
    bundle: ModelBundle | None = None,
    importance: Importance | None = None,
    *,
    name: str | None = None,
    split_bytes: int | None = None,
    overwrite: bool = False,
    extra: Mapping[str, Any] | None = None,
    progress: Callable[[int], None] | None = None,
) -> WrittenGguf:
    """Write `source` to `file`, whole or not at all, with what `bundle` holds: tokenizer, template, sampling, licence.

    kind: one of `recipe.MIXTURES`. importance: of inputs, which rounding then has regard to. split_bytes: the largest
    size of a file, of which there are then several. extra: more metadata. progress: gets the bytes written so far.

    Raises SansiError for what is there already (unless `overwrite`), a full disk, an unknown kind, weights that can not
    be rounded, and for what a GGUF file can not tell of.
    """
    weights = ModelWeights(source) if isinstance(source, Transformer) else source
    target = as_path(file, "a GGUF file")
    if target.suffix.lower() != ".gguf":
        raise SansiError(f"{target} is to be a GGUF file; let its name end in .gguf")
    recipe = Recipe.named(kind, weights.config, importance is not None)
    bundle = bundle or ModelBundle()
    if importance:
        extra = {"sansi.importance.tokens": importance.tokens, **(extra or {})}
    described = metadata_of(weights.config, bundle, name or target.stem, recipe.file_type) | dict(extra or {})
    tensors = planned(weights, recipe)
    parts = _parts(tensors, split_bytes)
    targets = _names(target, len(parts))
    _check_place(targets, sum(aligned(t.nbytes) for t in tensors), overwrite)
    writer = _Writer(weights, importance.inputs if importance else {}, progress)
    with ExitStack() as stack:
        drafts = [stack.enter_context(_draft(path)) for path in targets]
        for number, (draft, part) in enumerate(zip(drafts, parts, strict=True)):
            says = {} if number else described
            writer.write(draft, head(says | _split(number, len(parts), len(tensors)), part), part)
        for draft, path in zip(drafts, targets, strict=True):
            os.replace(draft, path)
    bits = blocks.mean_bits([(tensor.kind, tensor.shape) for tensor in tensors])
    nbytes = sum(path.stat().st_size for path in targets)
    return WrittenGguf(tuple(targets), recipe.name, nbytes, bits, tuple(writer.written))


def planned(weights: WeightSource, recipe: Recipe) -> list[Planned]:
    """The tensors of the file, in its order."""
    config, found = weights.config, []
    if factors := rope_factors(config):
        found.append(Planned(ROPE_FACTORS, blocks.F32, (len(factors),)))
    for name, names in in_order(weights.shapes, config).items():
        shape = weights.shapes[names[0]]
        whole = shape if place_of(names[0], config).expert is None else (len(names), *shape)
        found.append(Planned(name, recipe.kind_of(name, whole), whole, tuple(names)))
    return found


class _Writer:
    """Writes the data of tensors, and counts."""

    def __init__(self, weights: WeightSource, importance: Mapping[str, Tensor], progress: Callable[[int], None] | None):
        self.written: list[WrittenTensor] = []
        self._weights, self._importance, self._progress = weights, importance, progress
        self._done = 0

    def write(self, draft: Path, start: bytes, tensors: Sequence[Planned]) -> None:
        try:
            with draft.open("wb") as out:
                out.write(start)
                for tensor in tensors:
                    self._tensor(out, tensor)
                out.flush()
                os.fsync(out.fileno())
        except OSError as error:
            why = f"{draft.parent} can not be written ({error.strerror})"
            raise SansiError(f"{why}; make room, or choose another folder") from error

    def _tensor(self, out: BinaryIO, tensor: Planned) -> None:
        missed = total = 0.0
        for name, rows in self._pieces(tensor):
            try:
                rounded = round_rows(rows, tensor.kind, self._importance.get(name))
            except SansiError as error:
                raise SansiError(f"{name}: {error}") from error
            out.write(rounded.data.numpy().tobytes())
            missed, total = missed + rounded.missed, total + rounded.total
            self._done += rounded.data.nbytes
            if self._progress:
                self._progress(self._done)
        out.write(bytes(aligned(tensor.nbytes) - tensor.nbytes))
        self.written.append(WrittenTensor(tensor.name, tensor.kind.name, (missed / total) ** 0.5 if total else 0.0))

    def _pieces(self, tensor: Planned) -> Iterator[tuple[str, Tensor]]:
        """Name on the hub, and rows in the order of the file."""
        config = self._weights.config
        if not tensor.names:
            yield tensor.name, torch.tensor([rope_factors(config)])
            return
        for name in tensor.names:
            shape, paired = self._weights.shapes[name], place_of(name, config).paired
            unit = config.head_dim if paired else 1
            step = max(1, VALUES_AT_ONCE // (shape[-1] if len(shape) > 1 else 1) // unit) * unit
            for first in range(0, shape[0], step):
                rows = self._weights.rows(name, first, min(first + step, shape[0]))
                if paired:
                    rows = rows[_file_order(len(rows), unit)]
                yield name, rows if rows.dim() > 1 else rows.unsqueeze(0)


def _file_order(count: int, head_dim: int) -> Tensor:
    """Which of the hub's rows stands in each row of the file."""
    order = torch.empty(count, dtype=torch.long)
    order[[paired_row(row, head_dim) for row in range(count)]] = torch.arange(count)
    return order


def _parts(tensors: Sequence[Planned], most: int | None) -> list[list[Planned]]:
    """Tensors in order, cut where a file would pass `most` bytes; a larger tensor gets a file of its own."""
    if most is not None and (type(most) is not int or most < 1):
        raise SansiError(f"split_bytes must be 1 or more, not {most!r:.40}", param="split_bytes")
    parts: list[list[Planned]] = [[]]
    size = 0
    for tensor in tensors:
        if most is not None and parts[-1] and size + tensor.nbytes > most:
            parts.append([])
            size = 0
        parts[-1].append(tensor)
        size += aligned(tensor.nbytes)
    return parts


def _names(target: Path, count: int) -> list[Path]:
    if count == 1:
        return [target]
    match = SPLIT.fullmatch(target.name)
    stem = match["stem"] if match else target.stem
    return [target.with_name(name) for name in split_names(stem, count)]


def _split(number: int, count: int, tensors: int) -> dict[str, Any]:
    if count == 1:
        return {}
    numbers = {"split.no": Typed(number, "H"), "split.count": Typed(count, "H")}
    return {**numbers, "split.tensors.count": Typed(tensors, "i")}


def _check_place(targets: Sequence[Path], nbytes: int, overwrite: bool) -> None:
    for path in targets:
        if path.is_dir() or (os.path.lexists(path) and not overwrite):
            raise SansiError(f"{path} is there already; choose another name, or let it be replaced")
    check_above(targets[0])
    folder = targets[0].parent
    folder.mkdir(parents=True, exist_ok=True)
    free = shutil.disk_usage(folder).free
    if nbytes > free:
        raise SansiError(f"{targets[0]} takes {size_text(nbytes)}, and {size_text(free)} are free there; make room")


@contextmanager
def _draft(target: Path) -> Iterator[Path]:
    """A draft beside its target, gone at the end unless it took the target's place."""
    with draft_beside(target) as draft:
        try:
            yield draft
        finally:
            draft.unlink(missing_ok=True)
