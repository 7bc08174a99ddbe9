"""Adapters: PEFT folders of low-rank changes to a model (LoRA, arXiv:2106.09685), merged into it or beside it."""

from sansi.model.adapters.adapter import Adapter, LowRank
from sansi.model.adapters.erasure import Erasure, erasure
from sansi.model.adapters.merge import Merged, merged
from sansi.model.adapters.read import read_adapter

__all__ = ["Adapter", "Erasure", "LowRank", "Merged", "erasure", "merged", "read_adapter"]
