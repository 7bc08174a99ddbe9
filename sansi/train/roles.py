"""What each parameter is, for optimisers that treat them differently."""

from __future__ import annotations

from torch import nn

Role = str


def parameter_roles(model: nn.Module) -> dict[str, Role]:
    """matrix, embedding, head, norm, router or expert, by name of the parameter."""
    return {
        name: getattr(parameter, "role", None) or _guess(name, parameter)
        for name, parameter in model.named_parameters()
    }


def _guess(name: str, parameter: nn.Parameter) -> Role:
    if parameter.ndim < 2:
        return "norm"
    if "embed_tokens" in name or "lm_head" in name:
        return "head" if "lm_head" in name else "embedding"
    if name.endswith("mlp.gate.weight"):
        return "router"
    return "expert" if parameter.ndim == 3 else "matrix"
