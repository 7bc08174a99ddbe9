"""Adapters: PEFT folders of low-rank changes to a model (LoRA, arXiv:2106.09685), merged into it or beside it.

What needs torch is imported when it is asked for.
"""

from typing import TYPE_CHECKING

from sansi.base.later import later

if TYPE_CHECKING:
    from sansi.model.adapters.adapter import Adapter, LowRank
    from sansi.model.adapters.merge import Merged, check_base, merged
    from sansi.model.adapters.read import read_adapter
    from sansi.model.adapters.rounding import Erasure, erasure
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

__getattr__ = later(
    __name__,
    {
        **dict.fromkeys(("Adapter", "LowRank"), "adapter"),
        **dict.fromkeys(("Merged", "check_base", "merged"), "merge"),
        **dict.fromkeys(("AdaptedModel", "adapted"), "view"),
        **dict.fromkeys(("Erasure", "erasure"), "rounding"),
        "read_adapter": "read",
    },
)
