"""Adapters written by hand: random factors for chosen matrices of a model."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from sansi.model import ModelConfig
from sansi.model.formats.weights import shapes_of
from torch import Tensor


def folder_of(path: Path, tensors: dict[str, Tensor], **settings: Any) -> Path:
    """A PEFT folder of rank 4 and alpha 8, unless `settings` say otherwise."""
    path.mkdir(exist_ok=True)
    values = {"peft_type": "LORA", "base_model_name_or_path": "Qwen/Qwen3-0.6B", "r": 4, "lora_alpha": 8, **settings}
    (path / "adapter_config.json").write_text(json.dumps(values))
    stored = {name: tensor.clone().contiguous() for name, tensor in tensors.items()}
    save_file(stored, path / "adapter_model.safetensors")
    return path


def factors(
    module: str, n: int, k: int, rank: int = 4, prefix: str = "base_model.model.", seed: int = 0
) -> dict[str, Tensor]:
    draw = torch.Generator().manual_seed(seed)
    return {
        f"{prefix}{module}.lora_A.weight": torch.randn(rank, k, generator=draw),
        f"{prefix}{module}.lora_B.weight": torch.randn(n, rank, generator=draw),
    }


def random_adapter(
    path: Path,
    config: ModelConfig,
    seed: int = 0,
    *,
    ends: tuple[str, ...] = ("_proj.weight", ".gate.weight", "lm_head.weight"),
    dora: bool = False,
    size: float = 0.05,
    rank: int = 4,
) -> Path:
    """One for every matrix whose name ends so; each third one is left out."""
    draw = torch.Generator().manual_seed(seed)
    tensors: dict[str, Tensor] = {}
    names = [name for name, shape in shapes_of(config).items() if name.endswith(ends) and len(shape) == 2]
    for number, name in enumerate(names):
        if number % 3 == seed % 3 and len(names) > 3:
            continue
        (n, k), module = shapes_of(config)[name], name.removesuffix(".weight")
        tensors[f"base_model.model.{module}.lora_A.weight"] = torch.randn(rank, k, generator=draw) * size
        tensors[f"base_model.model.{module}.lora_B.weight"] = torch.randn(n, rank, generator=draw)
        if dora:
            tensors[f"base_model.model.{module}.lora_magnitude_vector"] = torch.rand(n, generator=draw) + 0.5
    return folder_of(path, tensors, use_dora=dora, r=rank)
