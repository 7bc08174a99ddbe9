"""An adapter beside its base, unmerged, by torch operators: a model that shares the base's memory."""

from __future__ import annotations

import copy
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sansi.model.adapters.adapter import Adapter, LowRank
from sansi.model.adapters.packed import gain_of
from sansi.model.config import ModelConfig
from sansi.model.formats.tensors import EMBEDDING, LM_HEAD
from sansi.model.inputs import look_up
from sansi.model.transformer import (
    Attending,
    Embedding,
    Experts,
    KVCache,
    Linear,
    RMSNorm,
    Transformer,
    grouped_linear,
    uncompiled,
)


class AdaptedModel(nn.Module):
    """A Transformer with an adapter beside it. What changes in the base in place changes here; after that `refresh` has
    DoRA's gains follow. The adapter's own products are in float32, the rest is as the base computes it.
    """

    def __init__(self, model: Transformer, adapter: Adapter):
        super().__init__()
        model = uncompiled(model)
        self.config: ModelConfig = model.config
        self._view = _view(model, adapter, "")
        head_of = EMBEDDING if adapter.tied and model.lm_head is None else LM_HEAD
        table = model.lm_head or model.model.embed_tokens
        self._head = _Projection(table, adapter, head_of.removesuffix(".weight"))

    def forward(
        self,
        ids: Tensor,
        positions: Tensor | None = None,
        attention: Attending = None,
        cache: KVCache | None = None,
    ) -> Tensor:
        """Logits [B, T, V]; arguments as of `Transformer.forward`."""
        return self.head(self.hidden(ids, positions, attention, cache))

    def hidden(
        self,
        ids: Tensor,
        positions: Tensor | None = None,
        attention: Attending = None,
        cache: KVCache | None = None,
    ) -> Tensor:
        """[B, T, C]: the input of the LM head."""
        hidden: Tensor = self._view.hidden(ids, positions, attention, cache)  # type: ignore[operator]
        return hidden

    def head(self, hidden: Tensor) -> Tensor:
        """Logits of the outputs of `hidden`."""
        logits: Tensor = self._head(hidden)
        return logits

    def refresh(self) -> None:
        """The base has changed in place."""
        for module in self.modules():
            if isinstance(module, _Changed | _AdaptedExperts):
                module.refresh()


def adapted(model: Transformer, adapter: Adapter) -> AdaptedModel:
    """The model with the adapter beside it; the base stays as it is, and is shared by all that are made of it."""
    return AdaptedModel(model, adapter)


def _view(module: nn.Module, adapter: Adapter, path: str) -> nn.Module:
    """The module, with those within it that the adapter changes replaced; nothing else is copied."""
    names = [name for name in adapter.names if name.startswith(f"{path}.")] if path else list(adapter.names)
    if not names:
        return module
    if isinstance(module, Linear):
        return _Projection(module, adapter, path)
    if isinstance(module, Embedding):
        return _Table(module, adapter, path)
    if isinstance(module, RMSNorm):
        return _Norm(module, adapter.replaced[f"{path}.weight"])
    if isinstance(module, Experts):
        return _AdaptedExperts(module, adapter, path)
    clone = copy.copy(module)
    inner = {n: child and _view(child, adapter, f"{path}.{n}" if path else n) for n, child in module._modules.items()}
    clone.__dict__["_modules"] = inner
    return clone


def _like(tensor: Tensor, base: Tensor, dtype: torch.dtype | None = None) -> Tensor:
    return tensor.detach().to(base.device, dtype or base.dtype)


class _Changed(nn.Module):
    """The weight of a base's module, or the one that was trained in its place, and what is changed of it."""

    def __init__(self, base: nn.Module, adapter: Adapter, path: str):
        super().__init__()
        name = f"{path}.weight"
        self.weight: nn.Parameter | Tensor = base.weight  # type: ignore[assignment]
        if (whole := adapter.replaced.get(name)) is not None:
            self.weight = nn.Parameter(_like(whole, self.weight), requires_grad=False)
        self._change = _on(adapter.low_rank.get(name), self.weight)
        self._gain: Tensor | None = None
        self._rows = _rows_on(adapter, name, self.weight)
        self.refresh()

    def refresh(self) -> None:
        if self._change is not None and self._change.magnitude is not None:
            self._gain = gain_of(self._change, self.weight.detach()).to(self.weight.device)


