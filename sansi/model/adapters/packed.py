"""Adapters as the CPU's kernels take them beside the packed weights; what C++ is told has the same fields in the same
order in kernels/cpu/adapters.h.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from sansi.base.errors import SansiError
from sansi.model.adapters.adapter import Adapter, LowRank
from sansi.model.config import ModelConfig
from sansi.model.formats.tensors import EMBEDDING, LM_HEAD
from sansi.model.kernels import FLOATS, KINDS, PackedWeight, pack


class CPacked(ctypes.Structure):
    _fields_ = [
        ("kind", ctypes.c_int),
        ("N", ctypes.c_int64),
        ("K", ctypes.c_int64),
        ("data", ctypes.c_void_p),
        ("scales", ctypes.c_void_p),
    ]

    @classmethod
    def of(cls, packed: PackedWeight) -> CPacked:
        scales = packed.scales.data_ptr() if len(packed.scales) else None
        return cls(KINDS[packed.kind], packed.rows, packed.columns, packed.data.data_ptr(), scales)


class CLowRank(ctypes.Structure):
    _fields_ = [("A", CPacked), ("B", CPacked), ("gain", ctypes.c_void_p)]


class CAdapterLayer(ctypes.Structure):
    _fields_ = [
        ("qkv", ctypes.POINTER(CLowRank)),
        ("o", CLowRank),
        ("router", CLowRank),
        ("gate_up", ctypes.POINTER(CLowRank)),
        ("down", ctypes.POINTER(CLowRank)),
    ]


class CAdapter(ctypes.Structure):
    _fields_ = [("layers", ctypes.POINTER(CAdapterLayer)), ("head", CLowRank), ("rank", ctypes.c_int64)]


def check_low_rank(adapter: Adapter) -> None:
    """Raise SansiError where it changes more than the kernels do beside a base: tables, norms, biases."""
    others = [name for name in adapter.names if name not in adapter.low_rank or name == EMBEDDING]
    if others:
        raise SansiError(
            f"{adapter.folder}: the adapter changes {others[0]} as a whole, which the CPU kernels do not do beside the "
            'base; take backend "torch", or merge it into a model of its own (sansi export --merge)',
            param="adapters",
        )


class PackedAdapters:
    """Adapters in the form that the kernels read. base: rows of the base's matrices, which DoRA asks for."""

    def __init__(self, config: ModelConfig, adapters: Sequence[Adapter], base: Callable[[str], Tensor]):
        self._config, self._base = config, base
        self._kept: list[Any] = []  # what the description points to
        self._gains: list[tuple[str, LowRank, Tensor]] = []
        self.nbytes = 0
        for adapter in adapters:
            check_low_rank(adapter)
        self.described = (CAdapter * len(adapters))(*(self._adapter(adapter) for adapter in adapters))

    def refresh(self) -> None:
        """The base has changed in place: gains are relative to it."""
        for name, change, gain in self._gains:
            gain.copy_(gain_of(change, self._base(name)))

    def _adapter(self, adapter: Adapter) -> CAdapter:
        config = self._config
        layers = (CAdapterLayer * config.num_hidden_layers)(
            *(self._layer(adapter, number) for number in range(config.num_hidden_layers))
        )
        self._kept.append(layers)
        rank = max((len(change.A) for change in adapter.low_rank.values()), default=0)
        return CAdapter(layers, self._change(adapter, LM_HEAD), rank)

    def _layer(self, adapter: Adapter, number: int) -> CAdapterLayer:
        prefix, config = f"model.layers.{number}", self._config
        attention, mlp = f"{prefix}.self_attn", f"{prefix}.mlp"
        owners = [f"{mlp}.experts.{e}" for e in range(config.num_experts)] if config.is_sparse(number) else [mlp]
        return CAdapterLayer(
            self._array(adapter, [f"{attention}.{name}_proj.weight" for name in "qkv"]),
            self._change(adapter, f"{attention}.o_proj.weight"),
            self._change(adapter, f"{mlp}.gate.weight"),
            self._array(adapter, [f"{o}.{name}_proj.weight" for o in owners for name in ("gate", "up")]),
            self._array(adapter, [f"{o}.down_proj.weight" for o in owners]),
        )

    def _array(self, adapter: Adapter, names: Sequence[str]) -> Any:
        self._kept.append((CLowRank * len(names))(*(self._change(adapter, name) for name in names)))
        return ctypes.cast(self._kept[-1], ctypes.POINTER(CLowRank))

    def _change(self, adapter: Adapter, name: str) -> CLowRank:
        change = adapter.low_rank.get(name)
        if change is None or not change.changes:
            return CLowRank()
        factors = [_packed(change.A.float()), _packed(change.scale * change.B.float())]
        self._kept += factors
        self.nbytes += sum(factor.nbytes for factor in factors)
        gain = None if change.magnitude is None else gain_of(change, self._base(name))
        if gain is not None:
            self._kept.append(gain)
            self._gains.append((name, change, gain))
        return CLowRank(*(CPacked.of(f) for f in factors), None if gain is None else gain.data_ptr())


def _packed(factor: Tensor) -> PackedWeight:
    """In 16 bits where that loses nothing, as a decoding step takes as long as it reads."""
    for kind in ("bf16", "fp16"):
        if torch.equal(factor.to(FLOATS[kind]).float(), factor):
            return pack(factor, kind)
    return pack(factor, "fp32")


@torch.no_grad()
def gain_of(change: LowRank, base: Tensor) -> Tensor:
    """[N] float32: what rows of W + scale * B A are multiplied with to be as long as the magnitude says."""
    assert change.magnitude is not None
    whole = base.float().to(change.B.device) + change.delta(0, len(change.B))
    return change.magnitude.float() / torch.linalg.vector_norm(whole, dim=0 if change.by_column else 1)
