"""The forward pass by our own CPU kernels: weights packed once, each step one call, no operator of torch in between.

The same model as `transformer.py`, over a paged cache. Logits of a token are the same bits whatever else is in the
step, however its prompt was cut, and on any number of threads. Letters of shapes: T new tokens, N sequences,
W blocks in a table, M rows of logits, V vocabulary, C hidden_size, D head_dim.
"""

from __future__ import annotations

import ctypes
import weakref
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from sansi.base.cores import available_cores
from sansi.base.errors import SansiError, did_you_mean
from sansi.model.adapters.adapter import Adapter
from sansi.model.adapters.packed import CAdapter, CPacked, PackedAdapters
from sansi.model.config import ModelConfig
from sansi.model.formats.names import tensor_table
from sansi.model.formats.quantized import DEFAULT_OUTER, QuantizedReader, check_stored, kinds_of
from sansi.model.formats.source import WeightSource, open_source
from sansi.model.formats.tensors import EMBEDDING, LM_HEAD
from sansi.model.formats.weights import Rows, fill_from_rows
from sansi.model.kernels import FLOATS, Arena, PackedWeight
from sansi.model.kernels.cpu.build import load_kernels
from sansi.model.quantize import check_kinds, check_outer
from sansi.model.rope import attention_factor, inverse_frequencies
from sansi.model.transformer import Transformer

CACHE_DTYPES = {"float32": 0, "float16": 1}
POSITIONS_AT_ONCE = 4096


