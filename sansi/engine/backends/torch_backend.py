"""The backend of torch operators: the reference for the others, and what runs where they do not.

Shape legend: G sequences of a group, T new tokens (padded on the right), S positions attended to, H key-value heads,
D head size, R real (not padding) new tokens of a group.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from sansi.engine.batch import BLOCK, Batch
from sansi.model import Transformer
from sansi.model.adapters import AdaptedModel, Adapter

MAX_PADDING = 1.5  # prompts share a padded forward as long as it holds at most so many times their tokens


class TorchBackend:
    """Runs `model` as it is: a trainer's changes in place are seen at once.

    batch_invariant: results of a sequence are bitwise the same, alone or in any batch, whatever the chunks: each is run
    by itself in pieces that begin at multiples of BLOCK, a token always in the same row of the same shape; with
    mixtures of experts token by token, as the rows that an expert sees are not the token's alone.
    adapters: what sequences may ask for; those with the same one are run together.
    """

    name = "torch"
    own_threads = False

    def __init__(self, model: Transformer, batch_invariant: bool = False, adapters: Sequence[Adapter] = ()):
        config, like = model.config, next(model.parameters())
        self._model, self._like = model, like
        self._adapted = [AdaptedModel(model, adapter).eval() for adapter in adapters]
        self._adapter_bytes = sum(adapter.nbytes for adapter in adapters)
        self._piece = (1 if config.is_moe else BLOCK) if batch_invariant else None  # tokens of a fixed shape
        self.device = like.device
        self._shape = (config.num_key_value_heads, BLOCK, config.head_dim)
        self._layers = config.num_hidden_layers
        self.block_bytes = 2 * self._layers * int(np.prod(self._shape)) * like.element_size()
        self.keys = self.values = like.new_empty(0)

    @property
    def weight_bytes(self) -> int:
        return sum(p.numel() * p.element_size() for p in self._model.parameters()) + self._adapter_bytes

    def allocate(self, num_blocks: int) -> None:
        self.keys = self.values = self._like.new_empty(0)  # freed before the new ones are asked for
        shape = (self._layers, num_blocks, *self._shape)
        self.keys, self.values = _lazy_zeros(shape, self._like), _lazy_zeros(shape, self._like)

    def refresh(self) -> None:
        """There is no second copy of the weights; what adapters derive of them follows."""
        for model in self._adapted:
            model.refresh()

    def forward(self, batch: Batch) -> Tensor:
        hidden: list[Tensor] = []  # per group [R, C]
        order: list[np.ndarray] = []  # which of the T tokens they are
        for group in self._groups(batch):
            hidden.append(self._run(group))
            order.append(group.tokens)
        where = np.empty(len(batch.ids), dtype=np.int64)
        where[np.concatenate(order)] = np.arange(len(where))
        rows = torch.from_numpy(where[batch.rows.numpy()]).to(self.device)
        wanted = torch.cat(hidden)[rows] if len(hidden) > 1 else hidden[0][rows]
        if batch.adapters is None:
            return self._head(wanted).float()
        of_token = np.repeat(batch.adapters.numpy(), np.diff(batch.starts.numpy()))[batch.rows.numpy()]
        logits = wanted.new_empty(len(wanted), self._model.config.vocab_size, dtype=torch.float32)
        for adapter in np.unique(of_token):
            mine = torch.from_numpy(np.flatnonzero(of_token == adapter)).to(self.device)
            logits[mine] = self._head(wanted[mine], int(adapter)).float()
        return logits

    def _head(self, hidden: Tensor, adapter: int = 0) -> Tensor:
        def head(x: Tensor) -> Tensor:
            return self._adapted[adapter - 1].head(x) if adapter else F.linear(x, self._model.lm_head_weight)

        if self._piece is None or len(hidden) == 0:
            return head(hidden)
        return torch.cat([head(row[None]) for row in hidden])  # one shape for all

    def _groups(self, batch: Batch) -> Iterator[_Group]:
        starts, context = batch.starts.numpy(), batch.context.numpy()
        new = np.diff(starts)
        tables = batch.tables.numpy()
        adapters = np.zeros(len(new), dtype=np.int32) if batch.adapters is None else batch.adapters.numpy()
        if self._piece is None:
            for adapter in np.unique(adapters):
                same = np.flatnonzero(adapters == adapter)
                for members in map(same.__getitem__, _batched(new[same])):
                    yield _Group(batch, tables, members, starts[members], new[members], None, 0, int(adapter))
            return
        for n, count in enumerate(new):
            begin = int(context[n] - count)
            for first, last in _aligned(begin, int(context[n]), self._piece):
                token, shift = np.array([starts[n] + first - begin]), first % self._piece
                counts, its = np.array([last - first]), int(adapters[n])
                yield _Group(batch, tables, np.array([n]), token, counts, self._piece, shift, its)

    def _run(self, group: _Group) -> Tensor:
        view = _View(self.keys, self.values, group, self.device, self._like.dtype)
        positions = None if view.fresh else view.positions
        model = self._adapted[group.adapter - 1] if group.adapter else self._model
        hidden = model.hidden(view.ids, positions=positions, attention=view.attention, cache=view)
        return hidden[view.real_rows, view.real_columns]


@dataclass(frozen=True)
class _Group:
    """Sequences that share one padded forward."""

    batch: Batch
    tables: np.ndarray
    members: np.ndarray  # [G] sequences
    starts: np.ndarray  # [G] first new token of each, as an index into the batch's T
    counts: np.ndarray  # [G] new tokens of each
    width: int | None  # batch-invariant: T, of which the new tokens begin at `shift`
    shift: int
    adapter: int  # as in the batch

    @property
    def tokens(self) -> np.ndarray:
        """[R] the new tokens, as indices into the batch's T."""
        return np.concatenate([np.arange(s, s + c) for s, c in zip(self.starts, self.counts, strict=True)])


