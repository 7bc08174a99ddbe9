"""What saving a model may do to the folder that it is saved to. Needs no torch."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from sansi.base.errors import SansiError
from sansi.base.files import check_place
from sansi.base.marker import others_files, shown
from sansi.model.bundle import CARDS, ModelBundle
from sansi.model.formats.files import INDEX_FILE, QUANTIZED_FILE, SINGLE_FILE, indexed_names
from sansi.model.hf_config import MODEL_TYPES

CONFIG_FILE = "config.json"
SHARD = re.compile(r"model-\d{5}-of-\d{5}\.safetensors")


def check_target(folder: Path, bundle: ModelBundle, quantised: bool) -> None:
    """Raise SansiError, before any work, where saving would replace weights of the other kind, or somebody's files."""
    check_place(folder)
    if not folder.is_dir():
        return
    config = _config_of(folder)
    if config is None or not config["model_type"].startswith("qwen3"):  # a neighbour's folder is somebody's own
        _check_foreign(folder, bundle)
    if config is None:
        return
    if quantised and config.get("quantization_config") is None and _has_full_weights(folder):
        raise SansiError(f"{folder} holds full weights, which saving would replace; choose another folder")
    elif not quantised and config.get("quantization_config") is not None:
        raise SansiError(f"{folder} holds quantised weights, which saving would replace; choose another folder")


def _check_foreign(folder: Path, bundle: ModelBundle) -> None:
    supersedes = old_weights(folder)
    changed = {name for name, data in bundle.files.items() if not _holds(folder / name, data)}
    written = {CONFIG_FILE, QUANTIZED_FILE, *changed}
    if foreign := [name for name in others_files(folder) if name in written or supersedes(name)]:
        why = "is not the folder of a Qwen3 model, and saving would replace"
        raise SansiError(f"{folder} {why} {shown(foreign)}; choose another folder")


def kept_cards(bundle: ModelBundle | None, folder: Path) -> ModelBundle:
    """The bundle less the cards and licences that somebody wrote into the folder. Raises SansiError if it is none."""
    if bundle is None:
        return ModelBundle()
    if not isinstance(bundle, ModelBundle):
        raise SansiError(f"bundle must be a ModelBundle, not {type(bundle).__name__}; see ModelBundle.from_folder")
    if not folder.is_dir():
        return bundle
    return bundle.without([name for name in others_files(folder) if any(Path(name).match(card) for card in CARDS)])


def old_weights(folder: Path) -> Callable[[str], bool]:
    """Whether a file of the folder belongs to the weights that a new model replaces, whatever its shards are called."""
    indexed = indexed_names(folder)
    return lambda name: name in (SINGLE_FILE, INDEX_FILE, *indexed) or bool(SHARD.fullmatch(name))


def _config_of(folder: Path) -> dict[str, Any] | None:
    """config.json, if it is that of a model of our types."""
    try:
        value = json.loads((folder / CONFIG_FILE).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return value if isinstance(value, dict) and value.get("model_type") in MODEL_TYPES else None


def _holds(file: Path, data: bytes) -> bool:
    return file.is_file() and file.stat().st_size == len(data) and file.read_bytes() == data


def _has_full_weights(folder: Path) -> bool:
    return (folder / SINGLE_FILE).is_file() or (folder / INDEX_FILE).is_file()