class NativeModel:
    """A model whose forward pass is one call into C++.

    model: its weights are packed; `refresh` takes over what changes in them. quantize: "int8" or "int4", in groups of
    32 with an fp16 scale (norms and routers stay float32; a matrix whose inputs are no multiple of 32 keeps its
    precision). outer: the same for embedding and LM head, where the others are quantised; default int8. cache_dtype: of
    keys and values, None: float16 beside quantised weights, else float32. threads: default the physical cores at hand.
    isa: "avx512", "avx2" or "scalar"; default the best. adapters: low-rank changes that sequences may ask for.

    Raises KernelsUnavailable where the kernels can not be built or run, SansiError for an unknown option.
    """

    def __init__(
        self,
        model: Transformer,
        quantize: str | None = None,
        threads: int | None = None,
        isa: str | None = None,
        cache_dtype: str | None = "float32",
        outer: str | None = None,
        adapters: Sequence[Adapter] = (),
    ):
        options = _Options(quantize, threads, isa, cache_dtype, outer)
        options.check()
        table = {name: tensor.cpu() for name, tensor in tensor_table(model).items()}
        shapes = {name: tuple(tensor.shape) for name, tensor in table.items()}

        def rows(name: str, first: int, last: int) -> Tensor:
            return self._source[name][first:last].detach()

        self._source = table
        self._from_module = True
        self._setup(model.config, _FullWeights.of(shapes, rows, options), options, adapters)

    @classmethod
    def from_pretrained(
        cls,
        folder: str | Path,
        quantize: str | None = None,
        threads: int | None = None,
        isa: str | None = None,
        cache_dtype: str | None = "float32",
        outer: str | None = None,
        adapters: Sequence[Adapter] = (),
    ) -> NativeModel:
        """The model in `folder`, full or quantised; memory never holds more than the packed weights and a piece of one.

        A folder that Sansi quantised decides over `quantize` and `outer`; of other quantised weights they round the
        values anew. Raises SansiError where they ask for another kind than it has, for a missing or damaged folder, and
        as the constructor does.
        """
        _Options(quantize, threads, isa, cache_dtype, outer).check()
        return cls.from_source(open_source(folder), quantize, threads, isa, cache_dtype, outer, adapters)

    @classmethod
    def from_source(
        cls,
        source: WeightSource,
        quantize: str | None = None,
        threads: int | None = None,
        isa: str | None = None,
        cache_dtype: str | None = "float32",
        outer: str | None = None,
        adapters: Sequence[Adapter] = (),
    ) -> NativeModel:
        """The model whose weights `source` gives; otherwise as `from_pretrained`."""
        options = _Options(quantize, threads, isa, cache_dtype, outer)
        options.check()
        self = cls.__new__(cls)
        self._from_module = False
        self._setup(source.config, _as_asked(source, options), options, adapters)
        return self

    def _setup(self, config: ModelConfig, source: _Source, options: _Options, adapters: Sequence[Adapter]) -> None:
        self.config = config
        self.kind = options.quantize or _kind_of(source)
        """How the weights are quantised; None: not at all."""
        self.threads = options.threads or available_cores()
        kernels = load_kernels(options.isa)
        self.isa, self._library = kernels.isa, _declare(kernels.library)
        self._weights = _Weights(config, source, adapters)
        self._rotation = _RotationTable(config)
        shape = _CShape.of(config, CACHE_DTYPES[options.cache_dtype or ("float16" if self.kind else "float32")])
        handle = self._library.sansi_model_new(ctypes.byref(shape), ctypes.byref(self._weights.described), self.threads)
        if not handle:
            raise MemoryError("no memory for the model")
        self._handle = ctypes.c_void_p(handle)
        self._finalizer = weakref.finalize(self, self._library.sansi_model_free, self._handle)
        self._finalizer.atexit = False  # a thread may be in a step still; the process gives all memory back anyway
        self.block_bytes: int = self._library.sansi_model_block_bytes(self._handle)
        """Keys and values of a block of 16 positions, all layers."""
        self._logits = torch.empty(0, config.vocab_size, dtype=torch.float32, device="cpu")

    @property
    def weight_bytes(self) -> int:
        """Packed weights as they lie in memory."""
        return self._weights.nbytes

    def allocate(self, num_blocks: int) -> None:
        """Make room for so many blocks of 16 positions; what the cache held is lost. Untouched blocks cost nothing."""
        if num_blocks < 1:
            raise SansiError(f"num_blocks must be 1 or more, not {num_blocks}", param="num_blocks")
        if not self._library.sansi_model_allocate(self._handle, num_blocks):
            raise MemoryError(f"no address space for {num_blocks} blocks of {self.block_bytes} bytes")

    def refresh(self) -> None:
        """Pack again what the module that this was made from holds now; a folder's model stays as it is.

        It does not ask torch's version counters whether anything changed: fused optimisers do not move them.
        """
        if self._from_module:
            self._weights.pack_again()

    def forward(
        self,
        ids: Tensor,
        positions: Tensor,
        starts: Tensor,
        context: Tensor,
        tables: Tensor,
        rows: Tensor,
        adapters: Tensor | None = None,
    ) -> Tensor:
        """Logits [M, V] float32 of the tokens `rows` [M] among ids [T], in memory that the next call uses again.

        All int32 on the CPU: sequence n's new tokens are starts[n]:starts[n+1] of ids and positions [T], it has
        context[n] [N] tokens once this step is done, and position p of it lies in block tables[n, p // 16] [N, W].
        adapters [N]: 0 for none, or i for the i-th of those that the model was made with; None: nobody has one.
        Writes keys and values of all new tokens, then attends causally. Raises SansiError for tensors of another
        shape or dtype and for values out of range.
        """
        step = self._step(ids, positions, starts, context, tables, rows, adapters)
        rotation = self._rotation.described(self._longest(context))
        message = ctypes.create_string_buffer(128)
        code = self._library.sansi_model_forward(
            self._handle, ctypes.byref(step), ctypes.byref(rotation), message, len(message)
        )
        if code == 1:
            raise SansiError(f"a step that can not be computed: {message.value.decode()}")
        if code == 2:
            raise MemoryError(f"no memory for a step of {len(ids)} tokens")
        return self._logits[: len(rows)]

    def _step(
        self,
        ids: Tensor,
        positions: Tensor,
        starts: Tensor,
        context: Tensor,
        tables: Tensor,
        rows: Tensor,
        adapters: Tensor | None,
    ) -> _CStep:
        tokens, sequences = len(ids), len(context)
        width = tables.shape[1] if tables.dim() == 2 else -1
        given = (
            ("ids", ids, (tokens,)),
            ("positions", positions, (tokens,)),
            ("starts", starts, (sequences + 1,)),
            ("context", context, (sequences,)),
            ("tables", tables, (sequences, width)),
            ("rows", rows, (len(rows),)),
            *((("adapters", adapters, (sequences,)),) if adapters is not None else ()),
        )
        for name, tensor, shape in given:
            if tensor.shape != shape or tensor.dtype != torch.int32 or not tensor.is_contiguous() or tensor.is_cuda:
                raise SansiError(
                    f"{name} must be contiguous int32 {list(shape)} on the CPU, not {tensor.dtype} "
                    f"{list(tensor.shape)} on {tensor.device}",
                    param=name,
                )
        if len(self._logits) < len(rows):
            # Explicit, as C++ writes there: the program's default may be another.
            self._logits = torch.empty(len(rows), self.config.vocab_size, dtype=torch.float32, device="cpu")
        pointers = (tensor.data_ptr() for tensor in (ids, positions, starts, context, tables, rows))
        chosen = None if adapters is None else adapters.data_ptr()
        return _CStep(tokens, sequences, width, len(rows), *pointers, chosen, self._logits.data_ptr())

    def _longest(self, context: Tensor) -> int:
        longest = max(context.tolist(), default=0)
        if longest > self.config.context_length:
            raise SansiError(f"{longest} tokens are more than the model's context of {self.config.context_length}")
        return longest


