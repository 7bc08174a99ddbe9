"""What a served model is, in numbers: its size, its bits, and the memory that it was given."""

from __future__ import annotations

from typing import Any

from sansi.chat import ChatModel


def facts_of(chat: ChatModel) -> dict[str, Any]:
    """For `/v1/models`; sizes in bytes. Nothing of a model that has no engine in this process."""
    engine = getattr(chat, "engine", None)
    if engine is None:
        return {}
    plan, parameters = engine.plan, engine.config.num_parameters()
    return {
        "parameters": parameters,
        "bits_per_parameter": round(8 * plan.weights / parameters, 1),
        "weight_bytes": plan.weights,
        "cache_bytes": plan.cache,
        "cache_tokens": plan.positions,
        "memory_bytes": plan.total,
        "device": plan.device,
        "backend": engine.backend.name,
    }