class _Projection(_Changed):
    """x W^T + bias of a base's matrix with its change; also of an embedding table as the head."""

    def __init__(self, base: nn.Module, adapter: Adapter, path: str):
        super().__init__(base, adapter, path)
        self.bias: nn.Parameter | Tensor | None = getattr(base, "bias", None)
        if (bias := adapter.replaced.get(f"{path}.bias")) is not None:
            self.bias = nn.Parameter(_like(bias, self.weight), requires_grad=False)

    def forward(self, x: Tensor) -> Tensor:
        change = self._change
        wide = x.float()
        if change is not None and change.by_column and self._gain is not None:
            wide = wide * self._gain
            x = wide.to(x.dtype)
        y = F.linear(x, self.weight)
        if self._rows is not None:
            ids, rows = self._rows
            y = y.index_copy(-1, ids, F.linear(x, rows))
        if change is not None:
            product = y.float() + F.linear(F.linear(wide, change.A), change.B)
            if self._gain is not None and not change.by_column:
                product = product * self._gain
            y = product.to(y.dtype)
        return y if self.bias is None else y + self.bias


class _Table(_Changed):
    """An embedding table with its change."""

    def forward(self, ids: Tensor) -> Tensor:
        x = look_up("ids", ids, self.weight)[0]
        if self._rows is not None:
            own, rows = self._rows
            place = torch.searchsorted(own, ids).clamp(max=len(own) - 1)
            x = torch.where((own[place] == ids).unsqueeze(-1), rows[place], x)
        if self._change is None:
            return x
        wide = x.float() + F.linear(self._change.B[ids], self._change.A.T)
        return (wide if self._gain is None else wide * self._gain).to(x.dtype)


class _Norm(RMSNorm):
    def __init__(self, base: RMSNorm, weight: Tensor):
        super().__init__(len(weight), base.eps)
        self.weight = nn.Parameter(_like(weight, base.weight), requires_grad=False)


