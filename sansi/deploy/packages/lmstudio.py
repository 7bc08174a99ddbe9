"""LM Studio's model.yaml (draft specification of 2025): sampling, context, and a switch for thinking in its window."""

from __future__ import annotations

from typing import Any

import yaml

from sansi.deploy.packages.facts import ModelFacts

FIELDS = {
    "temperature": "llm.prediction.temperature",
    "top_k": "llm.prediction.topKSampling",
    "top_p": "llm.prediction.topPSampling",
    "min_p": "llm.prediction.minPSampling",
}
CHECKED = ("top_p", "min_p")
"""Fields that can be switched off, and have to be switched on."""


def model_yaml(model: ModelFacts, publisher: str, weights_bytes: int, repository: str | None = None) -> str:
    """The file's text. publisher/name is what LM Studio lists it as; repository: of a hub that has the weights."""
    key = f"{publisher}/{model.name.lower()}"
    base: dict[str, Any] = {"key": f"{key}-gguf"}
    if repository:
        user, _, repo = repository.partition("/")
        base["sources"] = [{"type": "huggingface", "user": user, "repo": repo}]
    described = {
        "model": key,
        "base": [base],
        "metadataOverrides": {
            "domain": "llm",
            "architectures": ["qwen3moe" if model.config.is_moe else "qwen3"],
            "compatibilityTypes": ["gguf"],
            "paramsStrings": [_count(model.config.num_parameters())],
            "minMemoryUsageBytes": int(weights_bytes * 1.15),
            "contextLengths": [model.context_length],
            "vision": False,
            "reasoning": "mixed",
            "trainedForToolUse": True,
        },
        "config": {
            "operation": {"fields": [_field(name, value) for name, value in model.sampling.items() if name in FIELDS]},
            "load": {"fields": [{"key": "llm.load.contextLength", "value": model.context_length}]},
        },
        "customFields": [
            {
                "key": "enableThinking",
                "displayName": "Enable thinking",
                "description": "Think before answering.",
                "type": "boolean",
                "defaultValue": True,
                "effects": [{"type": "setJinjaVariable", "variable": "enable_thinking"}],
            }
        ],
    }
    return yaml.safe_dump(described, sort_keys=False, allow_unicode=True)


def _field(name: str, value: float) -> dict[str, Any]:
    number: float | int = int(value) if name == "top_k" else value
    return {"key": FIELDS[name], "value": {"checked": True, "value": number} if name in CHECKED else number}


def _count(parameters: int) -> str:
    if parameters < 1e9:
        return f"{parameters / 1e6:.0f}M"
    return f"{parameters / 1e9:.1f}".rstrip("0").rstrip(".") + "B"