class _View:
    """The cache as the model sees it in one forward of one group."""

    def __init__(self, keys: Tensor, values: Tensor, group: _Group, device: torch.device, dtype: torch.dtype):
        self._keys, self._values = keys, values
        width = group.width or int(group.counts.max())
        tokens, size = group.tokens, len(group.members)
        rows = np.repeat(np.arange(size), group.counts)
        columns = np.concatenate([np.arange(c) for c in group.counts]) + group.shift
        at = group.batch.positions.numpy()[tokens].astype(np.int64)
        ids = np.zeros((size, width), dtype=np.int64)
        positions = np.zeros((size, width), dtype=np.int64)
        ids[rows, columns], positions[rows, columns] = group.batch.ids.numpy()[tokens], at
        longest = int(at.max()) + 1
        self.fresh = group.width is None and width > 1 and longest == width and bool((at == columns).all())
        # Padding of a table is another's block: the sequence's own first block stands in, so that no NaN gets across.
        used = -(-longest // BLOCK)
        tables = group.tables[group.members, :used].astype(np.int64)
        full = -(-group.batch.context.numpy()[group.members] // BLOCK)
        tables = np.where(np.arange(used) < full[:, None], tables, tables[:, :1])

        def put(array: np.ndarray) -> Tensor:
            return torch.from_numpy(array).to(device)

        self.ids, self.positions = put(ids), put(positions)
        self.real_rows, self.real_columns = put(rows), put(columns)
        blocks = tables[rows, at // BLOCK]
        self._blocks, self._offsets = put(blocks), put(at % BLOCK)
        begun = blocks[at % BLOCK == 0]
        self._begun = put(begun) if len(begun) else None
        self.attention: Tensor | None = None
        if not self.fresh:
            heads = keys.shape[2]
            self._gather = put((tables[:, None, :] * heads + np.arange(heads)[:, None]).reshape(-1))
            hidden = torch.arange(used * BLOCK, device=device) > self.positions[..., None]
            # Added to the scores: what a boolean mask becomes inside the attention kernel, once instead of per layer.
            self.attention = torch.zeros(hidden.shape, dtype=dtype, device=device)
            self.attention = self.attention.masked_fill_(hidden, -torch.inf)[:, None]

    def update(self, layer: int, k: Tensor, v: Tensor) -> tuple[Tensor, Tensor]:
        """k, v [G, H, T, D] -> all keys and values [G, H, S, D]."""
        self._write(self._keys[layer], k)
        self._write(self._values[layer], v)
        if self.fresh:  # all there is to attend to is new
            return k, v
        return self._all(self._keys[layer], k), self._all(self._values[layer], v)

    def _write(self, storage: Tensor, new: Tensor) -> None:
        if self._begun is not None:  # what an earlier owner left may be NaN, which no mask hides: 0 times NaN is NaN
            storage.index_fill_(0, self._begun, 0)
        storage[self._blocks, :, self._offsets] = new.transpose(1, 2)[self.real_rows, self.real_columns]

    def _all(self, storage: Tensor, new: Tensor) -> Tensor:
        flat = storage.view(-1, BLOCK, new.shape[3])  # [blocks * H, BLOCK, D]
        return flat.index_select(0, self._gather).view(new.shape[0], new.shape[1], -1, new.shape[3])


def _batched(new: np.ndarray) -> Iterator[np.ndarray]:
    """Sequences by number of new tokens, longest first, together while the padding stays small; decodes apart."""
    order = np.argsort(-new, kind="stable")
    group: list[int] = []
    for n in order:
        longest = new[group[0]] if group else 0
        together = group and longest * (len(group) + 1) <= MAX_PADDING * (new[group].sum() + new[n])
        if group and (not together or (new[n] == 1) != (longest == 1)):
            yield np.array(group)
            group = []
        group.append(int(n))
    yield np.array(group)


def _aligned(first: int, last: int, piece: int) -> Iterator[tuple[int, int]]:
    """[first, last) cut at multiples of `piece`."""
    while first < last:
        end = min(last, first // piece * piece + piece)
        yield first, end
        first = end


def _lazy_zeros(shape: tuple[int, ...], like: Tensor) -> Tensor:
    """Zeros of which, on the CPU, untouched pages cost nothing (numpy asks the system for zero pages)."""
    if like.device.type != "cpu":
        return like.new_zeros(shape)
    raw = np.zeros(int(np.prod(shape)) * like.element_size(), dtype=np.uint8)
    return torch.from_numpy(raw).view(like.dtype).view(shape)
