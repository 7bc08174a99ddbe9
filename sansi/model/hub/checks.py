"""Whether Sansi can use a model of a hub: found out from its list of files and its config.json, before its weights."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sansi.base.errors import ConfigError, SansiError
from sansi.model.config import ModelConfig
from sansi.model.formats.files import (
    ADAPTER_CONFIG,
    DESCRIBED_UNDER,
    INDEX_FILE,
    OPENED_METHODS,
    QUANTIZED_FILE,
    SINGLE_FILE,
    described_by,
    is_ours,
)
from sansi.model.hf_config import MODEL_TYPES
from sansi.model.hub.names import nearest, unquantised
from sansi.model.hub.repository import CONFIG, TOKENIZER, Repository

_FORMATS = ((".bin", "pickled weights (*.bin)"), (".onnx", "ONNX files"), (".pt", "pickles"))


def check_files(repository: Repository) -> None:
    """Raise SansiError, in one sentence, unless there are a configuration, a tokenizer and safetensors."""
    name = repository.name
    if repository.file(ADAPTER_CONFIG) and not repository.file(CONFIG):
        raise SansiError(
            f"{name} is an adapter (LoRA) and not a model; give the name of a model that it is merged into"
        )
    if not any(repository.file(weights) for weights in (SINGLE_FILE, INDEX_FILE, QUANTIZED_FILE)):
        found = next((what for suffix, what in _FORMATS if _has(repository, suffix)), "no weights that Sansi can open")
        raise SansiError(f"{name} holds {found}, and Sansi opens safetensors{_instead(repository)}")
    for file in (CONFIG, TOKENIZER):
        if not repository.file(file):
            raise SansiError(f"{name} has no {file}, so it is not a whole model folder{_instead(repository)}")


def config_of(repository: Repository, values: Mapping[str, Any]) -> ModelConfig:
    """The configuration in a repository's config.json; raises SansiError, in one sentence, if it is not one of ours."""
    name, model_type = repository.name, values.get("model_type")
    if model_type not in MODEL_TYPES:
        ours = ", ".join(MODEL_TYPES)
        raise SansiError(f'{name} is a model of the type "{model_type}", and Sansi runs {ours}{nearest(str(name))}')
    method = quantisation_of(values)
    if method is not None and method not in OPENED_METHODS:
        what = f"{name} is quantised ({method}), which Sansi can not open yet"
        raise SansiError(f"{what}{_instead(repository)}, with --quantize int8 or int4 where memory is short")
    fields = {key: value for key, value in values.items() if key not in DESCRIBED_UNDER}
    try:
        return ModelConfig.from_hf(fields, f"{name}: config.json")
    except ConfigError as error:
        raise SansiError(f"{error}; this model needs more than Sansi has, take another one") from error


def quantisation_of(values: Mapping[str, Any]) -> str | None:
    """The method of the quantised weights that a config.json describes, "sansi" for our own; None: full weights."""
    described = described_by(values)
    if described is None:
        return None
    if is_ours(described):
        return "sansi"
    return str(described.get("quant_method", "unknown method")) if isinstance(described, Mapping) else "unknown method"


def stored_kind(values: Mapping[str, Any]) -> str | None:
    """How the weights are quantised where Sansi did it: "int8" or "int4"; None for full weights."""
    described = values.get("quantization_config")
    return str(described.get("kind")) if isinstance(described, Mapping) and is_ours(described) else None


def _has(repository: Repository, suffix: str) -> bool:
    return any(file.name.endswith(suffix) for file in repository.files)


def _instead(repository: Repository) -> str:
    plain = unquantised(repository.name.repository)
    return f"; take {plain}" if plain else "; take the full model that it was made from"
