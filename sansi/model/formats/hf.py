"""Hugging Face model folders: `config.json` and `*.safetensors`, with an index when there are several; no pickle."""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from sansi.base.device import resolve_device, resolve_dtype
from sansi.base.errors import SansiError
from sansi.base.files import atomic_folder, read_json, write_json
from sansi.model.config import ModelConfig
from sansi.model.formats.files import INDEX_FILE, QUANTIZED_FILE, SINGLE_FILE, is_ours
from sansi.model.formats.names import is_stacked, stacked_place, tensor_table
from sansi.model.transformer import Transformer

SHARD_BYTES = 4 * 2**30
LM_HEAD, EMBEDDING = "lm_head.weight", "model.embed_tokens.weight"


def load(folder: str | Path, device: str = "auto", dtype: str = "auto") -> Transformer:
    """The model in `folder`, in evaluation mode.

    Raises SansiError that says what to do when the folder or a file is missing or damaged, when the configuration is
    not one of ours, and when tensors are missing, left over or of another shape (all of them are named).
    """
    folder = model_folder(folder)
    place = resolve_device(device)
    config = read_config(folder)
    files = _weight_files(folder)
    with torch.device("meta"):
        model = Transformer(config).to(resolve_dtype(dtype, place))
    shapes = {name: shape for file in files for name, shape in _shapes(file).items()}
    _check(folder, model, shapes)
    model.to_empty(device=place)
    model.init_buffers()
    _fill(model, files, stacked=is_stacked(shapes))
    return model.eval()


def save(
    model: Transformer,
    folder: str | Path,
    generation_config: dict[str, Any] | None = None,
    extra_files: Iterable[str | Path] = (),
    shard_bytes: int = SHARD_BYTES,
) -> None:
    """Write the model to `folder`, which appears whole or not at all and replaces a model folder of that name.

    `generation_config` becomes generation_config.json; `extra_files` (tokenizer files, a model card) are copied in.
    Raises SansiError when `folder` exists and is something else than a model folder, or an extra file is missing.
    """
    folder, files = Path(folder), [Path(file) for file in extra_files]
    model = getattr(model, "_orig_mod", model)  # what torch.compile wraps
    if folder.exists() and not (folder / "config.json").is_file() and (folder.is_file() or any(folder.iterdir())):
        raise SansiError(f"{folder} exists and is not a model folder; saving would delete it, so choose another name")
    missing = [str(file) for file in files if not file.is_file()]
    if missing:
        raise SansiError(f"extra files to save with the model do not exist: {', '.join(missing)}")
    dtype = str(next(model.parameters()).dtype).removeprefix("torch.")
    with atomic_folder(folder) as draft:
        for file in files:
            shutil.copy(file, draft)
        write_json(draft / "config.json", {**model.config.to_hf(), "torch_dtype": dtype})
        if generation_config is not None:
            write_json(draft / "generation_config.json", generation_config)
        _write_weights(tensor_table(model), draft, shard_bytes)


def model_folder(folder: str | Path) -> Path:
    """The folder as a Path. Raises SansiError when it is not there or holds no config.json."""
    path = Path(folder)
    if not path.is_dir():
        raise SansiError(
            f"{path}: no such model folder; give the path of a folder with config.json and *.safetensors "
            "(a model of the hub: `hf download NAME --local-dir FOLDER` first)"
        )
    if not (path / "config.json").is_file():
        raise SansiError(f"{path} has no config.json, so it is not a model folder; check the path or download it again")
    return path


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
            try:
                self._opened[file] = safe_open(file, framework="pt")
            except SafetensorError as error:
                raise SansiError(f"{file}: damaged ({error}); copy or download it again") from error
        tensor = self._opened[file].get_slice(name)[index]
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
    if (folder / INDEX_FILE).is_file():
        return _indexed_files(folder / INDEX_FILE)
    if (folder / SINGLE_FILE).is_file():
        return [folder / SINGLE_FILE]
    if (folder / QUANTIZED_FILE).is_file():
        raise SansiError(
            f"{folder} holds quantised weights (quantization_config in its config.json), and these are for inference: "
            "the engine and `sansi serve` take them; training and other formats need the full model"
        )
    pickled = sorted(p.name for p in folder.glob("*.bin"))
    hint = f"it has {pickled[0]}, a pickle, which Sansi does not open: convert it" if pickled else "download it again"
    raise SansiError(f"{folder} has neither {SINGLE_FILE} nor {INDEX_FILE}; {hint}")


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


@contextmanager
def _opened(file: Path) -> Iterator[Any]:
    try:
        with safe_open(file, framework="pt") as weights:
            yield weights
    except SafetensorError as error:
        raise SansiError(f"{file}: damaged ({error}); copy or download it again") from error


def _shapes(file: Path) -> dict[str, tuple[int, ...]]:
    with _opened(file) as weights:
        return {name: tuple(weights.get_slice(name).get_shape()) for name in weights.keys()}  # noqa: SIM118


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
        with _opened(file) as weights:
            for name in weights.keys():  # noqa: SIM118 (not a mapping)
                tensor = weights.get_tensor(name)
                if not tensor.dtype.is_floating_point or tensor.element_size() < 2:
                    raise SansiError(f"{file}: {name} is {tensor.dtype}; Sansi loads unquantised weights only")
                if name in table:
                    table[name].copy_(tensor)
    if model.lm_head is None:
        _check_copied_head(model, files)


def _check_copied_head(model: Transformer, files: list[Path]) -> None:
    for file in files:
        with _opened(file) as weights:
            if LM_HEAD in weights.keys():  # noqa: SIM118
                head = weights.get_tensor(LM_HEAD).to(model.lm_head_weight)
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
