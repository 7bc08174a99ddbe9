"""The CPU's matrix products against float64, against a model of the rounding in Python, and against themselves."""

import ctypes
from functools import cache

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sansi.base.errors import SansiError
from sansi.model.kernels import (
    FLOATS,
    GROUP,
    KINDS,
    LEVELS,
    SPANS,
    PackedWeight,
    pack,
    pack_affine,
    pack_levels,
    pack_six,
    unpack,
    unpack_levels,
)
from sansi.model.kernels.cpu.build import ISA_FLAGS, load_kernels, supported_isas
from torch import Tensor

ISAS = [
    pytest.param(isa, marks=pytest.mark.skipif(isa not in supported_isas(), reason=f"this CPU has no {isa}"))
    for isa in ISA_FLAGS
]
OTHERS = (*SPANS, "int6")
UNIT = {**dict.fromkeys(KINDS, GROUP), **{kind: GROUP * span for kind, span in SPANS.items()}, "int6": 256}
"""What the inputs of a quantised weight are a multiple of."""
SHAPES = [(16, 32, 1), (1, 32, 2), (40, 96, 9), (33, 64, 17), (17, 1024, 3), (48, 160, 33)]  # N, K, M


@cache
def library(isa: str) -> ctypes.CDLL:
    loaded = load_kernels(isa).library
    loaded.sansi_gemm.restype = ctypes.c_double
    loaded.sansi_gemm_isa.restype = ctypes.c_char_p
    return loaded


def pointer(tensor: Tensor) -> ctypes.c_void_p:
    return ctypes.c_void_p(tensor.data_ptr())


def product(isa: str, packed: PackedWeight, x: Tensor, threads: int = 1, add_to: Tensor | None = None) -> Tensor:
    """x [M, K] times the weight -> [M, N]; with a guard band that nobody may write behind every row."""
    (m, n), guard = (x.shape[0], packed.rows), 5
    y = torch.full((m, n + guard), 7.0)
    if add_to is not None:
        y[:, :n] = add_to
    sizes = [ctypes.c_int64(v) for v in (m, x.stride(0), n + guard)]
    library(isa).sansi_gemm(
        *(KINDS[packed.kind], ctypes.c_int64(n), ctypes.c_int64(packed.columns)),
        *(pointer(packed.data), pointer(packed.scales), 1, pointer(x), sizes[0], sizes[1], pointer(y), sizes[2]),
        *(int(add_to is not None), threads, 1),
    )
    assert (y[:, n:] == 7.0).all()
    return y[:, :n].clone()


