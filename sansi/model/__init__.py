"""The Qwen3 transformer, dense and mixture-of-experts: configuration, forward pass, checkpoints."""

from sansi.model.balance import LoadBalance, expert_counts, load_balancing_loss
from sansi.model.config import ModelConfig, RopeScaling
from sansi.model.formats.hf import load, save
from sansi.model.presets import PRESETS
from sansi.model.transformer import Features, Transformer

__all__ = [
    "PRESETS",
    "Features",
    "LoadBalance",
    "ModelConfig",
    "RopeScaling",
    "Transformer",
    "expert_counts",
    "load",
    "load_balancing_loss",
    "save",
]
