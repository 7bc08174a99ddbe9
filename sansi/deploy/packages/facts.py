"""What a package says of a model, read from its folder once."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sansi.chat.presets import Presets
from sansi.model.bundle import ModelBundle
from sansi.model.config import ModelConfig
from sansi.model.formats.folders import read_config, read_config_values

SAMPLING = ("temperature", "top_p", "top_k", "min_p", "repetition_penalty", "presence_penalty")


def _published() -> dict[str, float]:
    """What Qwen3's cards recommend for thinking."""
    preset = Presets().thinking
    return {"temperature": preset.temperature, "top_p": preset.top_p, "top_k": preset.top_k}


@dataclass(frozen=True)
class ModelFacts:
    """A model as a launcher sees it."""

    name: str
    """As clients ask for it."""
    path: str
    """A folder, a GGUF file, or a name on a hub: what the runtime is told to open."""
    config: ModelConfig
    sampling: Mapping[str, float] = field(default_factory=_published)
    quantisation: str | None = None
    """quant_method of config.json: fp8, awq, gptq, …; None: full weights."""
    context: int | None = None
    """Tokens to serve; None: the model's."""
    tensor_parallel: int = 1
    expert_parallel: bool = False
    adapters: Mapping[str, str] = field(default_factory=dict)
    """Name of each LoRA adapter -> its folder."""
    adapter_rank: int = 16
    licence: str | None = None

    @property
    def context_length(self) -> int:
        return self.context or self.config.context_length

    @property
    def yarn_factor(self) -> float | None:
        """How far positions have to be stretched for the context; None: not at all."""
        scaling = self.config.rope_scaling
        if self.context_length <= self.config.max_position_embeddings and scaling is None:
            return None
        return max(1.0, self.context_length / self.original_context)

    @property
    def original_context(self) -> int:
        """Tokens that positions were trained for. Qwen3's config.json says 40,960: 32,768, and room for a prompt."""
        scaling, most = self.config.rope_scaling, self.config.max_position_embeddings
        stated = scaling.original_max_position_embeddings if scaling else None
        return stated or (32_768 if most == 40_960 else most)


def facts_of(folder: str | Path, name: str | None = None, **more: Any) -> ModelFacts:
    """The facts of a model folder. Raises SansiError as `read_config` does."""
    folder = Path(folder)
    values = read_config_values(folder)
    described = values.get("quantization_config") or {}
    method = described.get("quant_method") if isinstance(described, Mapping) else None
    said = ModelBundle.from_folder(folder).generation_config
    sampling = {key: float(said[key]) for key in SAMPLING if isinstance(said.get(key), int | float)}
    return ModelFacts(
        name or folder.resolve().name,
        str(folder),
        read_config(folder),
        sampling or _published(),
        method if isinstance(method, str) else None,
        **more,
    )