def random_case(n: int, k: int, m: int, kind: str, seed: int = 0) -> tuple[PackedWeight, Tensor]:
    """Of k inputs, or the next number that the kind has groups of."""
    generator = torch.Generator().manual_seed(seed)
    k = -(-k // UNIT[kind]) * UNIT[kind] if kind in OTHERS else k
    x = torch.randn(m, k, generator=generator)
    if kind in OTHERS:
        return pack_parts(random_parts(n, k, kind, generator), kind), x
    return pack(torch.randn(n, k, generator=generator), kind), x


def random_parts(n: int, k: int, kind: str, generator: torch.Generator) -> tuple[Tensor, ...]:
    """Any levels and scales: q, d, dmin, sc, m of kinds with minima; q, sc, d of int6."""

    def whole(low: int, high: int, columns: int, dtype: torch.dtype) -> Tensor:
        return torch.randint(low, high, (n, columns), generator=generator).to(dtype)

    def halves(columns: int) -> Tensor:
        return (torch.rand(n, columns, generator=generator) / 100).half()

    if kind == "int6":
        return whole(-32, 32, k, torch.int8), whole(-128, 128, k // 16, torch.int8), halves(k // 256) / 8
    spans, groups = k // GROUP // SPANS[kind], k // GROUP
    own = (whole(0, 64, groups, torch.uint8), whole(0, 256, groups, torch.uint8))
    return whole(0, 32 if kind.startswith("int5") else 16, k, torch.uint8), halves(spans), halves(spans), *own


def pack_parts(parts: tuple[Tensor, ...], kind: str) -> PackedWeight:
    return pack_six(*parts) if kind == "int6" else pack_affine(*parts, kind)


def rounded(x: Tensor) -> Tensor:
    """What int8 and int4 weights are multiplied with: each 32 inputs on 255 levels of their own, as float64."""
    groups = x.unflatten(1, (-1, GROUP))
    amax = groups.abs().amax(2, keepdim=True)
    inverse = torch.full_like(amax, 127.0) / amax  # divided, as in the kernels; of `127.0 / amax` torch makes a product
    levels = torch.where(amax > 0, groups * inverse, 0.0).round()  # in float32, too
    return (levels.double() * (amax * torch.tensor(1 / 127.0)).double()).flatten(1)


@pytest.mark.parametrize("isa", ISAS)
def test_each_library_runs_the_kernels_that_it_is_named_after(isa):
    assert library(isa).sansi_gemm_isa().decode() == isa


@pytest.mark.parametrize("isa", ISAS)
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("n", "k", "m"), SHAPES)
def test_products_are_those_of_float64(isa, kind, n, k, m):
    packed, x = random_case(n, k, m, kind)
    read = rounded(x) if kind in (*LEVELS, *OTHERS) else x.double()
    expected = read @ unpack(packed).double().T
    atol = 2e-6 * packed.columns**0.5 * max(8.0, unpack(packed).abs().max().item())
    torch.testing.assert_close(product(isa, packed, x).double(), expected, rtol=1e-5, atol=atol)


@pytest.mark.parametrize("isa", ISAS)
@pytest.mark.parametrize("kind", FLOATS)
@pytest.mark.parametrize("k", [1, 7, 33])
def test_float_weights_take_any_number_of_inputs(isa, kind, k):
    packed, x = random_case(19, k, 5, kind)
    expected = x.double() @ unpack(packed).double().T
    torch.testing.assert_close(product(isa, packed, x).double(), expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("isa", ISAS)
@pytest.mark.parametrize("kind", LEVELS)
def test_integers_are_summed_exactly(isa, kind):
    """One group, inputs that are integers with amax 127 and scales of 1: every product is an integer, and no bit is
    lost, not even where all products are as large as they can be."""
    generator = torch.Generator().manual_seed(1)
    q = torch.randint(-LEVELS[kind], LEVELS[kind], (40, GROUP), generator=generator).to(torch.int8).clamp(min=-127)
    x = torch.randint(-127, 128, (20, GROUP), generator=generator)
    x[:, 0] = 127
    x[0], x[1] = 127, -127
    q[0], q[1] = (-127, 127) if kind == "int8" else (-8, 7)
    packed = pack_levels(q, torch.ones(40, 1, dtype=torch.float16), kind)
    scale = float(torch.tensor(127.0) * torch.tensor(1 / 127.0))
    assert torch.equal(product(isa, packed, x.float()), (x @ q.long().T).float() * scale)


@pytest.mark.parametrize("isa", ISAS)
@pytest.mark.parametrize("kind", KINDS)
def test_a_row_is_the_same_bits_alone_in_any_batch_and_on_any_number_of_threads(isa, kind):
    packed, x = random_case(100, 128, 45, kind)
    alone = torch.cat([product(isa, packed, row[None]) for row in x])
    for m in (2, 3, 8, 15, 16, 17, 45):
        for threads in (1, 2, 3):
            assert torch.equal(product(isa, packed, x[:m], threads), alone[:m]), (m, threads)
    assert torch.equal(product(isa, packed, x[13:31]), alone[13:31])


@pytest.mark.parametrize("kind", KINDS)
def test_every_instruction_set_gives_the_same_bits(kind):
    packed, x = random_case(50, 256, 19, kind)
    results = [product(isa, packed, x) for isa in supported_isas()]
    assert all(torch.equal(result, results[0]) for result in results)


@settings(max_examples=40)
@given(st.data())
def test_any_shape_on_any_number_of_threads(data):
    kind = data.draw(st.sampled_from(list(KINDS)))
    n, m = data.draw(st.integers(1, 70)), data.draw(st.integers(1, 40))
    floats = kind in FLOATS
    k = data.draw(st.integers(1, 150)) if floats else data.draw(st.integers(1, 6)) * UNIT[kind]
    packed, x = random_case(n, k, m, kind, seed=n * m)
    ours = product(supported_isas()[0], packed, x, threads=data.draw(st.integers(1, 5)))
    assert torch.equal(ours, product("scalar", packed, x))


@pytest.mark.parametrize("isa", ISAS)
@pytest.mark.parametrize("kind", KINDS)
def test_a_product_can_be_added_to_what_is_there(isa, kind):
    packed, x = random_case(37, 64, 11, kind)
    there = torch.randn(11, 37, generator=torch.Generator().manual_seed(2))
    assert torch.equal(product(isa, packed, x, add_to=there), there + product(isa, packed, x))


@pytest.mark.parametrize("isa", ISAS)
@pytest.mark.parametrize("kind", KINDS)
def test_rows_may_lie_apart(isa, kind):
    packed, x = random_case(20, 64, 6, kind)
    apart = torch.full((6, packed.columns + 36), float("nan"))
    apart[:, : packed.columns] = x
    assert torch.equal(product(isa, packed, apart[:, : packed.columns]), product(isa, packed, x))


@pytest.mark.parametrize("isa", ISAS)
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("bad", [float("nan"), float("inf"), float("-inf")])
def test_what_is_not_finite_stays_in_its_row(isa, kind, bad):
    packed, x = random_case(20, 64, 4, kind)
    good = product(isa, packed, x)
    x[2, 40] = bad
    y = product(isa, packed, x)
    assert not y[2].isfinite().any()
    assert torch.equal(y[[0, 1, 3]], good[[0, 1, 3]])


@pytest.mark.parametrize("isa", ISAS)
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("size", [0.0, 1e-38, 1e-20, 1e20, 1e34])
def test_inputs_of_any_size(isa, kind, size):
    """Groups of zeros give zeros; the smallest numbers may count as zero; large ones lose nothing."""
    packed, x = random_case(20, 64, 4, kind)
    x = x / x.abs().max() * size
    read = rounded(x) if kind in (*LEVELS, *OTHERS) and size > 1e-30 else x.double()
    expected = read @ unpack(packed).double().T
    atol = max(1e-30, size * 1e-4) * max(1.0, unpack(packed).abs().max().item())
    torch.testing.assert_close(product(isa, packed, x).double(), expected, rtol=1e-4, atol=atol)


@pytest.mark.parametrize("isa", ISAS)
@pytest.mark.parametrize("kind", KINDS)
def test_rows_of_a_packed_weight_can_be_read(isa, kind):
    packed, _ = random_case(35, 96, 1, kind)
    columns = packed.columns
    out = torch.empty(columns)
    for n in (0, 15, 16, 34):
        library(isa).sansi_unpack_row(
            *(KINDS[kind], ctypes.c_int64(35), ctypes.c_int64(columns), pointer(packed.data), pointer(packed.scales)),
            *(ctypes.c_int64(n), pointer(out)),
        )
        assert torch.equal(out, unpack(packed)[n])


@pytest.mark.parametrize("kind", KINDS)
def test_sizes_in_python_and_in_c_agree(kind):
    for n, k in [(1, 32), (16, 64), (35, 96)]:
        packed, _ = random_case(n, k, 1, kind)
        arguments = (KINDS[kind], ctypes.c_int64(n), ctypes.c_int64(packed.columns))
        empty = PackedWeight.zeros(kind, n, packed.columns)
        assert (empty.data.shape, empty.scales.shape) == (packed.data.shape, packed.scales.shape)
        assert library("scalar").sansi_packed_bytes(*arguments) == packed.data.nbytes
        assert library("scalar").sansi_scales_bytes(*arguments) == packed.scales.nbytes


@pytest.mark.parametrize(
    ("kind", "bits"),
    [
        ("fp32", 32),
        ("bf16", 16),
        ("fp16", 16),
        ("int8", 8.5),
        ("int4", 4.5),
        ("int4a", 4.625),
        ("int5a", 5.625),
        ("int6", 6.5625),
    ],
)
def test_bits_per_weight(kind, bits):
    assert random_case(64, 256, 1, kind)[0].nbytes * 8 == 64 * 256 * bits


@pytest.mark.parametrize("kind", LEVELS)
def test_levels_survive_packing(kind):
    generator = torch.Generator().manual_seed(0)
    q = torch.randint(-LEVELS[kind], LEVELS[kind], (21, 96), generator=generator).to(torch.int8)
    scales = torch.randn(21, 3, generator=generator).half()
    back = unpack_levels(pack_levels(q, scales, kind))
    assert torch.equal(back[0], q)
    assert torch.equal(back[1], scales)


@pytest.mark.parametrize(("kind", "levels"), [("int8", 127), ("int4", 8)])
def test_rounding_errs_by_half_a_level_and_by_one_where_the_largest_is_positive(kind, levels):
    weight = torch.randn(32, 128, generator=torch.Generator().manual_seed(0))
    level = weight.unflatten(1, (-1, GROUP)).abs().amax(2, keepdim=True) / levels
    error = (unpack(pack(weight, kind)) - weight).abs().unflatten(1, (-1, GROUP)) / level
    assert error.max() <= (1.01 if kind == "int4" else 0.57)  # the scale itself is rounded to fp16
    assert error.square().mean() < 0.12


@pytest.mark.parametrize("kind", LEVELS)
@pytest.mark.parametrize(
    ("weight", "words"),
    [
        (torch.ones(4, 40), "multiple of 32 inputs, not 40"),
        (torch.full((4, 32), float("nan")), "must be finite"),
        (torch.full((4, 32), 1e30), "must be finite and below"),
    ],
)
def test_weights_that_have_no_quantised_form_are_refused(kind, weight, words):
    with pytest.raises(SansiError, match=words):
        pack(weight, kind)


@pytest.mark.parametrize("kind", [*LEVELS, *OTHERS])
def test_there_is_no_room_for_a_part_of_a_group(kind):
    columns = 3 * UNIT[kind] // 2
    with pytest.raises(SansiError, match=f"^{kind} weights need a multiple of {UNIT[kind]} inputs, not {columns}; "):
        PackedWeight.zeros(kind, 16, columns)


@pytest.mark.parametrize("kind", KINDS)
def test_a_weight_of_zeros(kind):
    packed = PackedWeight.zeros(kind, 20, 256) if kind in OTHERS else pack(torch.zeros(20, 256), kind)
    assert torch.equal(unpack(packed), torch.zeros(20, 256))
    assert torch.equal(product("scalar", packed, torch.randn(3, 256)), torch.zeros(3, 20))


@pytest.mark.parametrize("kind", OTHERS)
def test_levels_scales_and_minima_survive_packing(kind):
    parts = random_parts(21, 512, kind, torch.Generator().manual_seed(0))
    packed = pack_parts(parts, kind)
    if kind == "int6":
        q, sc, d = parts
        by = (d.float().unsqueeze(2) * sc.unflatten(1, (-1, 16))).flatten(1)
        expected = q.unflatten(1, (-1, 16)).float() * by[..., None]
    else:
        q, d, dmin, sc, m = parts
        by, low = (a.float().repeat_interleave(SPANS[kind], 1) * b.float() for a, b in ((d, sc), (dmin, m)))
        expected = q.unflatten(1, (-1, GROUP)).float() * by[..., None] - low[..., None]
    assert torch.equal(unpack(packed), expected.flatten(1))


@pytest.mark.parametrize("isa", ISAS)
def test_the_lowest_level_of_int8_is_no_exception(isa):
    """Files of others have -128."""
    q = torch.full((16, GROUP), -128, dtype=torch.int8)
    packed = pack_levels(q, torch.ones(16, 1, dtype=torch.float16), "int8")
    x = torch.full((2, GROUP), 127.0)
    scale = float(torch.tensor(127.0) * torch.tensor(1 / 127.0))
    assert torch.equal(product(isa, packed, x), torch.full((2, 16), -128.0 * 127 * GROUP * scale))
