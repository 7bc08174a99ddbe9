"""The Qwen3 transformer, dense and mixture-of-experts: configuration, forward pass, checkpoints.

What needs torch is imported when it is asked for: names of models and their configurations need none.
"""

from typing import TYPE_CHECKING

from sansi.base.later import later
from sansi.model.bundle import ModelBundle
from sansi.model.config import ModelConfig, RopeScaling
from sansi.model.presets import PRESETS

if TYPE_CHECKING:
    from sansi.model.attention import Documents
    from sansi.model.balance import LoadBalance, expert_counts, load_balancing_loss
    from sansi.model.formats.hf import load, save
    from sansi.model.head import TokenLogprobs, token_logprobs
    from sansi.model.roles import Role, parameter_roles
    from sansi.model.transformer import Features, Transformer

__all__ = [
    "PRESETS",
    "Documents",
    "Features",
    "LoadBalance",
    "ModelBundle",
    "ModelConfig",
    "Role",
    "RopeScaling",
    "TokenLogprobs",
    "Transformer",
    "expert_counts",
    "load",
    "load_balancing_loss",
    "parameter_roles",
    "save",
    "token_logprobs",
]

__getattr__ = later(
    __name__,
    {
        "Documents": "attention",
        **dict.fromkeys(("LoadBalance", "expert_counts", "load_balancing_loss"), "balance"),
        **dict.fromkeys(("load", "save"), "formats.hf"),
        **dict.fromkeys(("TokenLogprobs", "token_logprobs"), "head"),
        **dict.fromkeys(("Role", "parameter_roles"), "roles"),
        **dict.fromkeys(("Features", "Transformer"), "transformer"),
    },
)
