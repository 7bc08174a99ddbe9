"""What a model folder is, and what its config.json says."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from sansi.base.errors import SansiError
from sansi.base.files import as_path, read_json
from sansi.model.config import ModelConfig
from sansi.model.formats.files import (
    BESIDE,
    DESCRIBED_UNDER,
    INDEX_FILE,
    OPENED_METHODS,
    QUANTIZED_FILE,
    SINGLE_FILE,
    described_by,
    method_of,
    not_a_model,
)
from sansi.model.formats.gguf import folder_of
from sansi.model.formats.gguf.choice import choose, wholes
from sansi.model.formats.gguf.file import is_gguf


def model_folder(folder: str | Path) -> Path:
    """The folder as a Path; for a GGUF file, or a folder of one, the folder that stands for it.

    Raises SansiError when it is not there or holds no config.json.
    """
    path = as_path(folder, "a model folder")
    if found := find_gguf(path):
        return folder_of(found)
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
        raise SansiError(not_a_model(path))
    return path


def find_gguf(path: Path) -> Path | None:
    """The GGUF file that a path means: itself, or the one in a folder without a config.json; None: another format.

    FOLDER:Q4_K_M is the file of that kind. Raises SansiError, with their names, where a folder holds several.
    """
    start, colon, label = str(path).rpartition(":")
    if colon and not path.exists() and (files := _gguf_files(Path(start))):
        return Path(start) / choose(files, label, start)
    if path.is_file():
        return path if path.suffix.lower() == ".gguf" or is_gguf(path) else None
    if not path.is_dir() or (path / "config.json").is_file():
        return None
    files = _gguf_files(path)
    return path / choose(files, None, str(path)) if files else None


def _gguf_files(folder: Path) -> list[str]:
    return wholes([file.name for file in folder.iterdir() if file.is_file()]) if folder.is_dir() else []


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
    if method_of(described_by(values)) in OPENED_METHODS:
        values = {key: value for key, value in values.items() if key not in DESCRIBED_UNDER}
    return ModelConfig.from_hf(values, str(file))


def described_in(folder: str | Path) -> dict[str, Any]:
    """What a folder says of how its weights are quantised, by config.json or the file that older writers left beside
    it; empty for full weights. Raises SansiError as `read_config_values`."""
    path = model_folder(folder)
    described = described_by(read_config_values(path))
    if described is not None:
        return described if isinstance(described, dict) else {}
    for name, method in BESIDE.items():
        if (path / name).is_file():
            value = read_json(path / name)
            return {"quant_method": method, **value} if isinstance(value, dict) else {}
    return {}


def read_config_values(folder: str | Path) -> dict[str, Any]:
    """config.json as it is. Raises SansiError when it is not there, or no JSON object."""
    file = model_folder(folder) / "config.json"
    values = read_json(file)
    if not isinstance(values, dict):
        raise SansiError(f"{file}: not a JSON object; the file is damaged, copy or download it again")
    return values
