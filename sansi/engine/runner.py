"""Runs the model over the cache: prefill for new slots, one token for all active slots, then sampling."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from sansi.engine.cache import DecodeView, PrefillView, SlotCache
from sansi.engine.sampling import Penalties, Sampler, needs_penalties
from sansi.engine.scheduler import Request
from sansi.model import Transformer


@dataclass(frozen=True)
class Sampled:
    """One token for each request of a step."""

    ids: list[int]
    logprobs: list[float] | None
    """Under the raw logits; None when no request asked."""
    healthy: list[bool]
    """False where the model gave NaN or infinite logits, so that the id means nothing."""


class Runner:
    """Owns the cache and everything else that has a row per slot."""

    def __init__(self, model: Transformer, max_batch: int, context_length: int, device: torch.device):
        self._model, self._device = model, device
        self._cache = SlotCache(max_batch, context_length)
        self._penalties = Penalties(max_batch, model.config.vocab_size, device)
        self._lengths = np.zeros(max_batch, dtype=np.int64)  # cached positions per slot
        self._last = np.zeros(max_batch, dtype=np.int64)  # newest token per slot, not in the cache yet
        self._sampler: Sampler | None = None  # for the active slots as they are; None once they changed

    def prefill(self, requests: Sequence[Request], first: int) -> Tensor:
        """Read the prompts into slots first … ; logits [N, V] after each prompt. Equal prompts are read once."""
        self._sampler = None
        distinct: dict[tuple[int, ...], int] = {}
        sources = torch.tensor([distinct.setdefault(tuple(r.prompt), len(distinct)) for r in requests])
        lengths = torch.tensor([len(prompt) for prompt in distinct])
        ids = torch.zeros(len(distinct), int(lengths.max()), dtype=torch.long)
        for row, prompt in enumerate(distinct):
            ids[row, : len(prompt)] = torch.tensor(prompt)
        self._cache.reserve(first + len(requests), ids.shape[1] + 1)
        for slot, request in enumerate(requests, start=first):
            self._lengths[slot] = len(request.prompt)
            self._penalties.begin(slot, request.params, request.prompt)
        sources = sources.to(self._device)
        view = PrefillView(self._cache, first, sources)
        hidden = self._model.hidden(ids.to(self._device), cache=view)  # [P, T, hidden]
        last = hidden[torch.arange(len(distinct), device=self._device), (lengths - 1).to(self._device)]
        return self._logits(last)[sources]

    def decode(self, active: int) -> Tensor:
        """Feed each active slot its newest token; logits [N, V]."""
        longest = int(self._lengths[:active].max())
        self._cache.reserve(active, longest + 1)
        lengths = torch.tensor(self._lengths[:active], device=self._device)
        ids = torch.tensor(self._last[:active], device=self._device)[:, None]
        view = DecodeView(self._cache, lengths, longest, self._model.lm_head_weight.dtype)
        hidden = self._model.hidden(ids, positions=lengths[:, None], attention=view.attention, cache=view)
        self._lengths[:active] += 1
        return self._logits(hidden[:, 0])

    def sample(self, logits: Tensor, requests: Sequence[Request], first: int) -> Sampled:
        """The next id of each request (slots first …) from logits [N, V]; forced and banned ids are obeyed."""
        raw = logits
        logits = self._constrained(logits, requests, first)
        sampler = self._sampler if first == 0 else None
        if sampler is None:
            sampler = Sampler([r.params for r in requests], [r.seed for r in requests], self._device)
            self._sampler = sampler if first == 0 else None
        ids = sampler(logits, np.array([len(r.ids) for r in requests], dtype=np.uint64))
        tokens = [r.resolve(id_) for r, id_ in zip(requests, ids.tolist(), strict=True)]
        self._last[first : first + len(requests)] = tokens
        self._count(tokens, requests, first)
        logprobs = None
        if any(r.params.logprobs for r in requests):
            chosen = torch.tensor(tokens, device=self._device)[:, None]
            logprobs = (raw.gather(-1, chosen)[:, 0] - raw.logsumexp(-1)).tolist()
        return Sampled(tokens, logprobs, healthy=raw.amax(-1).isfinite().tolist())

    def release(self, slot: int, moved_from: int | None, healthy: bool = True) -> None:
        """Slot `slot` is free; the rows of `moved_from`, if any, now belong to it. Not `healthy`: it held NaN."""
        self._sampler = None
        if not healthy:
            self._cache.clear(slot)
        if moved_from is not None:
            length = int(self._lengths[moved_from])
            self._cache.move(moved_from, slot, length)
            self._penalties.move(moved_from, slot)
            self._lengths[slot], self._last[slot] = length, self._last[moved_from]

    def _logits(self, hidden: Tensor) -> Tensor:
        return F.linear(hidden, self._model.lm_head_weight).float()

    def _constrained(self, logits: Tensor, requests: Sequence[Request], first: int) -> Tensor:
        """Penalties and banned ids applied, to a copy."""
        banned = [(row, id_) for row, r in enumerate(requests) if r.thinking for id_ in r.thinking.banned]
        punished = [row for row, r in enumerate(requests) if needs_penalties(r.params)]
        if not banned and not punished:
            return logits
        logits = logits.clone()
        if punished:
            self._penalties.apply(
                logits, torch.tensor(punished, device=self._device), [requests[i].params for i in punished], first
            )
        if banned:
            index = torch.tensor(banned, device=self._device)
            logits[index[:, 0], index[:, 1]] = -torch.inf
        return logits

    def _count(self, tokens: Sequence[int], requests: Sequence[Request], first: int) -> None:
        """Tell the penalties which tokens came."""
        rows = [row for row, r in enumerate(requests) if needs_penalties(r.params)]
        if rows:
            slots = torch.tensor(rows, device=self._device) + first
            self._penalties.count(slots, torch.tensor([tokens[row] for row in rows], device=self._device))
