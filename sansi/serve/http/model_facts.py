"""What a served model is, in numbers: its size, its bits, and the memory that it was given."""

from __future__ import annotations

from typing import Any

from sansi.chat import ChatModel


def facts_of(chat: ChatModel) -> dict[str, Any]:
    """For `/v1/models`; sizes in bytes. Nothing of a model that has no engine in this process.

    thinking, tools: whether the model has a thinking mode, and whether its template knows tools.
    """
    engine, codec = getattr(chat, "engine", None), getattr(chat, "codec", None)
    if engine is None:
        return {}
    plan, parameters = engine.plan, engine.config.num_parameters()
    can: dict[str, Any] = {} if codec is None else {"thinking": codec.thinks, "tools": codec.knows_tools}
    if (adapter := engine.adapters.get(getattr(chat, "adapter", None))) is not None:
        can["adapter"] = {"trained_on": adapter.base, "tensors": len(adapter.names), "bytes": adapter.nbytes}
    return can | {
        "parameters": parameters,
        "bits_per_parameter": round(8 * plan.weights / parameters, 1),
        "weight_bytes": plan.weights,
        "cache_bytes": plan.cache,
        "cache_tokens": plan.positions,
        "memory_bytes": plan.total,
        "device": plan.device,
        "backend": engine.backend.name,
    }
