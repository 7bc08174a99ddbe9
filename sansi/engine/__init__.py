"""Batched generation over token ids: KV cache, scheduler, sampler, thinking limits. Imports base and model only."""

from sansi.engine.engine import Engine
from sansi.engine.params import SamplingParams, ThinkingLimits
from sansi.engine.results import Completion, Delta, ThinkingReport, Usage
from sansi.engine.thinking import ThinkingState

__all__ = [
    "Completion",
    "Delta",
    "Engine",
    "SamplingParams",
    "ThinkingLimits",
    "ThinkingReport",
    "ThinkingState",
    "Usage",
]
