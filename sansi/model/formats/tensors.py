"""The files of weights in a model folder: which they are, whether they fit its config.json, and their tensors, piece
by piece.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from sansi.base.errors import SansiError
from sansi.base.files import read_json
from sansi.model.formats.files import INDEX_FILE, QUANTIZED_FILE, SINGLE_FILE, indexed_names
from sansi.model.formats.folders import model_folder, read_config
from sansi.model.formats.names import full_name, is_stacked, stacked_place, tensor_table
from sansi.model.formats.weights import SHORT, WeightFormat, fill_from_rows, shapes_of
from sansi.model.kernels import PackedWeight
from sansi.model.transformer import Transformer

log = logging.getLogger("sansi")
LM_HEAD, EMBEDDING = "lm_head.weight", "model.embed_tokens.weight"


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
            shapes = shapes_in(file)
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
            self._opened[file] = open_weights(file)
        tensor = self._opened[file].slice(name)[index]
        self._read += tensor.nbytes
        return tensor


def weight_files(folder: Path) -> list[Path]:
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


class OpenedWeights:
    """A file of weights, by the names of the table."""

    def __init__(self, weights: Any):
        self._weights = weights
        self.names = {full: own for own in weights.keys() if (full := full_name(own))}  # noqa: SIM118 (not a mapping)
        """Of the table, and in the file."""

    def slice(self, name: str) -> Any:
        return self._weights.get_slice(self.names[name])

    def tensor(self, name: str) -> Tensor:
        return self._weights.get_tensor(self.names[name])


def open_weights(file: Path) -> OpenedWeights:
    try:
        return OpenedWeights(safe_open(file, framework="pt"))
    except SafetensorError as error:
        raise SansiError(f"{file}: {_why_damaged(file, error)}") from error


def _why_damaged(file: Path, error: Exception) -> str:
    with file.open("rb") as opened:
        if opened.read(24).startswith(b"version https://git-lfs"):
            return "not the weights but git's note of where they are; run `git lfs pull` in the folder"
    return f"damaged ({error}); copy or download it again"


def shapes_in(file: Path) -> dict[str, tuple[int, ...]]:
    weights = open_weights(file)
    return {name: tuple(weights.slice(name).get_shape()) for name in weights.names}


def check_tensors(folder: Path, model: Transformer, found: Mapping[str, tuple[int, ...]]) -> None:
    """Raise SansiError unless the checkpoint holds exactly the tensors of the model."""
    expected = {name: tuple(t.shape) for name, t in tensor_table(model, stacked=is_stacked(found)).items()}
    if model.config.tie_word_embeddings and LM_HEAD in found:
        expected[LM_HEAD] = expected[EMBEDDING]  # a copy of the table; some checkpoints carry it
    if problems := misfits(expected, found):
        raise SansiError(f"{folder}: the weights do not fit config.json: " + "; ".join(problems))


def misfits(
    expected: Mapping[str, tuple[int, ...]],
    found: Mapping[str, tuple[int, ...]],
    by: str = "config.json",
    names: int = 10,
    shapes: int = 10,
) -> list[str]:
    """What is missing, what is too much, and what has another shape than `by` makes it.

    names and shapes: how many are named at most of those that are missing or too much, and of those of another shape.
    """
    others = [
        f"{name} has shape {list(found[name])}, but {by} makes it {list(shape)}"
        for name, shape in sorted(expected.items())
        if name in found and found[name] != shape
    ]
    missing = _listing("missing", expected.keys() - found.keys(), names)
    return missing + _listing("not in the model", found.keys() - expected.keys(), names) + others[:shapes]


def _listing(what: str, names: Iterable[str], most: int) -> list[str]:
    ordered = sorted(names)
    more = f" and {len(ordered) - most} more" if len(ordered) > most else ""
    return [f"{what}: {', '.join(ordered[:most])}{more}"] if ordered else []


class WeightReader:
    """The weights in a model folder, piece by piece, by the names that they have on the hub. Raises as `load` does."""

    def __init__(self, folder: str | Path):
        folder = model_folder(folder)
        self.config = read_config(folder)
        self._files = TensorFiles(weight_files(folder))
        with torch.device("meta"):
            model = Transformer(self.config)
        check_tensors(folder, model, self._files.shapes)
        self._stacked = is_stacked(self._files.shapes)
        self.shapes = shapes_of(self.config)
        """Of every tensor of the model, experts one by one."""
        self.kinds: Mapping[str, str] = {}

    @property
    def format(self) -> WeightFormat:
        dtype = self.rows(next(iter(self.shapes)), 0, 1).dtype
        return WeightFormat(SHORT.get(dtype, str(dtype).removeprefix("torch.")), 8 * dtype.itemsize)

    def fill(self, names: Sequence[str], packed: PackedWeight) -> None:
        """Put the rows of all `names`, one after the other, into `packed`, rounded to its kind."""
        fill_from_rows(packed, names, self.shapes, self.rows)

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