class _AdaptedExperts(nn.Module):
    """The experts of a layer with their changes, which are stacked as they are: rank r of the largest, zeros beyond."""

    def __init__(self, base: Experts, adapter: Adapter, path: str):
        super().__init__()
        self._base, self._adapter, self._path = base, adapter, path
        self._own_gate_up = self._replaced(("gate_proj", "up_proj"), base.gate_up_proj)
        self._own_down = self._replaced(("down_proj",), base.down_proj)
        self.refresh()

    def refresh(self) -> None:
        self._gate, self._up = (_Stacked.of(self._changes(kind), self._matrices(kind)) for kind in ("gate", "up"))
        self._down = _Stacked.of(self._changes("down"), self._matrices("down"))

    def forward(self, x_NC: Tensor, weights_NA: Tensor, chosen_NA: Tensor) -> Tensor:
        """As `Experts.forward`."""
        tokens, active = chosen_NA.shape
        order = chosen_NA.flatten().argsort(stable=True)  # visits sorted by expert, [N*A]
        counts_E = F.one_hot(chosen_NA.flatten(), len(self._base.down_proj)).sum(0)
        x = x_NC[order // active]
        gate, up = grouped_linear(x, self._stack("gate_up"), counts_E).chunk(2, dim=-1)
        gate, up = self._gate.added(gate, x, counts_E), self._up.added(up, x, counts_E)
        inner = F.silu(gate) * up
        visits = self._down.added(grouped_linear(inner, self._stack("down"), counts_E), inner, counts_E)
        y_NAC = visits[order.argsort()].view(tokens, active, -1)
        return (y_NAC * weights_NA[..., None]).sum(1)

    def _stack(self, kind: str) -> Tensor:
        own, base = (
            (self._own_down, self._base.down_proj) if kind == "down" else (self._own_gate_up, self._base.gate_up_proj)
        )
        return base if own is None else own

    def _matrices(self, kind: str) -> Tensor:
        """[E, N, K] of "gate", "up" or "down"."""
        if kind == "down":
            return self._stack("down")
        return self._stack("gate_up").chunk(2, dim=1)[kind == "up"]

    def _changes(self, kind: str) -> list[LowRank | None]:
        names = (f"{self._path}.{e}.{kind}_proj.weight" for e in range(len(self._base.down_proj)))
        return [self._adapter.low_rank.get(name) for name in names]

    def _replaced(self, kinds: Sequence[str], stack: Tensor) -> Tensor | None:
        """A stack of its own, if some of its matrices were trained whole."""
        whole = {
            (e, part): self._adapter.replaced[name]
            for e in range(len(stack))
            for part, kind in enumerate(kinds)
            if (name := f"{self._path}.{e}.{kind}.weight") in self._adapter.replaced
        }
        if not whole:
            return None
        own = stack.detach().clone()
        for (e, part), tensor in whole.items():
            own[e].chunk(len(kinds))[part].copy_(tensor)
        return own


class _Stacked:
    """The low-rank changes of one matrix of each expert: A [E, r, K], B [E, N, r], gains [E, N]."""

    def __init__(self, a: Tensor | None, b: Tensor | None, gains: Tensor | None):
        self._a, self._b, self._gains = a, b, gains

    @classmethod
    def of(cls, changes: Sequence[LowRank | None], base: Tensor) -> _Stacked:
        """base: [E, N, K]."""
        found = {e: on for e, change in enumerate(changes) if (on := _on(change, base)) is not None}
        if not found:
            return cls(None, None, None)
        rank = max(len(change.A) for change in found.values())
        wide = {"device": base.device, "dtype": torch.float32}
        a = torch.zeros(len(base), rank, base.shape[2], **wide)  # type: ignore[call-overload]
        b = torch.zeros(len(base), base.shape[1], rank, **wide)  # type: ignore[call-overload]
        gains = torch.ones(len(base), base.shape[1], **wide)  # type: ignore[call-overload]
        for e, change in found.items():
            a[e, : len(change.A)], b[e, :, : len(change.A)] = change.A, change.B
            if change.magnitude is not None:
                gains[e] = gain_of(change, base[e].detach())
        return cls(a, b, gains if any(change.magnitude is not None for change in found.values()) else None)

    def added(self, y: Tensor, x: Tensor, counts_E: Tensor) -> Tensor:
        """y = x W^T of visits sorted by expert, with the change."""
        if self._a is None or self._b is None:
            return y
        whole = y.float() + _grouped(_grouped(x.float(), self._a, counts_E), self._b, counts_E)
        if self._gains is not None:
            whole = whole * self._gains.repeat_interleave(counts_E, dim=0)
        return whole.to(y.dtype)


def _grouped(x: Tensor, stack: Tensor, counts_E: Tensor) -> Tensor:
    parts = x.split(counts_E.tolist())
    return torch.cat([F.linear(part, matrix) for part, matrix in zip(parts, stack, strict=True)])


def _on(change: LowRank | None, base: Tensor) -> LowRank | None:
    """The change in float32 where the base is, its scale in B."""
    if change is None or not change.changes:
        return None
    a, b = (_like(factor, base, torch.float32) for factor in (change.A, change.B))
    magnitude = None if change.magnitude is None else _like(change.magnitude, base, torch.float32)
    return LowRank(a, change.scale * b, 1.0, magnitude)


def _rows_on(adapter: Adapter, name: str, base: Tensor) -> tuple[Tensor, Tensor] | None:
    """Ids in order and their rows, where the base is."""
    if name not in adapter.new_rows:
        return None
    ids, rows = adapter.new_rows[name]
    order = ids.argsort()
    return ids[order].to(base.device), _like(rows[order], base)