@dataclass(frozen=True)
class _Options:
    quantize: str | None
    threads: int | None
    isa: str | None
    cache_dtype: str | None
    outer: str | None

    def check(self) -> None:
        check_kinds(self.quantize or DEFAULT_OUTER, self.outer or DEFAULT_OUTER)
        if self.threads is not None and self.threads < 1:
            raise SansiError(f"threads must be 1 or more, not {self.threads}", param="threads")
        if self.cache_dtype is not None and self.cache_dtype not in CACHE_DTYPES:
            raise SansiError(
                f'unknown dtype "{self.cache_dtype}" of the cache{did_you_mean(self.cache_dtype, CACHE_DTYPES)}',
                param="cache_dtype",
            )


# ---- what C++ is told; the same fields in the same order in kernels/cpu/forward.cpp ----------------------------------


class _CShape(ctypes.Structure):
    _fields_ = [
        *((name, ctypes.c_int64) for name in ("vocab", "hidden", "layers", "heads", "kv_heads", "head_dim")),
        *((name, ctypes.c_int64) for name in ("experts", "active", "normalise_experts", "half_cache")),
        ("eps", ctypes.c_float),
    ]

    @classmethod
    def of(cls, config: ModelConfig, half_cache: int) -> _CShape:
        return cls(
            config.vocab_size,
            config.hidden_size,
            config.num_hidden_layers,
            config.num_attention_heads,
            config.num_key_value_heads,
            config.head_dim,
            config.num_experts,
            config.num_experts_per_tok,
            config.norm_topk_prob,
            half_cache,
            config.rms_norm_eps,
        )


class _CLayer(ctypes.Structure):
    _fields_ = [
        ("qkv", ctypes.POINTER(CPacked)),
        ("qkv_parts", ctypes.c_int64),
        ("o", CPacked),
        *((name, ctypes.c_void_p) for name in ("qkv_bias", "input_norm", "post_norm", "q_norm", "k_norm")),
        ("router", CPacked),
        ("gate_up", ctypes.POINTER(CPacked)),
        ("gate_up_parts", ctypes.c_int64),
        ("down", ctypes.POINTER(CPacked)),
    ]


class _CWeights(ctypes.Structure):
    _fields_ = [
        ("embedding", CPacked),
        ("head", CPacked),
        ("norm", ctypes.c_void_p),
        ("layers", ctypes.POINTER(_CLayer)),
        ("adapters", ctypes.POINTER(CAdapter)),
        ("adapter_count", ctypes.c_int64),
    ]


class _CRotation(ctypes.Structure):
    _fields_ = [("cos", ctypes.c_void_p), ("sin", ctypes.c_void_p), ("positions", ctypes.c_int64)]


