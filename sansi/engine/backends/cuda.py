"""The backend of our own Triton kernels on a CUDA device; decode steps are CUDA graphs.

Shape legend: T new tokens, N sequences, W blocks of a table, M tokens attended one by one, V vocabulary, C hidden size,
P parts that the split attention cuts the longest context into.

A step of few new tokens per sequence (plain decoding, short drafts) attends token by token, split over the context:
that fills the device at any batch size, and the shapes depend on T and P alone. Such steps are captured once per padded
(T, P) and replayed: one copy to the device, one launch. Longer chunks run eagerly, beside those who decode.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from sansi.base.errors import SansiError, did_you_mean
from sansi.engine.batch import BLOCK, Batch
from sansi.model import Transformer
from sansi.model.kernels.cpu.build import KernelsUnavailable
from sansi.model.kernels.gpu import why_not
from sansi.model.kernels.gpu.attention import PARTITION, Cache, attend_chunks, attend_singles, chunk_span
from sansi.model.kernels.gpu.experts import sparse_mlp
from sansi.model.kernels.gpu.fused import add_rms_norm, norm_rope_and_store, silu_mul
from sansi.model.rope import rope_table
from sansi.model.transformer import MLP, DecoderLayer, RMSNorm

SHORT = 8  # new tokens up to which a sequence's tokens attend one by one; each reads the context again, though from L2
MAX_GRAPH_TOKENS = 256  # beyond it the products take long enough to hide the launches
LOGITS_ROWS = 64  # at least: a larger buffer makes all graphs void
MAX_GRAPHS = 64  # each holds a few MiB of launches; the rest run eagerly
LEAST_UPLOAD = 1 << 18  # int32 elements: 64 tables of 40,960 positions
ALIGN = 16  # int32 elements: every array begins at a multiple of 64 bytes, or Triton would compile for each alignment

log = logging.getLogger("sansi")


class CudaBackend:
    """Runs a `Transformer` on its CUDA device (or, for tests, in Triton's interpreter on the CPU).

    It uses the model's own weights: q, k and v, and gate and up, become views of one matrix each, in place, so that one
    product does what three did; a trainer's changes in place are seen at once.

    cache_dtype: "auto" (the model's), or "fp8" (e4m3: half the memory and traffic of bfloat16; lossy). cache_scales:
    [2, layers, key heads] float32, for fp8: what keys (0) and values (1) are divided by before rounding; default 1.
    graphs: whether decode steps are captured; `eager_because` tells why they are not.

    Raises KernelsUnavailable where the kernels can not run.
    """

    own_threads = False

    def __init__(
        self, model: Transformer, cache_dtype: str = "auto", cache_scales: Tensor | None = None, graphs: bool = True
    ):
        if cache_dtype not in ("auto", "fp8"):
            near = did_you_mean(cache_dtype, ("auto", "fp8"))
            raise SansiError(f'unknown dtype "{cache_dtype}" of the cache{near}', param="cache_dtype")
        like = next(model.parameters())
        self._cache_dtype = torch.float8_e4m3fn if cache_dtype == "fp8" else like.dtype
        if reason := why_not(like.device, like.dtype, self._cache_dtype):
            raise KernelsUnavailable(f"the Triton kernels can not run here: {reason}")
        config = model.config
        if not config.qk_norm or config.attention_bias:
            raise KernelsUnavailable("the Triton kernels are for models with a norm of queries and keys and no biases")
        self.name = "cuda fp8-kv" if cache_dtype == "fp8" else "cuda"
        self.device, self._model = like.device, model
        self._shape = (config.num_key_value_heads, BLOCK, config.head_dim)
        self.block_bytes = 2 * config.num_hidden_layers * int(np.prod(self._shape)) * self._cache_dtype.itemsize
        self._scales = self._checked(cache_scales) if cache_dtype == "fp8" else None
        self._caches: list[Cache] = []
        self._span = chunk_span(config.num_attention_heads, config.num_key_value_heads, like.element_size())
        self._rotation = self._make_rotation()
        self._upload = _Upload(self.device)
        self._logits = torch.empty(0, 0)
        self._graphs: dict[tuple[int, int], torch.cuda.CUDAGraph] = {}
        self._graphs_read: Tensor | None = None  # the device's buffer of inputs, as they know it
        self._pool: Any = None  # of memory, which graphs share: only one runs at a time
        self.eager_because = self._no_graphs(graphs)
        """Why decode steps are not captured, or None."""
        self._take_weights()

    @property
    def weight_bytes(self) -> int:
        return sum(p.numel() * p.element_size() for p in self._model.parameters())

    def allocate(self, num_blocks: int) -> None:
        self._drop_graphs()  # they point into the old cache
        self._caches = []
        layers = self._model.config.num_hidden_layers
        raw = torch.uint8 if self._scales is not None else self._cache_dtype  # torch fills no fp8
        shape = (2, layers, num_blocks, *self._shape)
        keys, values = torch.zeros(shape, dtype=raw, device=self.device).view(self._cache_dtype)
        scales = [None] * layers if self._scales is None else self._scales.transpose(0, 1).contiguous().unbind()
        self._caches = [Cache(k, v, s) for k, v, s in zip(keys, values, scales, strict=True)]

    def refresh(self) -> None:
        """Changes in place need nothing; parameters that were given other memory are taken over."""
        if _pointers(self._model) != self._known_pointers:
            self._drop_graphs()
            self._take_weights()

    def forward(self, batch: Batch) -> Tensor:
        plan = _Plan.of(batch)
        if self.device.type != "cuda":
            return self._forward(plan)
        with torch.cuda.device(self.device):  # Triton launches on the current one
            return self._forward(plan)

    def _forward(self, plan: _Plan) -> Tensor:
        if len(plan.chunked) or len(plan.ids) > MAX_GRAPH_TOKENS or self.eager_because is not None:
            return self._head(*self._run(self._upload.step(plan, self._span)), None)
        return self._decode(plan)

    # ---- decoding by graphs ----------------------------------------------------------------------------------------

    def _decode(self, plan: _Plan) -> Tensor:
        """One padded step: replayed, or run and then captured for the next time."""
        padded = plan.padded()
        count, key = len(plan.ids), (len(padded.ids), padded.parts)
        step = self._upload.step(padded, self._span)
        if self._graphs_read is not self._upload.buffer:
            self._drop_graphs()
            self._graphs_read = self._upload.buffer
        if graph := self._graphs.get(key):
            graph.replay()
        else:
            self._compute(step)  # compiles what is not compiled, so that the capture only records
            if len(self._graphs) < MAX_GRAPHS:
                self._capture(key, step)
        logits = self._logits[:count]
        return logits if len(plan.rows) == count else logits[step.rows]

    def _compute(self, step: _Step) -> None:
        """All rows of logits of a step, into the buffer that every graph writes to."""
        rows = len(step.ids)
        if len(self._logits) < rows:
            self._drop_graphs()
            shape = max(rows, LOGITS_ROWS), self._model.config.vocab_size
            self._logits = torch.empty(shape, dtype=torch.float32, device=self.device)
        self._head(*self._run(step), self._logits[:rows])

    def _capture(self, key: tuple[int, int], step: _Step) -> None:
        graph = torch.cuda.CUDAGraph()
        self._pool = self._pool or torch.cuda.graph_pool_handle()
        try:
            # Only this thread's calls are watched: another may use the device meanwhile.
            with torch.cuda.graph(graph, pool=self._pool, capture_error_mode="thread_local"):
                self._compute(step)
        except Exception as error:  # slower, but nothing is lost: the step itself has run
            self.eager_because = f"the capture failed: {error}"
            self._drop_graphs()
            log.warning("decode steps run without CUDA graphs, which is slower: %s", self.eager_because)
            return
        self._graphs[key] = graph

    def _drop_graphs(self) -> None:
        self._graphs.clear()
        self._pool = None

    def _no_graphs(self, wanted: bool) -> str | None:
        if not wanted:
            return "graphs=False"
        return None if self.device.type == "cuda" else f"the device is {self.device.type}"

    # ---- the forward -----------------------------------------------------------------------------------------------

    def _run(self, step: _Step) -> tuple[Tensor, Tensor]:
        """What the last layer adds and the residual stream before it, [M, C] each, of the rows that want logits."""
        eps = self._model.config.rms_norm_eps
        x = F.embedding(step.ids, self._model.model.embed_tokens.weight)
        stream: Tensor | None = None
        for layer, cache in zip(self._layers, self._caches, strict=True):
            normed = add_rms_norm(x, stream, layer.input_norm, eps)
            stream = x if stream is None else stream  # the embedding's rows are the stream's first memory
            queries = norm_rope_and_store(
                F.linear(normed, layer.qkv),
                (layer.q_norm, layer.k_norm),
                eps,
                self._rotation,
                step.positions,
                step.owners,
                step.tables,
                cache,
            )
            attended = self._attend(step, queries, cache)
            normed = add_rms_norm(F.linear(attended, layer.o), stream, layer.post_norm, eps)
            x = layer.mlp(normed)
        assert stream is not None
        return (x, stream) if step.all_rows else (x[step.rows], stream[step.rows])

    def _attend(self, step: _Step, queries: Tensor, cache: Cache) -> Tensor:
        """[T, H * D]."""
        out = torch.empty_like(queries)
        if len(step.singles):
            attend_singles(queries, cache, step.tables, step.positions, step.owners, step.singles, step.parts, out)
        if len(step.tile_tokens):
            attend_chunks(
                queries, cache, step.tables, step.starts, step.context, step.tile_sequences, step.tile_tokens, out
            )
        return out.flatten(1)

    def _head(self, x: Tensor, stream: Tensor, out: Tensor | None) -> Tensor:
        """Logits [M, V] float32, into `out` where given."""
        weight, eps = self._model.model.norm.weight, self._model.config.rms_norm_eps
        logits = F.linear(add_rms_norm(x, stream, weight, eps), self._model.lm_head_weight)
        return logits.float() if out is None else out.copy_(logits)

    # ---- weights ---------------------------------------------------------------------------------------------------

    def _take_weights(self) -> None:
        # The engine refreshes in inference mode, and what is made there would be of no use to a trainer.
        inference = next(self._model.parameters()).is_inference()
        with torch.inference_mode(inference), torch.no_grad():
            self._layers = [_Layer.of(layer) for layer in self._model.model.layers]  # type: ignore[arg-type]
        self._known_pointers = _pointers(self._model)
        if self.device.type == "cuda":
            torch.cuda.empty_cache()  # the separate matrices: free for the cache, and counted as free

    def _make_rotation(self) -> tuple[Tensor, Tensor]:
        """cos and sin in float32, whatever the model was cast to."""
        model = self._model
        if model.rope_cos.dtype == torch.float32:
            return model.rope_cos, model.rope_sin
        table = rope_table(model.config)
        return table.cos.to(self.device), table.sin.to(self.device)

    def _checked(self, scales: Tensor | None) -> Tensor:
        config = self._model.config
        shape = (2, config.num_hidden_layers, config.num_key_value_heads)
        if scales is None:
            return torch.ones(shape, dtype=torch.float32, device=self.device)
        if scales.shape != shape or not bool((scales > 0).all() & scales.isfinite().all()):
            raise SansiError(f"cache_scales must be {list(shape)} positive numbers", param="cache_scales")
        return scales.to(self.device, torch.float32)


# ---- what the host lays out ------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Plan:
    """A batch, and how its tokens attend. All arrays are int32."""

    ids: np.ndarray  # [T]
    positions: np.ndarray  # [T]
    owners: np.ndarray  # [T] the sequence of each token
    rows: np.ndarray  # [M] tokens that want logits
    tables: np.ndarray  # [N, W]
    starts: np.ndarray  # [N+1]
    context: np.ndarray  # [N]
    singles: np.ndarray  # tokens that attend one by one
    chunked: np.ndarray  # sequences that attend by tiles of queries
    parts: int  # P

    @classmethod
    def of(cls, batch: Batch) -> _Plan:
        starts, context, positions = batch.starts.numpy(), batch.context.numpy(), batch.positions.numpy()
        new = np.diff(starts)
        everyone = np.arange(len(new), dtype=np.int32)
        owners = everyone if len(new) == len(positions) else np.repeat(everyone, new)
        tokens = np.arange(len(positions), dtype=np.int32)
        chunked = everyone[new > SHORT]
        singles = tokens[new[owners] <= SHORT] if len(chunked) else tokens
        longest = int(positions[singles].max()) + 1 if len(singles) else 1
        return cls(
            batch.ids.numpy(),
            positions,
            owners,
            batch.rows.numpy(),
            batch.tables.numpy(),
            starts,
            context,
            singles,
            chunked,
            _power_of_2(-(-longest // PARTITION)),
        )

    def padded(self) -> _Plan:
        """The same for a graph: shapes depend on the padded T and on P alone. Padding is at position -1."""
        tokens = graph_size(len(self.ids))
        width = self.parts * PARTITION // BLOCK
        tables = np.zeros((tokens, width), dtype=np.int32)  # as many sequences as tokens at most
        count = min(width, self.tables.shape[1])
        tables[: len(self.tables), :count] = self.tables[:, :count]
        return _Plan(
            _filled(self.ids, tokens, 0),
            _filled(self.positions, tokens, -1),
            _filled(self.owners, tokens, 0),
            self.rows,
            tables,
            np.empty(0, dtype=np.int32),
            np.empty(0, dtype=np.int32),
            np.arange(tokens, dtype=np.int32),
            self.chunked,
            self.parts,
        )

    def tiles(self, span: int) -> tuple[np.ndarray, np.ndarray]:
        """The sequence and the first token of each tile of `span` queries; the longest work comes first."""
        if not len(self.chunked):
            return self.chunked, self.chunked
        new = np.diff(self.starts)[self.chunked]
        counts = -(-new // span)
        sequences = np.repeat(self.chunked, counts)
        number = np.arange(len(sequences)) - np.repeat(np.cumsum(counts) - counts, counts)
        tokens = self.starts[sequences] + number.astype(np.int32) * span
        order = np.argsort(-self.positions[tokens], kind="stable")
        return sequences[order], tokens[order]


@dataclass(frozen=True)
class _Step:
    """A plan on the device."""

    ids: Tensor
    positions: Tensor
    owners: Tensor
    tables: Tensor
    singles: Tensor
    starts: Tensor
    context: Tensor
    tile_sequences: Tensor
    tile_tokens: Tensor
    rows: Tensor
    parts: int
    all_rows: bool
    """Whether every token's hidden state is wanted, in order."""


@dataclass
class _Slot:
    """A host buffer, and when the device has read it."""

    host: Tensor
    array: np.ndarray
    """`host`, as numpy sees it."""
    read: Any = None


@dataclass
class _Upload:
    """One copy per step from the host's arrays to one buffer on the device, without waiting.

    Two host buffers take turns, so that the host may write the next step while the last is still being copied.
    """

    device: torch.device
    _slots: list[_Slot] = field(default_factory=list)
    _turn: int = 0
    buffer: Tensor = field(default_factory=lambda: torch.empty(0, dtype=torch.int32))
    """On the device; replaced by a larger one when a step needs that."""

    def step(self, plan: _Plan, span: int) -> _Step:
        width = _multiple(plan.tables.shape[1], ALIGN)  # Triton compiles anew for a width that is no multiple of 16
        tables = plan.tables
        if width != tables.shape[1]:
            tables = np.zeros((len(plan.tables), width), dtype=np.int32)
            tables[:, : plan.tables.shape[1]] = plan.tables
        fixed = [plan.ids, plan.positions, plan.owners, plan.singles, tables.reshape(-1)]
        parts = self.copy([*fixed, plan.starts, plan.context, *plan.tiles(span), plan.rows])
        ids, positions, owners, singles, flat, starts, context, sequences, tokens, rows = parts
        # A graph computes all rows, and one chooses afterwards.
        all_rows = len(plan.rows) == len(plan.ids) or not len(plan.starts)
        return _Step(
            ids, positions, owners, flat.view(-1, width), singles, starts, context, sequences, tokens, rows,
            plan.parts, all_rows,
        )  # fmt: skip

    def copy(self, arrays: Sequence[np.ndarray]) -> list[Tensor]:
        """The arrays on the device; they are valid until the next call."""
        places, size = [], 0
        for array in arrays:
            places.append((size, size + len(array)))
            size += _multiple(len(array), ALIGN)
        slot = self._slot(size)
        for (first, last), array in zip(places, arrays, strict=True):
            slot.array[first:last] = array
        self.buffer[:size].copy_(slot.host[:size], non_blocking=True)
        if slot.read is not None:
            slot.read.record()
        return [self.buffer[first:last] for first, last in places]

    def _slot(self, size: int) -> _Slot:
        if size > len(self.buffer):
            self._grow(size)
        self._turn = 1 - self._turn
        slot = self._slots[self._turn]
        if slot.read is not None:
            slot.read.synchronize()  # of the step before last: long done
        return slot

    def _grow(self, size: int) -> None:
        on_cuda = self.device.type == "cuda"
        size = _power_of_2(max(size, LEAST_UPLOAD))
        with torch.inference_mode(False):
            for slot in self._slots:
                if slot.read is not None:
                    slot.read.synchronize()
            hosts = [torch.zeros(size, dtype=torch.int32, pin_memory=on_cuda) for _ in range(2)]
            self._slots = [_Slot(host, host.numpy(), torch.cuda.Event() if on_cuda else None) for host in hosts]
            self.buffer = torch.zeros(size, dtype=torch.int32, device=self.device)


def graph_size(tokens: int) -> int:
    """What a step of so many tokens is padded to: products take about as long for 33 rows as for 64."""
    return _power_of_2(tokens) if tokens <= 64 else _multiple(tokens, 64)


def _filled(array: np.ndarray, size: int, value: int) -> np.ndarray:
    out = np.full(size, value, dtype=np.int32)
    out[: len(array)] = array
    return out


def _multiple(size: int, of: int) -> int:
    return -(-size // of) * of


def _power_of_2(size: int) -> int:
    return 1 << (size - 1).bit_length()


# ---- weights ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Layer:
    """The weights of a layer as the forward wants them: the model's own memory."""

    input_norm: Tensor
    post_norm: Tensor
    q_norm: Tensor
    k_norm: Tensor
    qkv: Tensor  # [(H + 2 K) * D, C]
    o: Tensor
    mlp: Any  # [T, C] -> [T, C]

    @classmethod
    def of(cls, layer: DecoderLayer) -> _Layer:
        attention = layer.self_attn
        q_norm, k_norm = attention.q_norm, attention.k_norm
        assert isinstance(q_norm, RMSNorm) and isinstance(k_norm, RMSNorm)  # CudaBackend refuses other designs
        return cls(
            layer.input_layernorm.weight.data,
            layer.post_attention_layernorm.weight.data,
            q_norm.weight.data,
            k_norm.weight.data,
            _joined([attention.q_proj.weight, attention.k_proj.weight, attention.v_proj.weight]),
            attention.o_proj.weight.data,
            _dense(layer.mlp) if isinstance(layer.mlp, MLP) else _sparse(layer.mlp),
        )


def _dense(mlp: MLP) -> Any:
    gate_up, down = _joined([mlp.gate_proj.weight, mlp.up_proj.weight]), mlp.down_proj.weight.data
    return lambda x: F.linear(silu_mul(F.linear(x, gate_up)), down)


def _sparse(mlp: Any) -> Any:
    router, gate_up, down = mlp.gate.weight.data, mlp.experts.gate_up_proj.data, mlp.experts.down_proj.data
    return lambda x: sparse_mlp(x, router, gate_up, down, mlp.active, mlp.normalise)


def _joined(parameters: list[torch.nn.Parameter]) -> Tensor:
    """The rows of all `parameters` as one matrix, of which each becomes a view."""
    whole = torch.cat([p.data for p in parameters])
    first = 0
    for parameter in parameters:
        parameter.data = whole[first : first + len(parameter)]
        first += len(parameter)
    return whole


def _pointers(model: Transformer) -> list[int]:
    return [p.data_ptr() for p in model.parameters()]
