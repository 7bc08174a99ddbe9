"""Adapters of stacked experts, taken apart: on the hub each expert has matrices of its own.

Three layouts are known. PEFT's own adapts the stack as one parameter: A [E r, K], expert after expert, and B [N, r E],
the experts' columns side by side in each place of the rank; older versions took N for K. Others have A [E, r, K] and
B [E, N, r], or one of the two for all experts.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor

from sansi.base.errors import SansiError
from sansi.model.adapters.adapter import LowRank
from sansi.model.adapters.config import AdapterConfig
from sansi.model.adapters.keys import Stack
from sansi.model.config import ModelConfig
from sansi.model.formats.names import stacked_place


def unstacked(stack: Stack, a: Tensor, b: Tensor, config: ModelConfig, described: AdapterConfig) -> dict[str, LowRank]:
    """The change of each expert's matrices, by name. Raises SansiError, the end of a sentence, for other shapes."""
    experts, hidden, width = config.num_experts, config.hidden_size, config.moe_intermediate_size
    sizes = {"gate_up_proj": (2 * width, hidden), "down_proj": (hidden, width)}
    if stack.kind in ("gate_proj", "up_proj"):
        sizes = {stack.kind: (width, hidden)}
    elif stack.kind is not None:
        sizes = {stack.kind: sizes[stack.kind]}
    for kind, (n, k) in sizes.items():
        rank = described.rank(f"{stack.experts}.{kind}")
        if pieces := _pieces(a, b, experts, n, k, rank):
            scale = described.scale(f"{stack.experts}.{kind}")
            return {
                name: LowRank(a_e, part, scale)
                for number, (a_e, b_e) in enumerate(pieces)
                for name, part in _named(f"{stack.experts}.{number}", kind, b_e).items()
            }
    named = " or ".join(f"{kind} {[experts, n, k]}" for kind, (n, k) in sizes.items())
    raise SansiError(f"{list(a.shape)} and its lora_B {list(b.shape)} do not fit the stacked {named} and their rank")


def _pieces(a: Tensor, b: Tensor, experts: int, n: int, k: int, rank: int) -> list[tuple[Tensor, Tensor]] | None:
    """A [r, K] and B [N, r] of each expert; None where the shapes are not those of such a stack."""
    if a.dim() == 3 and b.dim() == 3:
        fits = a.shape[0] in (1, experts) and b.shape[0] in (1, experts)
        if not fits or a.shape[1:] != (rank, k) or b.shape[1:] != (n, rank):
            return None
        return list(zip(a.expand(experts, -1, -1), b.expand(experts, -1, -1), strict=True))
    if a.shape == (experts * rank, k) and b.shape == (n, rank * experts):
        return list(zip(a.view(experts, rank, k), b.reshape(n, rank, experts).permute(2, 0, 1), strict=True))
    if a.shape == (experts * rank, n) and b.shape == (k, rank * experts):
        turned = zip(a.view(experts, rank, n), b.reshape(k, rank, experts).permute(2, 0, 1), strict=True)
        return [(b_e.T, a_e.T) for a_e, b_e in turned]
    return None


def _named(owner: str, kind: str, b: Tensor) -> Mapping[str, Tensor]:
    if kind != "gate_up_proj":
        return {f"{owner}.{kind}.weight": b}
    gate, up = b.chunk(2)
    return {f"{owner}.gate_proj.weight": gate, f"{owner}.up_proj.weight": up}


def unstacked_whole(name: str, tensor: Tensor, shapes: Mapping[str, Any]) -> dict[str, Tensor]:
    """The matrices of a stack that was trained whole, by name; nothing for any other tensor."""
    found: dict[str, Tensor] = {}
    if not name.endswith(("experts.gate_up_proj", "experts.down_proj")):
        return found
    for own, shape in shapes.items():
        place = stacked_place(own)
        if place is not None and place.name == name and tensor.dim() == 3 and place.expert < len(tensor):
            rows = place.offset * shape[0]
            found[own] = tensor[place.expert, rows : rows + shape[0]]
    return found
