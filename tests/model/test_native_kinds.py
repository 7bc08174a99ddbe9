"""The C++ forward with matrices of different kinds in one layer, as files of mixtures bring them."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
import torch
from sansi.model import native
from sansi.model.formats.parts import Parts, joined, put
from sansi.model.formats.weights import ModelWeights, fill_from_rows
from sansi.model.kernels import GROUP, SPANS, PackedWeight
from sansi.model.kernels.cpu.build import supported_isas
from sansi.model.native import NativeModel
from sansi.model.transformer import Transformer
from tiny_models import EXPERTS, NEIGHBOURS, random_ids, tiny_config, tiny_model
from torch import Tensor

ISAS = supported_isas()
pytestmark = pytest.mark.skipif(not ISAS, reason="the CPU kernels are for Linux on x86-64")
TOKENS = 21
WIDE = {"hidden_size": 256, "intermediate_size": 256, "moe_intermediate_size": 256, "num_hidden_layers": 2}
DESIGNS = {
    "dense": {"tie_word_embeddings": True},
    "experts": {**EXPERTS, "norm_topk_prob": True, "moe_intermediate_size": 256},
    "qwen2": NEIGHBOURS["qwen2"],
}
KINDS_OF = {
    "embed_tokens": ("int6",),
    "lm_head": ("int5a",),
    "q_proj": ("int4a",),
    "k_proj": ("int4a/4", "int4a"),
    "v_proj": ("int6", None),  # of layer 0, 1, …; None: floats beside the others
    "o_proj": ("int4a/2", "int4a/1"),  # of 64 inputs
    "gate_proj": ("int5a", "int4a"),
    "up_proj": ("int5a/1", "int4a"),
    "down_proj": ("int6", "int4a"),
}


def kind_of(name: str) -> str | None:
    """Experts count on from their layer's number, so that those of one layer differ."""
    kinds = next((kinds for part, kinds in KINDS_OF.items() if f"{part}.weight" in name), None)
    numbers = [int(part) for part in name.split(".") if part.isdigit()]
    return kinds[sum(numbers) % len(kinds)] if kinds else None


def random_parts(shape: tuple[int, ...], kind: str, generator: torch.Generator) -> Parts:
    (n, k), groups = shape, shape[1] // GROUP

    def whole(low: int, high: int, columns: int, dtype: torch.dtype) -> Tensor:
        return torch.randint(low, high, (n, columns), generator=generator).to(dtype)

    def halves(columns: int, size: float) -> Tensor:
        return (torch.rand(n, columns, generator=generator).add(0.5) * size).half()

    if kind == "int6":
        return Parts(whole(-32, 32, k, torch.int8), halves(k // 256, 3e-5), whole(-127, 128, k // 16, torch.int8))
    five, spans = kind.startswith("int5"), groups // SPANS[kind]
    q = whole(0, 32 if five else 16, k, torch.uint8)
    sc, m = (whole(20, 64, groups, torch.uint8) for _ in range(2))
    return Parts(q, halves(spans, 1.5e-4 if five else 3e-4), sc, halves(spans, 2.3e-3), m)


class Mixture(ModelWeights):
    """A model whose matrices are what random levels, scales and minima make of them."""

    def __init__(self, model: Transformer):
        super().__init__(model)
        generator = torch.Generator().manual_seed(0)
        self.kinds = {name: kind for name in self.shapes if (kind := kind_of(name))}
        self.parts = {name: random_parts(self.shapes[name], kind, generator) for name, kind in self.kinds.items()}
        with torch.no_grad():
            for name, parts in self.parts.items():
                self._table[name].copy_(parts.floats())

    def fill(self, names: Sequence[str], packed: PackedWeight) -> None:
        if packed.kind not in self.kinds.values():
            return fill_from_rows(packed, names, self.shapes, self.rows)
        put(packed, 0, joined([self.parts[name] for name in names]))


@pytest.fixture(scope="module", params=DESIGNS)
def mixture(request) -> tuple[Transformer, Mixture]:
    model = tiny_model(tiny_config(**{**WIDE, **DESIGNS[request.param]}))
    return model, Mixture(model)


def step(model: NativeModel, ids: Tensor, first: int) -> Tensor:
    new = torch.arange(len(ids), dtype=torch.int32)
    starts, context, tables = (
        torch.tensor(values, dtype=torch.int32) for values in ([0, len(ids)], [first + len(ids)], [[0, 1]])
    )
    return model.forward(ids.int(), first + new, starts, context, tables, new).clone()


def opened(source: Mixture, monkeypatch, **options) -> NativeModel:
    monkeypatch.setattr(native, "open_source", lambda folder: source)
    model = NativeModel.from_pretrained("mixture", cache_dtype="float32", **options)
    model.allocate(2)
    return model


@pytest.mark.parametrize("isa", ISAS)
@torch.no_grad()
def test_logits_are_those_of_the_values(mixture, isa, monkeypatch):
    """What is left is the rounding of activations to 8 bits."""
    model, source = mixture
    ids = random_ids(model.config, 1, TOKENS)
    expected, found = model(ids)[0], step(opened(source, monkeypatch, isa=isa), ids[0], 0)
    assert (found - expected).norm() / expected.norm() < 0.05


def test_nothing_is_widened(mixture, monkeypatch):
    _, source = mixture
    packed = opened(source, monkeypatch)._weights._matrices
    assert {name: one.kind for names, one in packed for name in names if name in source.kinds} == source.kinds


@pytest.mark.parametrize("isa", ISAS)
def test_the_same_bits_in_any_cut_on_any_number_of_threads(mixture, isa, monkeypatch):
    model, source = mixture
    ids = random_ids(model.config, 1, TOKENS)[0]
    expected = step(opened(source, monkeypatch, isa=isa, threads=1), ids, 0)
    for threads in (1, 3):
        packed = opened(source, monkeypatch, isa=isa, threads=threads)
        assert torch.equal(step(packed, ids, 0), expected), threads
        cut = [step(packed, ids[:16], 0), *(step(packed, one, 16 + n) for n, one in enumerate(ids[16:].split(1)))]
        assert torch.equal(torch.cat(cut), expected), threads
