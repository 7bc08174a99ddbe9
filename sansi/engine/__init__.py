"""Batched generation over token ids: paged cache, sampler, thinking limits, grammars, drafts. Needs base and model."""

from sansi.engine.engine import Engine
from sansi.engine.grammar import Grammar, GrammarCompiler
from sansi.engine.metrics import EngineMetrics
from sansi.engine.params import SamplingParams
from sansi.engine.results import Completion, Delta, ThinkingReport, TokenLogprob, Usage
from sansi.engine.thinking import ThinkingLimits, ThinkingState

__all__ = [
    "Completion",
    "Delta",
    "Engine",
    "EngineMetrics",
    "Grammar",
    "GrammarCompiler",
    "SamplingParams",
    "ThinkingLimits",
    "ThinkingReport",
    "ThinkingState",
    "TokenLogprob",
    "Usage",
]
