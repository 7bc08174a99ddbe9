"""A model that says what it is told to."""

from __future__ import annotations

import torch
from sansi.model import ModelConfig, Transformer


class Scripted(Transformer):
    """Wants to say `script`, id by id, from wherever its prompt ends; then the end of the turn."""

    def __init__(self, config: ModelConfig, stop: int):
        super().__init__(config)
        self.script: list[int] = []
        self._stop, self._start = stop, 0

    def hidden(self, ids, positions=None, attention=None, cache=None):
        kv = torch.zeros(ids.shape[0], 1, ids.shape[1], 1)
        cache.update(0, kv, kv)
        if positions is None:
            self._start = ids.shape[1]
            return self._wish(torch.zeros_like(ids))
        return self._wish(positions - self._start + 1)

    def _wish(self, steps):
        wanted = [self.script[s] if s < len(self.script) else self._stop for s in steps.flatten().tolist()]
        return torch.nn.functional.one_hot(torch.tensor(wanted), self.config.vocab_size).view(*steps.shape, -1) * 50.0

    @property
    def lm_head_weight(self):
        return torch.eye(self.config.vocab_size)
