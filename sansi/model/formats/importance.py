"""How much each input of each matrix matters: the mean square of what comes in there while a text is read.

Rounding that minimises the error weighted so keeps the outputs, not the weights, near what they were. Experts are
measured one by one; one that few tokens went to leans on the mean of its layer, one that none went to has nothing else.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sansi.base.errors import SansiError
from sansi.model.formats.tensors import EMBEDDING, LM_HEAD
from sansi.model.transformer import Experts, Linear, Transformer, uncompiled

LEAN = 16
"""Tokens of its layer's mean that an expert's own are mixed with."""
FLOOR = 1e-4
"""The least that an input counts, beside the mean of its matrix: one that was silent here may speak elsewhere."""


@dataclass(frozen=True)
class Importance:
    """What a text says of the inputs of a model's matrices."""

    inputs: Mapping[str, Tensor]
    """Matrix, by its name on the hub -> [inputs] float32, all above 0."""
    tokens: int
    """That were read."""
    visits: Mapping[str, int]
    """Expert ("model.layers.0.mlp.experts.3") -> tokens that went to it."""

    @property
    def unseen(self) -> tuple[str, ...]:
        """The experts that no token went to: their inputs have the mean of their layer."""
        return tuple(expert for expert, count in self.visits.items() if count == 0)


@torch.no_grad()
def measure_importance(
    model: Transformer, batches: Iterable[Tensor], progress: Callable[[int], None] | None = None
) -> Importance:
    """Read `batches` of ids [B, T]. progress: gets the tokens read so far. Raises SansiError where there are none."""
    model = uncompiled(model)
    sums = _Sums(model)
    tokens = 0
    with sums.listening():
        for ids in batches:
            sums.head(model.hidden(ids.to(model.lm_head_weight.device)))
            tokens += ids.numel()
            if progress:
                progress(tokens)
    if not tokens:
        raise SansiError("there is no text to measure the importance of inputs on; give one", param="calibration")
    return Importance(sums.means(), tokens, sums.visits())


class _Sums:
    """Sums of squares, and how many they are of."""

    def __init__(self, model: Transformer):
        self._model = model
        self._dense: dict[str, list[Any]] = {}
        self._experts: dict[str, list[Any]] = {}  # inputs of gate and up [E, C], of down [E, W], visits [E]

    @contextmanager
    def listening(self) -> Iterator[None]:
        hooks = []
        for name, module in self._model.named_modules():
            if isinstance(module, Experts):
                hooks.append(module.register_forward_pre_hook(self._of_experts(name, module)))
            elif isinstance(module, Linear) and module.role == "matrix":
                hooks.append(module.register_forward_pre_hook(self._of_matrix(f"{name}.weight")))
        try:
            yield
        finally:
            for hook in hooks:
                hook.remove()

    def head(self, hidden: Tensor) -> None:
        """The input of the LM head."""
        self._add(EMBEDDING if self._model.lm_head is None else LM_HEAD, hidden)

    def _add(self, name: str, x: Tensor) -> None:
        squares, count = x.float().flatten(0, -2).square().sum(0).cpu(), x.numel() // x.shape[-1]
        known = self._dense.setdefault(name, [torch.zeros_like(squares), 0])
        known[0] += squares
        known[1] += count

    def _of_matrix(self, name: str) -> Callable[..., None]:
        return lambda module, given: self._add(name, given[0])

    def _of_experts(self, name: str, experts: Experts) -> Callable[..., None]:
        def hook(module: nn.Module, given: tuple[Tensor, Tensor, Tensor]) -> None:
            x, _, chosen = given
            count, width = experts.down_proj.shape[0], experts.down_proj.shape[2]
            sums = self._experts.setdefault(
                name, [torch.zeros(count, x.shape[-1]), torch.zeros(count, width), torch.zeros(count, dtype=torch.long)]
            )
            for expert in chosen.unique().tolist():
                mine = x[(chosen == expert).any(-1)]
                gate, up = F.linear(mine, experts.gate_up_proj[expert]).chunk(2, dim=-1)
                sums[0][expert] += mine.float().square().sum(0).cpu()
                sums[1][expert] += (F.silu(gate) * up).float().square().sum(0).cpu()
                sums[2][expert] += len(mine)

        return hook

    def visits(self) -> dict[str, int]:
        return {f"{n}.{e}": count for n, sums in self._experts.items() for e, count in enumerate(sums[2].tolist())}

    def means(self) -> dict[str, Tensor]:
        found = {name: _floored(squares / count) for name, (squares, count) in self._dense.items()}
        for name, (inputs, inner, counts) in self._experts.items():
            for kind, sums in (("gate", inputs), ("up", inputs), ("down", inner)):
                mean = sums.sum(0) / counts.sum().clamp(min=1)
                for expert, count in enumerate(counts.tolist()):
                    leaning = (sums[expert] + LEAN * mean) / (count + LEAN)
                    found[f"{name}.{expert}.{kind}_proj.weight"] = _floored(leaning)
        return found


def _floored(means: Tensor) -> Tensor:
    least = FLOOR * means.mean()
    return means.clamp(min=least.item() or 1.0)
