"""Weights packed by C++: rounded as well as by torch operators, the same on every instruction set, in any pieces."""

from __future__ import annotations

import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st
from sansi.base.errors import SansiError
from sansi.model import save
from sansi.model.kernels import FLOATS, GROUP, LEVELS, PackedWeight, pack, unpack_levels
from sansi.model.kernels.cpu import packing
from sansi.model.kernels.cpu.build import load_kernels, supported_isas
from sansi.model.native import NativeModel
from sansi.model.quantize import quantize
from tiny_models import tiny_config, tiny_model
from torch import Tensor

pytestmark = pytest.mark.skipif(not supported_isas(), reason="the CPU kernels are for Linux on x86-64")
ROUNDED = (*FLOATS, *LEVELS)
DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}


def packed_of(weight: Tensor, kind: str) -> PackedWeight:
    packed = PackedWeight.zeros(kind, *weight.shape)
    packing.pack_into(packed, 0, weight)
    return packed


def random_weight(rows: int, groups: int, seed: int, shape: str, exponent: float) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    weight = torch.randn(rows, groups * GROUP, generator=generator)
    if shape == "heavy":
        weight = weight**5
    elif shape == "few values":
        weight = weight.round()
    elif shape == "holes":
        weight = weight * (torch.rand(weight.shape, generator=generator) < 0.05)
    return weight * 10**exponent


def errors(packed: PackedWeight, weight: Tensor) -> Tensor:
    """Squared error of each group [N, G], in float64."""
    q, scales = unpack_levels(packed)
    back = q.unflatten(1, (-1, GROUP)).double() * scales.double().unsqueeze(2)
    return (back - weight.double().unflatten(1, (-1, GROUP))).square().sum(2)


@settings(max_examples=150)
@given(
    st.sampled_from(list(LEVELS)),
    st.sampled_from(list(DTYPES)),
    st.integers(1, 40),
    st.integers(1, 3),
    st.integers(0, 10_000),
    st.sampled_from(["normal", "heavy", "few values", "holes"]),
    st.floats(-9, 1),
)
@example("int4", "float32", 16, 1, 0, "normal", -300)
def test_no_group_is_further_off_than_torch_operators_have_it(kind, dtype, rows, groups, seed, shape, exponent):
    """And where the two are not the same bits, it is a tie but for rounding."""
    weight = random_weight(rows, groups, seed, shape, exponent).to(DTYPES[dtype])
    if not weight.isfinite().all():
        return
    ours, theirs = packed_of(weight, kind), pack(weight, kind)
    assert (errors(ours, weight) <= errors(theirs, weight) * (1 + 1e-6)).all()
    (q, scales), (expected, wanted) = unpack_levels(ours), unpack_levels(theirs)
    same = (scales == wanted)[:, :, None].expand(-1, -1, GROUP).flatten(1)
    assert torch.equal(q[same], expected[same])


@pytest.mark.parametrize("kind", LEVELS)
def test_nearly_all_groups_are_the_same_bits(kind):
    weight = random_weight(256, 32, 0, "normal", -2)
    (_, scales), (_, wanted) = unpack_levels(packed_of(weight, kind)), unpack_levels(pack(weight, kind))
    assert (scales == wanted).double().mean() > 0.999


@pytest.mark.parametrize("kind", LEVELS)
@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_every_instruction_set_finds_the_same_bits(kind, dtype, monkeypatch):
    weight = random_weight(45, 6, 1, "heavy", -2).to(DTYPES[dtype])
    found = []
    for isa in supported_isas():
        library = load_kernels(isa).library
        monkeypatch.setattr(packing, "kernels_library", lambda library=library: library)
        found.append(packed_of(weight, kind))
    for other in found[1:]:
        assert torch.equal(other.data, found[0].data) and torch.equal(other.scales, found[0].scales)


@pytest.mark.parametrize("kind", ROUNDED)
@pytest.mark.parametrize("rows", [1, 16, 33, 250])
def test_pieces_and_threads_change_nothing(kind, rows, monkeypatch):
    weight = random_weight(rows, 3, 2, "normal", 0)
    whole = packed_of(weight, kind)
    pieces = PackedWeight.zeros(kind, *weight.shape)
    monkeypatch.setattr(packing, "threads_at_hand", lambda: 7)
    for first in range(0, rows, 48):
        packing.pack_into(pieces, first, weight[first : first + 48])
    assert torch.equal(pieces.data, whole.data) and torch.equal(pieces.scales, whole.scales)


@pytest.mark.parametrize("kind", ROUNDED)
def test_without_a_compiler_torch_operators_do_it(kind, monkeypatch):
    monkeypatch.setattr(packing, "kernels_library", lambda: None)
    weight = random_weight(35, 2, 3, "normal", 0)
    ours, theirs = packed_of(weight, kind), pack(weight, kind)
    assert torch.equal(ours.data, theirs.data) and torch.equal(ours.scales, theirs.scales)


@pytest.mark.parametrize("compiler", [True, False])
@pytest.mark.parametrize("kind", LEVELS)
@pytest.mark.parametrize("bad", [float("nan"), float("inf"), -float("inf"), "large"])
def test_what_can_not_be_rounded_is_refused(kind, bad, compiler, monkeypatch):
    if not compiler:
        monkeypatch.setattr(packing, "kernels_library", lambda: None)
    limit = LEVELS[kind] * 65520.0  # over its level, that is the first value with an infinite scale in fp16
    weight = random_weight(20, 2, 4, "normal", 0)
    weight[19, 40] = limit - 1
    packed_of(weight, kind)
    weight[19, 40] = limit if bad == "large" else bad
    with pytest.raises(SansiError, match=f"{kind} weights must be finite and below"):
        packed_of(weight, kind)


@pytest.mark.parametrize("kind", LEVELS)
def test_the_tensor_that_can_not_be_rounded_is_named(kind, tmp_path):
    model = tiny_model(tiny_config(hidden_size=64, intermediate_size=96))
    with torch.no_grad():
        model.model.layers[1].self_attn.k_proj.weight[3, 3] = float("inf")
    save(model, tmp_path / "model")
    complaint = rf"^model\.layers\.1\.self_attn\.k_proj\.weight.*: {kind} weights must be finite"
    for make in (
        lambda: quantize(tmp_path / "model", kind),
        lambda: NativeModel.from_pretrained(tmp_path / "model", quantize=kind),
        lambda: NativeModel(model, quantize=kind),
    ):
        with pytest.raises(SansiError, match=complaint):
            make()
