"""A dense key-value cache: one row per slot, grown as sequences grow.

Shape legend: L layers, B slots, S positions, H key-value heads, D head size, T new positions, N active slots.
The rows of active slots are always 0 … N-1, so that a decode step reads views and copies nothing.
"""

from __future__ import annotations

import torch
from torch import Tensor

BUCKET = 64  # positions; attention reads whole buckets, so that shapes change rarely and short requests stay cheap


class SlotCache:
    """Keys and values of every slot. Positions beyond a slot's length hold finite rubbish that the mask hides."""

    def __init__(self) -> None:
        self.keys: list[Tensor] = []  # per layer [B, S, H, D]; empty until the first prefill shows the shapes
        self.values: list[Tensor] = []
        self.slots = self.positions = 0  # capacity

    def reserve(self, slots: int, positions: int) -> None:
        """Make room for `slots` rows of `positions`; capacities double, so that growth costs O(1) a token."""
        if slots > self.slots or positions > self.positions:
            self.slots = max(self.slots, _power_of_two(slots, 1))
            self.positions = max(self.positions, _power_of_two(positions, BUCKET))
            self.keys = [self._grown(old) for old in self.keys]
            self.values = [self._grown(old) for old in self.values]

    def layer(self, index: int, like: Tensor) -> tuple[Tensor, Tensor]:
        """Storage [B, S, H, D] of one layer; made on first use with the dtype and device of `like` [N, H, T, D]."""
        while len(self.keys) <= index:
            shape = (self.slots, self.positions, like.shape[1], like.shape[3])
            self.keys.append(like.new_zeros(shape))
            self.values.append(like.new_zeros(shape))
        return self.keys[index], self.values[index]

    def move(self, source: int, target: int, length: int) -> None:
        """Copy the first `length` positions of row `source` over row `target`."""
        for storage in (*self.keys, *self.values):
            storage[target, :length] = storage[source, :length]

    def _grown(self, old: Tensor) -> Tensor:
        new = old.new_zeros((self.slots, self.positions, *old.shape[2:]))
        new[: old.shape[0], : old.shape[1]] = old
        return new


class PrefillView:
    """What the model sees while it reads prompts: keys go to rows `first` …, attention stays within the prompt."""

    def __init__(self, cache: SlotCache, first: int, sources: Tensor):
        self._cache, self._first = cache, first
        self._sources = sources  # [N]: which of the distinct prompts each new slot has

    def update(self, layer: int, k: Tensor, v: Tensor) -> tuple[Tensor, Tensor]:
        """k, v [P, H, T, D] of P distinct prompts, padded on the right."""
        keys, values = self._cache.layer(layer, k)
        rows = slice(self._first, self._first + len(self._sources))
        keys[rows, : k.shape[2]] = k.transpose(1, 2)[self._sources]
        values[rows, : v.shape[2]] = v.transpose(1, 2)[self._sources]
        return k, v


class DecodeView:
    """What the model sees while it decodes one token for each of the N active slots."""

    def __init__(self, cache: SlotCache, lengths: Tensor, longest: int):
        """lengths [N]: tokens before the new one. longest: their maximum."""
        self._cache, self._active = cache, len(lengths)
        self._span = -(-(longest + 1) // BUCKET) * BUCKET
        rows = torch.arange(self._active, device=lengths.device)
        self._flat = rows * cache.positions + lengths  # where each slot's new position lies in [B*S]
        self.attention = (torch.arange(self._span, device=lengths.device) <= lengths[:, None])[:, None, None, :]

    def update(self, layer: int, k: Tensor, v: Tensor) -> tuple[Tensor, Tensor]:
        """k, v [N, H, 1, D] -> all keys and values [N, H, span, D]."""
        keys, values = self._cache.layer(layer, k)
        keys.view(-1, *keys.shape[2:]).index_copy_(0, self._flat, k[:, :, 0])
        values.view(-1, *values.shape[2:]).index_copy_(0, self._flat, v[:, :, 0])
        n, span = self._active, self._span
        return keys[:n, :span].transpose(1, 2), values[:n, :span].transpose(1, 2)


def _power_of_two(value: int, least: int) -> int:
    while least < value:
        least *= 2
    return least
