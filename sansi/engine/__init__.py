"""Batched generation over token ids: paged KV cache, scheduler, sampler, thinking limits. Needs base and model only."""

from sansi.engine.engine import Engine
from sansi.engine.metrics import EngineMetrics
from sansi.engine.params import SamplingParams, ThinkingLimits
from sansi.engine.results import Completion, Delta, ThinkingReport, TokenLogprob, Usage
from sansi.engine.thinking import ThinkingState

__all__ = [
    "Completion",
    "Delta",
    "Engine",
    "EngineMetrics",
    "SamplingParams",
    "ThinkingLimits",
    "ThinkingReport",
    "ThinkingState",
    "TokenLogprob",
    "Usage",
]