class _CStep(ctypes.Structure):
    _fields_ = [
        *((name, ctypes.c_int64) for name in ("tokens", "sequences", "width", "rows")),
        *((name, ctypes.c_void_p) for name in ("ids", "positions", "starts", "context", "tables", "wanted")),
        ("adapters", ctypes.c_void_p),
        ("logits", ctypes.c_void_p),
    ]


def _declare(library: ctypes.CDLL) -> Any:
    pointer, number = ctypes.c_void_p, ctypes.c_int64
    library.sansi_model_new.argtypes = [ctypes.POINTER(_CShape), ctypes.POINTER(_CWeights), ctypes.c_int]
    library.sansi_model_new.restype = pointer
    library.sansi_model_free.argtypes = [pointer]
    library.sansi_model_free.restype = None
    library.sansi_model_block_bytes.argtypes = [pointer]
    library.sansi_model_block_bytes.restype = number
    library.sansi_model_allocate.argtypes = [pointer, number]
    library.sansi_model_forward.argtypes = [
        pointer,
        ctypes.POINTER(_CStep),
        ctypes.POINTER(_CRotation),
        ctypes.c_char_p,
        number,
    ]
    return library


# ---- weights ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _FullWeights:
    """Weights that are rounded here, if at all."""

    shapes: Mapping[str, tuple[int, ...]]
    rows: Rows
    kinds: Mapping[str, str]
    """Of those that are to be quantised."""

    @classmethod
    def of(cls, shapes: Mapping[str, tuple[int, ...]], rows: Rows, options: _Options) -> _FullWeights:
        check_outer(options.quantize, options.outer)
        outer = options.outer or DEFAULT_OUTER
        return cls(shapes, rows, kinds_of(shapes, options.quantize, outer) if options.quantize else {})

    def fill(self, names: Sequence[str], packed: PackedWeight) -> None:
        fill_from_rows(packed, names, self.shapes, self.rows)


_Source = _FullWeights | WeightSource


def _kind_of(source: _Source) -> str | None:
    return source.format.name if source.kinds and not isinstance(source, _FullWeights) else None


def _as_asked(source: WeightSource, options: _Options) -> _Source:
    """The source itself where its weights are stored as is asked for; else its values, to be rounded."""
    if isinstance(source, QuantizedReader):
        check_stored(source.folder, options.quantize, options.outer)
        return source
    if options.quantize is None and source.kinds:
        check_outer(None, options.outer)
        return source
    return _FullWeights.of(source.shapes, source.rows, options)


