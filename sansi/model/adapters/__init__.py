"""Adapters: PEFT folders of low-rank changes to a model (LoRA, arXiv:2106.09685), merged into it or beside it."""

from sansi.model.adapters.adapter import Adapter, LowRank
from sansi.model.adapters.erasure import Erasure, erasure
from sansi.model.adapters.merge import Merged, check_base, merged
from sansi.model.adapters.read import read_adapter
from sansi.model.adapters.view import AdaptedModel, adapted

__all__ = [
    "AdaptedModel",
    "Adapter",
    "Erasure",
    "LowRank",
    "Merged",
    "adapted",
    "check_base",
    "erasure",
    "merged",
    "read_adapter",
]
