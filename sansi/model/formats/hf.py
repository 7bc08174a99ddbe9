"""Hugging Face model folders: `config.json` and `*.safetensors`, with an index when there are several; no pickle."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from sansi.base.device import DeviceLike, DtypeLike, resolve_device, resolve_dtype
from sansi.base.errors import SansiError
from sansi.base.files import as_path, read_json, updated_folder, write_json
from sansi.model.bundle import GENERATION_CONFIG, ModelBundle
from sansi.model.config import ModelConfig
from sansi.model.formats.files import INDEX_FILE, QUANTIZED_FILE, SINGLE_FILE, indexed_names, is_ours
from sansi.model.formats.names import full_name, is_stacked, stacked_place, tensor_table
from sansi.model.formats.target import check_target, kept_cards, old_weights
from sansi.model.transformer import Transformer, uncompiled

log = logging.getLogger("sansi")
SHARD_BYTES = 4 * 2**30
LM_HEAD, EMBEDDING = "lm_head.weight", "model.embed_tokens.weight"


def load(folder: str | Path, device: DeviceLike = "auto", dtype: DtypeLike = "auto") -> Transformer:
    """The model in `folder`, in evaluation mode.

    Stop and padding ids that only generation_config.json has come into its configuration, so that whatever is saved of
    it stops in other programs.

    Raises SansiError that says what to do when the folder or a file is missing or damaged, when the configuration is
    not one of ours, and when tensors are missing, left over or of another shape (all of them are named).
    """
    folder = model_folder(folder)
    place = resolve_device(device)
    config = _with_stop_ids(read_config(folder), folder)
    files = _weight_files(folder)
    with torch.device("meta"):
        model = Transformer(config).to(resolve_dtype(dtype, place))
    shapes = TensorFiles(files).shapes
    _check(folder, model, shapes)
    model.to_empty(device=place)
    model.init_buffers()
    _fill(model, files, stacked=is_stacked(shapes))
    return model.eval()


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
    files = _weight_files(folder)
    shapes = TensorFiles(files).shapes
    _check(folder, model, shapes)
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


def model_folder(folder: str | Path) -> Path:
    """The folder as a Path. Raises SansiError when it is not there or holds no config.json."""
    path = as_path(folder, "a model folder")
    if path.is_file():
        raise SansiError(f"{path} is a file; give the folder that it is in, with config.json beside the weights")
    if not path.is_dir():
        raise SansiError(
            f"{path}: no such model folder; give the path of a folder with config.json and *.safetensors "
            "(a model of the hub: `hf download NAME --local-dir FOLDER` first)"
        )
    if checkpoint := _latest_checkpoint(path):
        raise SansiError(f"{path} is the folder of a run; give one of its checkpoints: {checkpoint}")
    if not (path / "config.json").is_file():
        raise SansiError(f"{path} has no config.json, so it is not a model folder; check the path or download it again")
    return path


def _latest_checkpoint(path: Path) -> Path | None:
    """The newest checkpoint, if the folder is a run's and no model's."""
    if any((path / name).is_file() for name in (SINGLE_FILE, INDEX_FILE, QUANTIZED_FILE)):
        return None
    steps = [step for step in (path / "checkpoints").glob("step-*") if step.name[5:].isdecimal()]
    return max(steps, key=lambda step: int(step.name[5:]), default=None)


def read_config(folder: str | Path) -> ModelConfig:
    """The configuration of a model folder, full or quantised by Sansi. Raises SansiError as `load` does."""
    file = model_folder(folder) / "config.json"
    values = read_config_values(folder)
    if is_ours(values.get("quantization_config")):
        del values["quantization_config"]
    return ModelConfig.from_hf(values, str(file))


def read_config_values(folder: str | Path) -> dict[str, Any]:
    """config.json as it is. Raises SansiError when it is not there, or no JSON object."""
    file = model_folder(folder) / "config.json"
    values = read_json(file)
    if not isinstance(values, dict):
        raise SansiError(f"{file}: not a JSON object; the file is damaged, copy or download it again")
    return values


class TensorFiles:
    """Pieces of the tensors in some files, by name.

    The files are mapped anew after every REMAP_BYTES, so that what was read does not stay in memory. Raises SansiError
    for a file that is damaged.
    """

    REMAP_BYTES = 64 * 2**20

    def __init__(self, files: Iterable[Path]):
        self._files: dict[str, Path] = {}
        self.shapes: dict[str, tuple[int, ...]] = {}
        """As they lie in the files."""
        for file in files:
            shapes = _shapes(file)
            self.shapes |= shapes
            self._files |= dict.fromkeys(shapes, file)
        self._opened: dict[Path, Any] = {}
        self._read = 0

    def read(self, name: str, *index: int | slice) -> Tensor:
        """The piece `index` of the tensor `name`, in the dtype of the file."""
        if self._read > self.REMAP_BYTES:
            self._opened.clear()
            self._read = 0
        file = self._files[name]
        if file not in self._opened:
            self._opened[file] = _open(file)
        tensor = self._opened[file].slice(name)[index]
        self._read += tensor.nbytes
        return tensor


class WeightReader:
    """The weights in a model folder, piece by piece, by the names that they have on the hub. Raises as `load` does."""

    def __init__(self, folder: str | Path):
        folder = model_folder(folder)
        self.config = read_config(folder)
        self._files = TensorFiles(_weight_files(folder))
        with torch.device("meta"):
            model = Transformer(self.config)
        _check(folder, model, self._files.shapes)
        self._stacked = is_stacked(self._files.shapes)
        self.shapes = {name: tuple(tensor.shape) for name, tensor in tensor_table(model).items()}
        """Of every tensor of the model, experts one by one."""

    def rows(self, name: str, first: int, last: int) -> Tensor:
        """Rows [first, last) of the tensor `name`, in the dtype of the file."""
        place = stacked_place(name) if self._stacked else None
        if place is None:
            tensor = self._files.read(name, slice(first, last))
        else:
            offset = place.offset * self.shapes[name][0]
            tensor = self._files.read(place.name, place.expert, slice(offset + first, offset + last))
        if not tensor.dtype.is_floating_point or tensor.element_size() < 2:
            raise SansiError(f"{name} is {tensor.dtype}; Sansi loads unquantised weights only")
        return tensor


# --- reading ------------------------------------------------------------------------------------------------------


def _weight_files(folder: Path) -> list[Path]:
    if (folder / SINGLE_FILE).is_file():
        _tell_unread(folder)
        return [folder / SINGLE_FILE]
    if (folder / INDEX_FILE).is_file():
        return _indexed_files(folder / INDEX_FILE)
    if (folder / QUANTIZED_FILE).is_file():
        raise SansiError(
            f"{folder} holds quantised weights (quantization_config in its config.json), and these are for inference: "
            "the engine and `sansi serve` take them; training and other formats need the full model"
        )
    if shards := sorted(p.name for p in folder.glob("model-*.safetensors")):
        raise SansiError(f"{folder} has {shards[0]} but no {INDEX_FILE} that names it; download or copy that too")
    pickled = sorted(p.name for p in folder.glob("*.bin"))
    hint = f"it has {pickled[0]}, a pickle, which Sansi does not open: convert it" if pickled else "download it again"
    raise SansiError(f"{folder} has neither {SINGLE_FILE} nor {INDEX_FILE}; {hint}")


def _tell_unread(folder: Path) -> None:
    """Two saves lie in one folder: transformers reads the single file, and so do we, but not in silence."""
    unread = [name for name in indexed_names(folder) if name != SINGLE_FILE and (folder / name).is_file()]
    if unread:
        told = "%s holds two models: %s is read, as other programs do, and %s, which %s names, is not; delete one"
        log.warning(told, folder, SINGLE_FILE, unread[0], INDEX_FILE)


def _indexed_files(index: Path) -> list[Path]:
    value = read_json(index)
    names = value.get("weight_map") if isinstance(value, dict) else None
    if not isinstance(names, dict) or not names:
        raise SansiError(f'{index} has no "weight_map"; the file is damaged, copy or download it again')
    files = sorted(set(map(str, names.values())))
    outside = [name for name in files if Path(name).name != name]
    if outside:
        raise SansiError(f"{index} names files outside its folder ({outside[0]}); do not use this checkpoint")
    missing = [name for name in files if not (index.parent / name).is_file()]
    if missing:
        raise SansiError(f"{index.parent} lacks {', '.join(missing)}, which its index names; download it again")
    return [index.parent / name for name in files]


class _Opened:
    """A file of weights, by the names of the table."""

    def __init__(self, weights: Any):
        self._weights = weights
        self.names = {full: own for own in weights.keys() if (full := full_name(own))}  # noqa: SIM118 (not a mapping)
        """Of the table, and in the file."""

    def slice(self, name: str) -> Any:
        return self._weights.get_slice(self.names[name])

    def tensor(self, name: str) -> Tensor:
        return self._weights.get_tensor(self.names[name])


def _open(file: Path) -> _Opened:
    try:
        return _Opened(safe_open(file, framework="pt"))
    except SafetensorError as error:
        raise SansiError(f"{file}: {_why_damaged(file, error)}") from error


def _why_damaged(file: Path, error: Exception) -> str:
    with file.open("rb") as opened:
        if opened.read(24).startswith(b"version https://git-lfs"):
            return "not the weights but git's note of where they are; run `git lfs pull` in the folder"
    return f"damaged ({error}); copy or download it again"


def _shapes(file: Path) -> dict[str, tuple[int, ...]]:
    weights = _open(file)
    return {name: tuple(weights.slice(name).get_shape()) for name in weights.names}


def _check(folder: Path, model: Transformer, found: Mapping[str, tuple[int, ...]]) -> None:
    """Raise SansiError unless the checkpoint holds exactly the tensors of the model."""
    expected = {name: tuple(t.shape) for name, t in tensor_table(model, stacked=is_stacked(found)).items()}
    if model.config.tie_word_embeddings and LM_HEAD in found:
        expected[LM_HEAD] = expected[EMBEDDING]  # a copy of the table; some checkpoints carry it
    problems = _listing("missing", expected.keys() - found.keys())
    problems += _listing("not in the model", found.keys() - expected.keys())
    problems += [
        f"{name} has shape {list(found[name])}, but config.json makes it {list(shape)}"
        for name, shape in sorted(expected.items())
        if name in found and found[name] != shape
    ][:10]
    if problems:
        raise SansiError(f"{folder}: the weights do not fit config.json: " + "; ".join(problems))


def _listing(what: str, names: Iterable[str]) -> list[str]:
    ordered = sorted(names)
    more = f" and {len(ordered) - 10} more" if len(ordered) > 10 else ""
    return [f"{what}: {', '.join(ordered[:10])}{more}"] if ordered else []


@torch.no_grad()
def _fill(model: Transformer, files: list[Path], stacked: bool) -> None:
    table = tensor_table(model, stacked)
    for file in files:
        weights = _open(file)
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
        weights = _open(file)
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
