"""compressed-tensors and MLX: each file means in Sansi what its format defines, and faults are told."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from foreign_formats import fp8 as block_fp8
from foreign_formats import mlx, packed, plain_fp8, plain_int8, rewrite, stack_experts
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import load_file, save_file
from sansi.engine.memory import plan_checkpoint, stored_in
from sansi.model import load
from sansi.model.formats.compressed_tensors import CompressedFolder
from sansi.model.formats.mlx import MlxFolder
from sansi.model.formats.names import tensor_table
from sansi.model.formats.source import open_source
from sansi.model.kernels import PackedWeight, unpack
from sansi.model.native import NativeModel
from test_foreign_formats import (
    FAULTS,
    SHAPES,
    SIZES,
    check_damage_is_told,
    check_means,
    check_told,
    reader_of,
    saved,
)
from test_native_kinds import step
from tiny_models import random_ids, tiny_config


def described(layout: str, **weights: Any) -> dict[str, Any]:
    group = {"targets": ["Linear"], "input_activations": None, "weights": {"num_bits": 4, "type": "int", **weights}}
    return {"quant_method": "compressed-tensors", "format": layout, "config_groups": {"group_0": group}, "ignore": []}


G128: dict[str, Any] = {"strategy": "group", "group_size": 128, "symmetric": True}
FP8: dict[str, Any] = {"num_bits": 8, "type": "float", "symmetric": True}
INT8: dict[str, Any] = {"num_bits": 8, "strategy": "channel", "symmetric": True}
BLOCK: dict[str, Any] = {**FP8, "strategy": "block", "block_structure": [128, 128]}
FORMATS: dict[str, tuple[Any, dict[str, Any], str | None]] = {
    "int4": (packed, described("pack-quantized", **G128), "int4"),
    "int4-channel": (partial(packed, group=-1), described("pack-quantized", strategy="channel"), "int4"),
    "int4-zeros": (
        partial(packed, symmetric=False),
        described("pack-quantized", **G128 | {"symmetric": False}),
        "int4a/4",
    ),
    "int8-packed": (partial(packed, bits=8), described("pack-quantized", **G128 | {"num_bits": 8}), "int8"),
    "int8": (plain_int8, described("int-quantized", **INT8), "int8"),
    "int8-zeros": (
        partial(plain_int8, symmetric=False),
        described("int-quantized", **INT8 | {"symmetric": False}),
        None,
    ),
    "fp8-channel": (plain_fp8, described("float-quantized", **FP8, strategy="channel"), "int8"),
    "fp8-tensor": (partial(plain_fp8, whole=True), described("float-quantized", **FP8, strategy="tensor"), "int8"),
    "fp8-naive": (plain_fp8, described("naive-quantized", **FP8, strategy="channel"), "int8"),
    "fp8-block": (partial(block_fp8, name="weight_scale"), described("float-quantized", **BLOCK), "int8"),
    "fp8-block-inv": (block_fp8, described("float-quantized", **BLOCK), "int8"),
}


@pytest.fixture(scope="module", params=SHAPES)
def folder(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return saved(tmp_path_factory.mktemp("full") / request.param, **SHAPES[request.param])


def check_exact(quantised: Path, meant: dict[str, torch.Tensor], names: list[str], kind: str) -> None:
    source = open_source(quantised)
    assert {source.kinds[name] for name in names} == {kind}
    packed_ = PackedWeight.zeros(kind, sum(source.shapes[n][0] for n in names), source.shapes[names[0]][1])
    source.fill(names, packed_)
    torch.testing.assert_close(unpack(packed_), torch.cat([meant[n] for n in names]), rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize("name", FORMATS)
def test_compressed_tensors_mean_what_the_format_defines(folder: Path, name: str, tmp_path: Path) -> None:
    writer, config, kind = FORMATS[name]
    meant = rewrite(folder, tmp_path / "q", writer, config)
    check_means(folder, tmp_path / "q", meant)
    source = open_source(tmp_path / "q")
    assert source.format.name == "compressed-tensors" and set(source.kinds.values()) == ({kind} if kind else set())
    if kind and not name.startswith("fp8"):
        layer = "model.layers.0.self_attn"
        for names in ([f"{layer}.o_proj.weight"], [f"{layer}.{part}_proj.weight" for part in "qkv"]):
            check_exact(tmp_path / "q", meant, names, kind)
    assert NativeModel.from_pretrained(tmp_path / "q").kind == ("compressed-tensors" if kind else None)


def test_groups_in_the_order_of_importance_are_widened(folder: Path, tmp_path: Path) -> None:
    def writer(weight: torch.Tensor) -> Any:
        order = torch.randperm(weight.shape[1], generator=torch.Generator().manual_seed(1))
        return packed(weight, group=64, order=order)

    config = described("pack-quantized", **G128 | {"group_size": 64, "actorder": "group"})
    check_means(folder, tmp_path / "q", rewrite(folder, tmp_path / "q", writer, config))
    assert not open_source(tmp_path / "q").kinds


def test_scales_that_half_precision_does_not_hold_are_widened(folder: Path, tmp_path: Path) -> None:
    def writer(weight: torch.Tensor) -> Any:
        tensors, meant = packed(weight)
        return {**tensors, "weight_scale": tensors["weight_scale"].float() * 1.0001}, meant * 1.0001

    rewrite(folder, tmp_path / "q", writer, FORMATS["int4"][1])
    assert not open_source(tmp_path / "q").kinds


def mlx_folder(full: Path, target: Path, bits: int, dtype: torch.dtype = torch.float16) -> dict[str, torch.Tensor]:
    """As mlx_lm.convert writes it, with the router in eight bits and its settings under both keys."""
    said: dict[str, Any] = {"group_size": 64, "bits": bits, "mode": "affine"}
    own = {f"model.layers.{n}.mlp.gate": {"group_size": 64, "bits": 8} for n in range(3)}
    moe = "num_experts" in json.loads((full / "config.json").read_text())
    meant = rewrite(full, target, partial(mlx, bits=bits, dtype=dtype), said, outer=True)
    if moe:
        tensors, gates = load_file(target / "model.safetensors"), load_file(full / "model.safetensors")
        for path in own:
            parts, meant[f"{path}.weight"] = mlx(gates[f"{path}.weight"].float(), 8, 64, dtype)
            tensors |= {f"{path}.{part}": tensor for part, tensor in parts.items()}
        save_file(tensors, target / "model.safetensors")
        stack_experts(target)
    config = json.loads((target / "config.json").read_text())
    config["quantization"] = config["quantization_config"] = said | (own if moe else {})
    (target / "config.json").write_text(json.dumps(config))
    return meant


@pytest.mark.parametrize("bits", [2, 4, 8])
def test_mlx_means_what_the_format_defines(folder: Path, bits: int, tmp_path: Path) -> None:
    meant = mlx_folder(folder, tmp_path / "q", bits)
    check_means(folder, tmp_path / "q", meant)
    source = open_source(tmp_path / "q")
    assert source.format.name == "mlx"
    assert NativeModel.from_pretrained(tmp_path / "q").kind == ("mlx" if bits == 4 else None)
    if bits == 4:
        layer = "model.layers.0.self_attn"
        check_exact(tmp_path / "q", meant, [f"{layer}.{part}_proj.weight" for part in "qkv"], "int4a/2")
        check_exact(tmp_path / "q", meant, ["model.embed_tokens.weight"], "int4a/2")
    else:
        assert "widened" in source.format.note


def test_memory_is_planned_for_what_weights_become(folder: Path, tmp_path: Path) -> None:
    for bits in (4, 8):
        mlx_folder(folder, tmp_path / str(bits), bits)
        stored, file = stored_in(tmp_path / str(bits)), tmp_path / str(bits) / "model.safetensors"
        plan = plan_checkpoint(stored, "cpu", "float32", num_blocks=4, context_length=32)
        assert stored.nbytes == file.stat().st_size
        assert plan.weights == (stored.nbytes if bits == 4 else 4 * stored.config.num_parameters())


@torch.no_grad()
def test_the_native_model_of_four_bits_gives_the_same_logits(folder: Path, tmp_path: Path) -> None:
    mlx_folder(folder, tmp_path / "mlx", 4, torch.bfloat16)
    rewrite(folder, tmp_path / "packed", *FORMATS["int4-zeros"][:2])
    ids = random_ids(tiny_config(**SIZES), batch=1, tokens=12)
    for name in ("mlx", "packed"):
        expected = load(tmp_path / name, "cpu", "float32")(ids)[0]
        native = NativeModel.from_pretrained(tmp_path / name, cache_dtype="float32")
        native.allocate(2)
        found = step(native, ids[0], 0)
        assert (found - expected).norm() < 0.05 * expected.norm()


def test_mlx_itself_reads_the_same_values(tmp_path: Path) -> None:
    mx = pytest.importorskip("mlx.core", reason="mlx and mlx-cpu are not installed")
    weight = torch.randn(32, 256, generator=torch.Generator().manual_seed(0))
    for bits in (2, 4, 8):
        for group in (32, 64, 128):
            parts = mx.quantize(mx.array(weight.numpy()), group_size=group, bits=bits)
            words, scales, biases = (torch.from_numpy(np.array(part)) for part in parts)
            reader = mlx_reader(weight, {"weight": words, "scales": scales, "biases": biases}, bits, group)
            meant = torch.from_numpy(np.array(mx.dequantize(*parts, group_size=group, bits=bits)))
            torch.testing.assert_close(reader.values("x.weight", 0, 32), meant, rtol=1e-6, atol=1e-6)


def mlx_reader(weight: torch.Tensor, tensors: dict[str, torch.Tensor], bits: int, group: int) -> Any:
    return reader_of(MlxFolder, weight, tensors, {"bits": bits, "group_size": group})


@settings(max_examples=60, deadline=None)
@given(
    st.sampled_from(["mlx", "packed"]),
    st.sampled_from([4, 8]),
    st.sampled_from([32, 64, 128]),
    st.integers(1, 5),
    st.integers(1, 3),
    st.booleans(),
    st.integers(0, 2**16),
)
def test_any_packing_is_read_as_it_was_written(
    kind: str, bits: int, group: int, panels: int, groups: int, symmetric: bool, seed: int
) -> None:
    weight = torch.randn(16 * panels, group * groups, generator=torch.Generator().manual_seed(seed))
    if kind == "mlx":
        tensors, meant = mlx(weight, bits, group)
        reader = mlx_reader(weight, tensors, bits, group)
    else:
        tensors, meant = packed(weight, bits, group, symmetric)
        said = described("pack-quantized", **G128 | {"num_bits": bits, "group_size": group, "symmetric": symmetric})
        reader = reader_of(CompressedFolder, weight, tensors, said)
    first, last = 16 * (panels // 2), 16 * panels
    torch.testing.assert_close(reader.values("x.weight", first, last), meant[first:last], rtol=1e-6, atol=1e-7)
    torch.testing.assert_close(reader.values("x.weight", 3, 7), meant[3:7], rtol=1e-6, atol=1e-7)
    torch.testing.assert_close(reader.parts("x.weight", first, last).floats(), meant[first:last], rtol=1e-6, atol=1e-6)


# ---- what is wrong ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("config", "told"),
    [
        (described("nvfp4-pack-quantized"), '"format" is "nvfp4-pack-quantized"'),
        (described("mixed-precision"), '"format" is "mixed-precision"'),
        (described("pack-quantized", num_bits=3), '"num_bits" is 3'),
        (described("pack-quantized", strategy="group", group_size=0), '"group_size" is 0'),
        (described("pack-quantized", strategy="token"), '"strategy" is "token"'),
        (described("pack-quantized", strategy="group", group_size=64), "has shape"),
        (described("float-quantized", **FP8, strategy="block"), '"block_structure"'),
        ({**described("pack-quantized"), "config_groups": {}}, '"config_groups"'),
        ({**described("pack-quantized"), "sparsity_config": {"format": "sparse-24-bitmask"}}, "sparse"),
        ({**described("pack-quantized"), "transform_config": {"config_groups": {"u": {}}}}, "transform_config"),
        (
            {
                **described("pack-quantized"),
                "config_groups": {
                    **described("", **G128)["config_groups"],
                    "group_1": described("", **INT8)["config_groups"]["group_0"],
                },
            },
            "mixes quantisations",
        ),
        ({"quant_method": "mlx", "bits": 4, "group_size": 32, "mode": "mxfp4"}, '"mode" is "mxfp4"'),
        ({"quant_method": "mlx", "bits": 3, "group_size": 64}, '"bits" is 3'),
        ({"quant_method": "mlx", "bits": 4, "group_size": 48}, '"group_size" is 48'),
    ],
)
def test_settings_that_do_not_fit_are_told_in_a_sentence(tmp_path: Path, config: dict[str, Any], told: str) -> None:
    rewrite(saved(tmp_path / "full", **SIZES), tmp_path / "q", packed, config)
    check_told(tmp_path / "q", told)


@pytest.mark.parametrize("name", ["mlx", "int4"])
@pytest.mark.parametrize("fault", FAULTS)
def test_damaged_folders_are_told(tmp_path: Path, name: str, fault: str) -> None:
    full = saved(tmp_path / "full", **SIZES)
    if name == "mlx":
        mlx_folder(full, tmp_path / "q", 4)
    else:
        rewrite(full, tmp_path / "q", *FORMATS[name][:2])
    check_damage_is_told(tmp_path / "q", fault, ("biases", "weight_scale"))


def test_an_older_key_of_compressed_tensors_is_read(tmp_path: Path) -> None:
    meant = rewrite(saved(tmp_path / "full", **SIZES), tmp_path / "q", *FORMATS["int4"][:2])
    config = json.loads((tmp_path / "q" / "config.json").read_text())
    config["compression_config"] = config.pop("quantization_config")
    (tmp_path / "q" / "config.json").write_text(json.dumps(config))
    name = "model.layers.1.self_attn.v_proj.weight"
    torch.testing.assert_close(tensor_table(load(tmp_path / "q", "cpu", "float32"))[name], meant[name])