class _Weights:
    """All weights, packed, and their description for C++ (which points into them)."""

    def __init__(self, config: ModelConfig, source: _Source, adapters: Sequence[Adapter]):
        self._source, self._tied = source, config.tie_word_embeddings
        self._arena = Arena()
        self._matrices: list[tuple[Sequence[str], PackedWeight]] = []
        self._vectors: list[tuple[str, Tensor]] = []
        self._arrays: list[Any] = []  # of ctypes, kept alive
        embedding = self._matrix(EMBEDDING)
        head = embedding if config.tie_word_embeddings else self._matrix(LM_HEAD)
        layers = (_CLayer * config.num_hidden_layers)(
            *(self._layer(config, n) for n in range(config.num_hidden_layers))
        )
        self._adapters = PackedAdapters(config, adapters, self._base_of)
        self.described = _CWeights(
            embedding, head, self._vector("model.norm.weight"), layers, self._adapters.described, len(adapters)
        )

    @property
    def nbytes(self) -> int:
        base = sum(packed.nbytes for _, packed in self._matrices) + sum(vector.nbytes for _, vector in self._vectors)
        return base + self._adapters.nbytes

    def pack_again(self) -> None:
        """In place: the description stays true."""
        for names, packed in self._matrices:
            self._source.fill(names, packed)
        for name, vector in self._vectors:
            vector.copy_(self._all_rows(name))
        self._adapters.refresh()

    def _layer(self, config: ModelConfig, number: int) -> _CLayer:
        prefix = f"model.layers.{number}"
        attention, mlp = f"{prefix}.self_attn", f"{prefix}.mlp"
        sparse = config.is_sparse(number)
        owners = [f"{mlp}.experts.{e}" for e in range(config.num_experts)] if sparse else [mlp]
        qkv = self._side_by_side([[f"{attention}.{name}_proj.weight" for name in "qkv"]])
        gate_up = self._side_by_side([[f"{o}.gate_proj.weight", f"{o}.up_proj.weight"] for o in owners])
        return _CLayer(
            *qkv,
            self._matrix(f"{attention}.o_proj.weight"),
            self._vector(*(f"{attention}.{name}_proj.bias" for name in "qkv")) if config.attention_bias else None,
            self._vector(f"{prefix}.input_layernorm.weight"),
            self._vector(f"{prefix}.post_attention_layernorm.weight"),
            self._vector(f"{attention}.q_norm.weight") if config.qk_norm else None,
            self._vector(f"{attention}.k_norm.weight") if config.qk_norm else None,
            self._matrix(f"{mlp}.gate.weight", kind="fp32") if sparse else CPacked(),
            *gate_up,
            self._array([self._matrix(f"{o}.down_proj.weight") for o in owners]),
        )

    def _side_by_side(self, groups: list[list[str]]) -> tuple[Any, int]:
        """The matrices of each group as one, or each by itself where one is not of one kind; and how many of each."""
        if all(len({self._source.kinds.get(name) for name in names}) == 1 for names in groups):
            return self._array([self._matrix(*names) for names in groups]), 1
        return self._array([self._matrix(name) for names in groups for name in names]), len(groups[0])

    def _array(self, matrices: list[CPacked]) -> Any:
        self._arrays.append((CPacked * len(matrices))(*matrices))
        return ctypes.cast(self._arrays[-1], ctypes.POINTER(CPacked))

    def _vector(self, *names: str) -> int:
        """The address of norms or biases, one after the other."""
        parts = [self._all_rows(name).float() for name in names]
        whole = torch.cat(parts)
        for name, part in zip(names, whole.split([len(part) for part in parts]), strict=True):
            self._vectors.append((name, part))
        return whole.data_ptr()

    def _matrix(self, *names: str, kind: str | None = None) -> CPacked:
        """The rows of all `names`, one after the other, as one weight."""
        count, columns = sum(self._source.shapes[name][0] for name in names), self._source.shapes[names[0]][1]
        packed = PackedWeight.zeros(kind or self._kind(names), count, columns, self._arena)
        self._source.fill(names, packed)
        self._matrices.append((names, packed))
        return CPacked.of(packed)

    def _kind(self, names: Sequence[str]) -> str:
        """The one in which all of them are stored; where there is none, floats that hold the values of all."""
        kinds = {self._source.kinds.get(name) for name in names}
        if len(kinds) == 1 and (kind := kinds.pop()):
            return kind
        dtypes = {self._source.rows(name, 0, 1).dtype for name in names}
        return next((kind for kind, dtype in FLOATS.items() if dtypes == {dtype}), "fp32")

    def _base_of(self, name: str) -> Tensor:
        return self._all_rows(EMBEDDING if name == LM_HEAD and self._tied else name)

    def _all_rows(self, name: str) -> Tensor:
        return self._source.rows(name, 0, self._source.shapes[name][0])


class _RotationTable:
    """cos and sin [positions, D/2] of the RoPE angles; grows with the longest sequence seen."""

    def __init__(self, config: ModelConfig):
        self._config = config
        self._cos = self._sin = torch.empty(0)

    def described(self, positions: int) -> _CRotation:
        if positions > len(self._cos) or not len(self._cos):
            self._grow(positions)
        return _CRotation(self._cos.data_ptr(), self._sin.data_ptr(), len(self._cos))

    def _grow(self, positions: int) -> None:
        count = -(-max(positions, 2 * len(self._cos), 1) // POSITIONS_AT_ONCE) * POSITIONS_AT_ONCE
        angles = torch.outer(torch.arange(count, dtype=torch.float32), inverse_frequencies(self._config))
        scale = attention_factor(self._config.rope_scaling)
        self._cos, self._sin = angles.cos() * scale, angles.sin() * scale
