"""Hugging Face model folders: `config.json` and `*.safetensors`, with an index when there are several; no pickle."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import Tensor

from sansi.base.codec_file import GENERATION_CONFIG
from sansi.base.device import DeviceLike, DtypeLike, resolve_device, resolve_dtype
from sansi.base.errors import SansiError
from sansi.base.files import as_path, updated_folder, write_json
from sansi.model.bundle import ModelBundle
from sansi.model.config import ModelConfig
from sansi.model.formats.files import INDEX_FILE, QUANT_METHOD, SINGLE_FILE, method_of
from sansi.model.formats.folders import described_in, model_folder, read_config
from sansi.model.formats.names import is_stacked, tensor_table
from sansi.model.formats.source import open_source
from sansi.model.formats.target import check_target, kept_cards, old_weights
from sansi.model.formats.tensors import EMBEDDING, LM_HEAD, TensorFiles, check_tensors, open_weights, weight_files
from sansi.model.formats.weights import fill_model
from sansi.model.transformer import Transformer, uncompiled

log = logging.getLogger("sansi")
SHARD_BYTES = 4 * 2**30


def load(folder: str | Path, device: DeviceLike = "auto", dtype: DtypeLike = "auto") -> Transformer:
    """The model in `folder`, or in a GGUF file, in evaluation mode; another's quantised weights become full ones.

    Stop and padding ids that only generation_config.json has come into its configuration, so that whatever is saved of
    it stops in other programs.

    Raises SansiError that says what to do when the folder or a file is missing or damaged, when the configuration is
    not one of ours, and when tensors are missing, left over or of another shape (all of them are named).
    """
    folder = model_folder(folder)
    place = resolve_device(device)
    config = _with_stop_ids(read_config(folder), folder)
    with torch.device("meta"):
        model = Transformer(config).to(resolve_dtype(dtype, place))
    if method := _widened(folder):
        source = open_source(folder)
        log.info("%s: the weights are %s, which become full ones here", folder, method)
        model.to_empty(device=place)
        fill_model(model, source)
        return model.eval()
    files = weight_files(folder)
    shapes = TensorFiles(files).shapes
    check_tensors(folder, model, shapes)
    model.to_empty(device=place)
    _fill(model, files, stacked=is_stacked(shapes))
    return model.eval()


def _widened(folder: Path) -> str | None:
    """The method of quantised weights that are another program's; our own are for inference alone."""
    method = method_of(described_in(folder))
    return None if method == QUANT_METHOD else method


def _with_stop_ids(config: ModelConfig, folder: Path) -> ModelConfig:
    file = folder / GENERATION_CONFIG
    if not file.is_file():
        return config
    said = ModelBundle({GENERATION_CONFIG: file.read_bytes()}).stop_ids()
    return config.replace(**{key: value for key, value in said.items() if getattr(config, key) is None})


@torch.no_grad()
def load_weights(model: Transformer, folder: str | Path) -> None:
    """Give a model the weights in `folder`, in the dtype and on the device that it has. Raises SansiError as `load`."""
    folder = model_folder(folder)
    model = uncompiled(model)
    if _widened(folder):
        source = open_source(folder)
        if differences := source.config.differences(model.config):
            raise SansiError(f"{folder}: the weights do not fit the model: {'; '.join(differences)}")
        fill_model(model, source)
        return
    files = weight_files(folder)
    shapes = TensorFiles(files).shapes
    check_tensors(folder, model, shapes)
    _fill(model, files, stacked=is_stacked(shapes))


def save(
    model: Transformer,
    folder: str | Path,
    bundle: ModelBundle | None = None,
    generation_config: Mapping[str, Any] | None = None,
    shard_bytes: int = SHARD_BYTES,
) -> None:
    """Write the model to `folder`: weights, config.json, and what `bundle` holds (tokenizer, stop ids, cards).

    The folder changes as a whole or not at all. What else is in it stays; the weights of an older model go, and cards
    that somebody wrote are kept. `generation_config` replaces generation_config.json. Stop and padding id go into
    config.json where the model's own configuration has none.

    Raises SansiError where a file that is not a model's would be replaced, and for a folder of quantised weights.
    """
    folder = as_path(folder, "a model folder")
    model = uncompiled(model)
    if not isinstance(model, Transformer):
        raise SansiError(f"the model is a {type(model).__name__}; give a sansi.model.Transformer", param="model")
    bundle = kept_cards(bundle, folder)
    if generation_config is not None:
        bundle = bundle.for_generation(generation_config)
    if type(shard_bytes) is not int or shard_bytes < 1:
        raise SansiError(f"shard_bytes must be 1 or more, not {shard_bytes!r:.40}", param="shard_bytes")
    dtype = str(next(model.parameters()).dtype).removeprefix("torch.")
    values = {**bundle.with_token_ids(model.config.to_hf()), "torch_dtype": dtype}
    check_target(folder, bundle, quantised=False)
    with updated_folder(folder, supersedes=old_weights(folder)) as draft:
        bundle.write(draft)
        write_json(draft / "config.json", values)
        _write_weights(tensor_table(model), draft, shard_bytes)


@torch.no_grad()
def _fill(model: Transformer, files: list[Path], stacked: bool) -> None:
    table = tensor_table(model, stacked)
    for file in files:
        weights = open_weights(file)
        for name in weights.names:
            tensor = weights.tensor(name)
            if not tensor.dtype.is_floating_point or tensor.element_size() < 2:
                raise SansiError(f"{file}: {name} is {tensor.dtype}; Sansi loads unquantised weights only")
            if name in table:
                table[name].copy_(tensor)
    if model.lm_head is None:
        _check_copied_head(model, files)


def _check_copied_head(model: Transformer, files: list[Path]) -> None:
    for file in files:
        weights = open_weights(file)
        if LM_HEAD in weights.names:
            head = weights.tensor(LM_HEAD).to(model.lm_head_weight)
            if not torch.equal(head, model.lm_head_weight):
                raise SansiError(
                    f"{file}: {LM_HEAD} differs from {EMBEDDING}, but config.json ties the two; "
                    'set "tie_word_embeddings" to false'
                )


# --- writing ------------------------------------------------------------------------------------------------------


def _write_weights(table: Mapping[str, Tensor], folder: Path, shard_bytes: int) -> None:
    shards = _shards(table, shard_bytes)
    weight_map = {}
    for number, names in enumerate(shards, start=1):
        file = SINGLE_FILE if len(shards) == 1 else f"model-{number:05}-of-{len(shards):05}.safetensors"
        tensors = {name: table[name].detach().to("cpu").contiguous() for name in names}
        save_file(tensors, folder / file, metadata={"format": "pt"})
        weight_map.update(dict.fromkeys(names, file))
    if len(shards) > 1:
        total = sum(tensor.nbytes for tensor in table.values())
        write_json(folder / INDEX_FILE, {"metadata": {"total_size": total}, "weight_map": weight_map})


def _shards(table: Mapping[str, Tensor], shard_bytes: int) -> list[list[str]]:
    """Names in order, cut where a shard would pass `shard_bytes`; a larger tensor gets a shard of its own."""
    shards: list[list[str]] = [[]]
    size = 0
    for name, tensor in table.items():
        if shards[-1] and size + tensor.nbytes > shard_bytes:
            shards.append([])
            size = 0
        shards[-1].append(name)
        size += tensor.nbytes
    return shards
