"""Whether the weights of a model have changed since one last looked, in some 100 microseconds."""

from __future__ import annotations

import torch
from torch import Tensor, nn

SAMPLES = 64  # elements of each parameter that are compared


class Weights:
    """Watches the parameters of a module.

    Three signs: torch's version counters, which fused optimisers leave alone; other storage; and a few elements of each
    parameter, of which an optimiser changes all. Only a change by hand through `.data`, of other elements, is missed.
    """

    def __init__(self, module: nn.Module):
        self._parameters = list(module.parameters())
        self._look()

    def changed(self) -> bool:
        """Since the last call, or since this was made."""
        marks = self._marks()
        if marks == self._seen and torch.equal(_sample(self._views), self._sample):
            return False
        self._look()
        return True

    @torch.no_grad()
    def _look(self) -> None:
        self._seen = self._marks()
        self._views = [_spread(parameter.detach()) for parameter in self._parameters]
        self._sample = _sample(self._views)

    def _marks(self) -> list[tuple[int, int]]:
        return [(p.data_ptr(), -1 if p.is_inference() else p._version) for p in self._parameters]


def _spread(tensor: Tensor) -> Tensor:
    """Up to SAMPLES elements, evenly spread, as a view."""
    flat = tensor.reshape(-1)
    return flat[:: max(1, flat.numel() // SAMPLES)][:SAMPLES]


def _sample(views: list[Tensor]) -> Tensor:
    return torch.cat([view.float() for view in views])  # one dtype, should the parameters have several
