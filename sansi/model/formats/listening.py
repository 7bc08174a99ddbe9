"""What comes into each matrix of a model while it reads: for whoever rounds weights by what is done with them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch.nn.functional as F
from torch import Tensor, nn

from sansi.model.formats.names import same_inputs
from sansi.model.transformer import Experts, Linear


@dataclass(frozen=True)
class Heard:
    """The inputs of some matrices in one call."""

    names: tuple[str, ...]
    """Matrices that all get them, on the hub."""
    inputs: Tensor
    """[tokens, K]"""
    tokens: int
    """That were meant for the matrices: an expert may get others to listen to as well."""


@contextmanager
def listening(module: nn.Module, hear: Callable[[Heard], None], prefix: str = "", least: int = 0) -> Iterator[None]:
    """Call `hear` for every matrix of `module`, and for every expert that a token goes to, whenever it runs.

    prefix: of the names. least: an expert that fewer tokens of a call go to also hears those that were nearest to going
    to it, by the logits of its router, up to so many.
    """
    hooks = []
    for name, part in module.named_modules():
        if isinstance(part, Experts):
            ear = _Ear(f"{prefix}{name}", hear, least)
            router = module.get_submodule(f"{name.removesuffix('experts')}gate")
            hooks.append(router.register_forward_hook(ear.routed))
            hooks.append(part.register_forward_pre_hook(ear.of_experts))
        elif isinstance(part, Linear) and part.role == "matrix" and _is_first(name):
            hooks.append(part.register_forward_pre_hook(_of_matrix(f"{prefix}{name}", hear)))
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()


def expert_names(module: nn.Module, prefix: str = "") -> list[str]:
    """All experts of a module: "model.layers.0.mlp.experts.3"."""
    stacks = [(name, part) for name, part in module.named_modules() if isinstance(part, Experts)]
    return [f"{prefix}{name}.{number}" for name, part in stacks for number in range(len(part.down_proj))]


def _is_first(name: str) -> bool:
    """Whether a matrix is the one that is listened to for all with its inputs."""
    kind = name.rpartition(".")[2]
    return kind == same_inputs(kind)[0]


def _of_matrix(name: str, hear: Callable[[Heard], None]) -> Callable[..., None]:
    stem, _, kind = name.rpartition(".")
    names = tuple(f"{stem}.{each}.weight" for each in same_inputs(kind))

    def hook(module: nn.Module, given: tuple[Tensor, ...]) -> None:
        x = given[0].flatten(0, -2)
        hear(Heard(names, x, len(x)))

    return hook


class _Ear:
    """Listens to the experts of a layer."""

    def __init__(self, name: str, hear: Callable[[Heard], None], least: int):
        self._name, self._hear, self._least = name, hear, least
        self._logits: Tensor | None = None  # [N, E], from the router of the same call

    def routed(self, module: nn.Module, given: tuple[Tensor, ...], logits: Tensor) -> None:
        self._logits = logits.flatten(0, -2)

    def of_experts(self, module: nn.Module, given: tuple[Tensor, Tensor, Tensor]) -> None:
        assert isinstance(module, Experts) and self._logits is not None
        x, _, chosen = given
        experts = range(len(module.down_proj)) if self._least else chosen.unique().tolist()
        for expert in experts:
            mine = (chosen == expert).any(-1)
            own = int(mine.sum())
            if own < self._least:
                near = self._logits[:, expert].masked_fill(mine, float("inf")).topk(min(self._least, len(x))).indices
                mine = mine.index_fill(0, near, True)
            inputs, stem = x[mine], f"{self._name}.{expert}"
            gate, up = F.linear(inputs, module.gate_up_proj[expert]).chunk(2, dim=-1)
            self._hear(Heard((f"{stem}.gate_proj.weight", f"{stem}.up_proj.weight"), inputs, own))
            self._hear(Heard((f"{stem}.down_proj.weight",), F.silu(gate) * up, own))
