"""What the files of a model folder are called. Needs no torch."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from sansi.model.formats.gguf.choice import stem_of
from sansi.model.formats.gguf.file import split_files

SINGLE_FILE = "model.safetensors"
INDEX_FILE = "model.safetensors.index.json"
QUANTIZED_FILE = "quantized.safetensors"
"""Not model.safetensors: some programs would warn of an unknown quantisation and go on with random weights."""
ADAPTER_CONFIG = "adapter_config.json"
"""Of PEFT: its folder holds changes of a model, and no model."""
QUANT_METHOD = "sansi"
"""In the quantization_config of a folder that `sansi.model.quantize` wrote: a name that other programs refuse."""
OPENED_METHODS = (QUANT_METHOD, "gguf", "fp8", "awq", "gptq", "compressed-tensors", "mlx")
"""Every quant_method that `sansi.model.formats.source.open_source` has a reader for."""
BESIDE = {"quantize_config.json": "gptq", "quant_config.json": "awq"}
"""Files with the settings of AutoGPTQ and AutoAWQ, before config.json had them."""
DESCRIBED_UNDER = ("quantization", "quantization_config", "compression_config")
"""Keys of config.json: of MLX, which repeats it under the second; of everybody; of older compressed-tensors."""


def weight_names(folder: Path) -> list[str]:
    """The files of a model folder whose weights are read, in order; not those of an optimiser or an older save.

    As in transformers, model.safetensors goes before the shards of an index. Empty where there are none.
    """
    for name in (SINGLE_FILE, INDEX_FILE, QUANTIZED_FILE):
        if (folder / name).is_file():
            return indexed_names(folder) if name == INDEX_FILE else [name]
    return []


def indexed_names(folder: Path) -> list[str]:
    """The shards that the index of a folder names; none if there is no index, or a damaged one."""
    try:
        weight_map = json.loads((folder / INDEX_FILE).read_text(encoding="utf-8"))["weight_map"]
        return sorted(set(map(str, weight_map.values())))
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return []


def not_a_model(folder: Path) -> str:
    """Why a folder without a config.json is none, and what to do."""
    if not (folder / ADAPTER_CONFIG).is_file():
        return f"{folder} has no config.json, so it is not a model folder; check the path or download it again"
    try:
        base = json.loads((folder / ADAPTER_CONFIG).read_text(encoding="utf-8")).get("base_model_name_or_path")
    except (OSError, ValueError, AttributeError):
        base = None
    of = f" of {base}" if base and isinstance(base, str) else ""
    return f"{folder} is an adapter{of} and no model; give its base as the model, and --adapter {folder} (or --merge)"


def stored_bytes(folder: str | Path) -> int:
    """Bytes of the files whose weights are read."""
    if file := gguf_of(Path(folder)):
        return sum(part.stat().st_size for part in split_files(file))
    files = [Path(folder) / name for name in weight_names(Path(folder))]
    return sum(file.stat().st_size for file in files if file.is_file())


def gguf_of(folder: Path) -> Path | None:
    """The GGUF file with the weights of a folder that `gguf.folder_of` made; None for any other folder."""
    try:
        described = json.loads((folder / "config.json").read_text(encoding="utf-8")).get("quantization_config")
    except (OSError, ValueError, AttributeError):
        return None
    return Path(described["file"]) if method_of(described) == "gguf" and "file" in described else None


def model_name(folder: Path) -> str:
    """What a model is called by its folder, or by its GGUF file."""
    file = gguf_of(folder)
    return stem_of(file.name) if file else folder.resolve().name


def is_ours(quantization_config: Any) -> bool:
    return method_of(quantization_config) == QUANT_METHOD


def described_by(values: Mapping[str, Any]) -> Any:
    """What a config.json says of how its weights are quantised; None: they are full."""
    of_mlx = values.get("quantization")
    if isinstance(of_mlx, dict) and of_mlx:
        return {"quant_method": "mlx", **of_mlx}
    return values.get("quantization_config") or values.get("compression_config")


def method_of(quantization_config: Any) -> str | None:
    """The quant_method of a quantization_config; None: the weights are full, or it does not say."""
    method = quantization_config.get("quant_method") if isinstance(quantization_config, dict) else None
    return method if isinstance(method, str) else None
