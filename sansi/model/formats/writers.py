"""Writes a model into a folder of another format, piece by piece: never more than a piece is in memory in full."""

from __future__ import annotations

import math
import shutil
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any

import torch
from torch import Tensor

from sansi.base.config import as_config
from sansi.base.errors import SansiError, did_you_mean
from sansi.base.files import as_path, atomic_folder, check_replaceable, nearest_there, read_json, write_json
from sansi.base.sizes import size_text
from sansi.model.bundle import ModelBundle
from sansi.model.formats.files import described_by, method_of
from sansi.model.formats.source import open_source
from sansi.model.formats.weights import ModelWeights, WeightSource
from sansi.model.formats.writing.awq import AwqWriter
from sansi.model.formats.writing.calibrated import CalibratedFormat
from sansi.model.formats.writing.compressed_tensors import CompressedWriter
from sansi.model.formats.writing.folder_format import FolderFormat, WriterOptions
from sansi.model.formats.writing.fp8 import Fp8Writer
from sansi.model.formats.writing.gptq import GptqWriter
from sansi.model.formats.writing.hf import HfWriter
from sansi.model.formats.writing.mlx import MlxWriter
from sansi.model.formats.writing.shards import Stored, shards
from sansi.model.formats.written import WrittenFolder, WrittenTensor
from sansi.model.transformer import Transformer, uncompiled

WRITERS: Mapping[str, type[FolderFormat]] = MappingProxyType(
    {writer.name: writer for writer in (HfWriter, Fp8Writer, AwqWriter, GptqWriter, CompressedWriter, MlxWriter)}
)
"""By what `sansi export --to` calls them."""


@torch.no_grad()
def write_folder(
    source: WeightSource | Transformer,
    folder: str | Path,
    format: str,
    bundle: ModelBundle | None = None,
    *,
    calibration: Iterable[Tensor] | None = None,
    options: Mapping[str, Any] = MappingProxyType({}),
    overwrite: bool = False,
    extra: Mapping[str, Any] = MappingProxyType({}),
    progress: Callable[[int], None] | None = None,
) -> WrittenFolder:
    """Write `source` to `folder`, whole or not at all, with what `bundle` holds: tokenizer, template, sampling, cards.

    calibration: batches of ids [B, T], for the formats that look at what comes into a matrix. options: of the format
    (its `options_type`). extra: more keys of config.json, and where the value is bytes more files. progress: gets the
    bytes written so far.

    Raises SansiError for an unknown format or option, a calibration that is missing or that nothing reads, a folder
    that is there already (unless `overwrite`, and even then one with files of somebody else, or with a model in another
    format), a full disk, and weights that can not be rounded.
    """
    source = uncompiled(source)
    weights = ModelWeights(source) if isinstance(source, Transformer) else source
    target, bundle = as_path(folder, "a model folder"), bundle or ModelBundle()
    writer = _writer(weights, format, options, calibration)
    values = _config_values(writer, bundle, extra)
    planned = writer.planned()
    nbytes = sum(tensor.nbytes for tensor in planned)
    _check_place(target, values, nbytes, overwrite)
    try:
        with atomic_folder(target) as draft:
            more = {name: data for name, data in extra.items() if isinstance(data, bytes)}
            bundle.with_files({**writer.files(bundle), **more}).write(draft)
            write_json(draft / "config.json", values)
            tensors = _write(writer, planned, draft, progress)
            open_source(draft)  # what nobody could open gets no place
    except OSError as error:
        why = f"{target} can not be written ({error.strerror})"
        raise SansiError(f"{why}; make room, or choose another folder") from error
    count = sum(math.prod(shape) for shape in weights.shapes.values())
    return WrittenFolder(target, format, nbytes, 8 * nbytes / count, tensors, writer.coverage)


def _writer(
    weights: WeightSource, format: str, options: Mapping[str, Any], calibration: Iterable[Tensor] | None
) -> FolderFormat:
    if format not in WRITERS:
        raise SansiError(f'unknown format "{format}"{did_you_mean(format, WRITERS)}', param="format")
    kind = WRITERS[format]
    chosen = as_config(kind.options_type, options, f"options of {format}")
    writer = _made(kind, weights, chosen, calibration)
    if format != "hf" and not writer.quantised:
        told = f"no matrix of the model has room for the groups of {format}"
        raise SansiError(f"{told}; take another group_size, or another format", param="format")
    return writer


def _made(
    kind: type[FolderFormat], weights: WeightSource, chosen: WriterOptions, calibration: Iterable[Tensor] | None
) -> FolderFormat:
    format = kind.name
    if issubclass(kind, CalibratedFormat):
        if calibration is None and kind.calibrated == "needed":
            raise SansiError(f"{format} is rounded by what a text makes of the model; give one", param="calibration")
        return kind(weights, chosen, calibration)
    if calibration is not None:
        raise SansiError(f"{format} has no use for a calibration; leave it out", param="calibration")
    return kind(weights, chosen)


def _config_values(writer: FolderFormat, bundle: ModelBundle, extra: Mapping[str, Any]) -> dict[str, Any]:
    values = bundle.with_token_ids(writer.weights.config.to_hf())
    values |= {"torch_dtype": str(writer.dtype).removeprefix("torch."), **writer.described()}
    more = {key: value for key, value in extra.items() if not isinstance(value, bytes)}
    if clash := sorted(values.keys() & more.keys()):
        raise SansiError(f'extra names "{clash[0]}", which config.json has from the model; leave it out', param="extra")
    return {**values, **more}


def _write(
    writer: FolderFormat, planned: Sequence[Stored], draft: Path, progress: Callable[[int], None] | None
) -> tuple[WrittenTensor, ...]:
    sums = {name: [0.0, 0.0] for name in writer.weights.shapes}
    with shards(draft, planned, writer.metadata, writer.index_metadata(), writer.options.shard_bytes) as files:
        for name, piece in writer.pieces():
            for part, (start, values) in piece.parts.items():
                files.put(part, start, values)
            sums[name][0] += piece.missed
            sums[name][1] += piece.total
            if progress:
                progress(files.done)
    errors = {name: (missed / total) ** 0.5 if total else 0.0 for name, (missed, total) in sums.items()}
    return tuple(WrittenTensor(name, writer.kind_of(name), error) for name, error in errors.items())


def _check_place(target: Path, values: Mapping[str, Any], nbytes: int, overwrite: bool) -> None:
    """Raise SansiError, before any work, where the folder can not take its place."""
    if target.is_dir() and any(target.iterdir()):
        if not overwrite:
            raise SansiError(f"{target} is there already; choose another name, or let it be replaced")
        _check_format(target, values)
    check_replaceable(target)
    free = shutil.disk_usage(nearest_there(target.absolute().parent)).free
    if nbytes > free:
        raise SansiError(f"{target} takes {size_text(nbytes)}, and {size_text(free)} are free there; make room")


def _check_format(target: Path, values: Mapping[str, Any]) -> None:
    """Only an older model of the same format is replaced: another may be the source, or all that there is of it."""
    if not (target / "config.json").is_file():
        return
    there = read_json(target / "config.json")
    found, new = (method_of(described_by(v)) if isinstance(v, dict) else None for v in (there, values))
    if found != new:
        held = f"{found} weights" if found else "full weights"
        raise SansiError(f"{target} holds {held}, which others would replace; choose another folder")
