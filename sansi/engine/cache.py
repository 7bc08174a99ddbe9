"""A dense key-value cache: one row per slot, grown as sequences grow.

Shape legend: L layers, B slots, S positions, H key-value heads, D head size, T new positions, N active slots.
The rows of active slots are always 0 … N-1, so that a decode step reads views and copies nothing.
"""

from __future__ import annotations

import torch
from torch import Tensor

BUCKET = 32  # positions; attention reads whole buckets, so that shapes change rarely and short requests stay cheap


class SlotCache:
    """Keys and values of every slot. Positions beyond a slot's length hold finite rubbish that the mask hides.

    It grows as it is needed, to at most `max_slots` rows of `max_positions`.
    """

    def __init__(self, max_slots: int, max_positions: int) -> None:
        self._most = (max_slots, _in_buckets(max_positions))
        self.keys: list[Tensor] = []  # per layer [B, H, S, D]; empty until the first prefill shows the shapes
        self.values: list[Tensor] = []
        self.slots = self.positions = 0  # capacity

    def reserve(self, slots: int, positions: int) -> None:
        """Make room for `slots` rows of `positions`; capacities grow by half or more, so a token costs O(1) copies."""
        if slots > self.slots or positions > self.positions:
            self.slots = min(_enough(self.slots, slots), self._most[0])
            self.positions = min(_in_buckets(_enough(self.positions, positions)), self._most[1])
            self.keys = [self._grown(old) for old in self.keys]
            self.values = [self._grown(old) for old in self.values]

    def layer(self, index: int, like: Tensor) -> tuple[Tensor, Tensor]:
        """Storage [B, H, S, D] of one layer; made on first use with the dtype and device of `like` [N, H, T, D]."""
        while len(self.keys) <= index:
            shape = (self.slots, like.shape[1], self.positions, like.shape[3])
            self.keys.append(like.new_zeros(shape))
            self.values.append(like.new_zeros(shape))
        return self.keys[index], self.values[index]

    def move(self, source: int, target: int, length: int) -> None:
        """Copy the first `length` positions of row `source` over row `target`."""
        for storage in (*self.keys, *self.values):
            storage[target, :, :length] = storage[source, :, :length]

    def clear(self, slot: int) -> None:
        """Zero the row of a slot whose keys or values are NaN: no mask hides a NaN, as 0 times NaN is NaN."""
        for storage in (*self.keys, *self.values):
            storage[slot] = 0

    def _grown(self, old: Tensor) -> Tensor:
        new = old.new_zeros((self.slots, old.shape[1], self.positions, old.shape[3]))
        new[: old.shape[0], :, : old.shape[2]] = old
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
        keys[rows, :, : k.shape[2]] = k[self._sources]
        values[rows, :, : v.shape[2]] = v[self._sources]
        return k, v


class DecodeView:
    """What the model sees while it decodes one token for each of the N active slots."""

    def __init__(self, cache: SlotCache, lengths: Tensor, longest: int, dtype: torch.dtype):
        """lengths [N]: tokens before the new one. longest: their maximum. dtype: of the queries."""
        self._cache, self._lengths, self._active = cache, lengths, len(lengths)
        self._span = min(_in_buckets(longest + 1), cache.positions)
        hidden = torch.arange(self._span, device=lengths.device) > lengths[:, None]
        # Added to the scores: what a boolean mask becomes inside the attention kernel, made once instead of per layer.
        self.attention = torch.zeros(hidden.shape, dtype=dtype, device=lengths.device)
        self.attention = self.attention.masked_fill_(hidden, -torch.inf)[:, None, None, :]
        self._flat: Tensor | None = None  # [N*H]: where the new positions lie in a layer seen as [B*H*S, D]

    def update(self, layer: int, k: Tensor, v: Tensor) -> tuple[Tensor, Tensor]:
        """k, v [N, H, 1, D] -> all keys and values [N, H, span, D]."""
        keys, values = self._cache.layer(layer, k)
        if self._flat is None:
            heads = torch.arange(self._active * k.shape[1], device=k.device).view(self._active, -1)
            self._flat = (heads * keys.shape[2] + self._lengths[:, None]).flatten()
        keys.view(-1, k.shape[3]).index_copy_(0, self._flat, k.reshape(-1, k.shape[3]))
        values.view(-1, v.shape[3]).index_copy_(0, self._flat, v.reshape(-1, v.shape[3]))
        return keys[: self._active, :, : self._span], values[: self._active, :, : self._span]


def _in_buckets(positions: int) -> int:
    return -(-positions // BUCKET) * BUCKET


def _enough(capacity: int, needed: int) -> int:
    return capacity if needed <= capacity else max(needed, capacity + capacity // 2)
