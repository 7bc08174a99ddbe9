"""How much each input of each matrix matters: the mean square of what comes in there while a text is read.

Rounding that minimises the error weighted so keeps the outputs, not the weights, near what they were. Experts are
measured one by one; one that few tokens went to leans on the mean of its layer, one that none went to has nothing else.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from sansi.base.errors import SansiError
from sansi.model.formats.listening import Heard, expert_names, listening
from sansi.model.formats.tensors import EMBEDDING, LM_HEAD
from sansi.model.transformer import Transformer, uncompiled

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
    with listening(model, sums.hear):
        for ids in batches:
            sums.hear_head(model.hidden(ids.to(model.lm_head_weight.device)))
            tokens += ids.numel()
            if progress:
                progress(tokens)
    if not tokens:
        raise SansiError("there is no text to measure the importance of inputs on; give one", param="calibration")
    return Importance(sums.means(), tokens, sums.visits())


class _Sums:
    """Sums of squares, and how many they are of."""

    def __init__(self, model: Transformer):
        self._experts = expert_names(model)
        self._head = EMBEDDING if model.lm_head is None else LM_HEAD
        self._squares: dict[str, Tensor] = {}
        self._tokens: dict[str, int] = {}

    def hear(self, heard: Heard) -> None:
        squares = heard.inputs.float().square().sum(0).cpu()
        for name in heard.names:
            known = self._squares.get(name)
            self._squares[name] = squares if known is None else known + squares
            self._tokens[name] = self._tokens.get(name, 0) + heard.tokens

    def hear_head(self, hidden: Tensor) -> None:
        """The input of the LM head."""
        x = hidden.flatten(0, -2)
        self.hear(Heard((self._head,), x, len(x)))

    def visits(self) -> dict[str, int]:
        return {expert: self._tokens.get(f"{expert}.down_proj.weight", 0) for expert in self._experts}

    def means(self) -> dict[str, Tensor]:
        of_layers: dict[tuple[str, str], list[str]] = {}
        for expert in self._experts:
            for kind in ("gate_proj.weight", "up_proj.weight", "down_proj.weight"):
                of_layers.setdefault((expert.rpartition(".")[0], kind), []).append(f"{expert}.{kind}")
        sparse = {name for names in of_layers.values() for name in names}
        dense = [name for name in self._squares if name not in sparse]
        found = {name: _floored(self._squares[name] / self._tokens[name]) for name in dense}
        for names in of_layers.values():
            found |= self._leaning(names)
        return found

    def _leaning(self, names: Sequence[str]) -> dict[str, Tensor]:
        """The means of one matrix of all experts of a layer."""
        heard = [name for name in names if name in self._squares]
        total = torch.stack([self._squares[name] for name in heard]).sum(0)
        mean = total / sum(self._tokens[name] for name in heard)
        nothing = torch.zeros_like(mean)
        return {
            name: _floored((self._squares.get(name, nothing) + LEAN * mean) / (self._tokens.get(name, 0) + LEAN))
            for name in names
        }


def _floored(means: Tensor) -> Tensor:
    least = FLOOR * means.mean()
    return means.clamp(min=least.item() or 1.0)
