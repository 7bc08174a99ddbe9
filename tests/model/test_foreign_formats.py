"""Quantised weights of other programs: each file means in Sansi what its format defines, and faults are told."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from foreign_formats import awq, fp8, gptq, rewrite
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import load_file, save_file
from sansi.base.errors import SansiError
from sansi.model import Transformer, load, save
from sansi.model.formats.awq import AwqFolder
from sansi.model.formats.gptq import GptqFolder
from sansi.model.formats.names import tensor_table
from sansi.model.formats.quantised_folder import QuantisedFolder
from sansi.model.formats.source import open_source
from sansi.model.formats.weights import fill_model
from sansi.model.kernels import PackedWeight, unpack
from sansi.model.native import NativeModel
from tiny_models import random_ids, tiny_config, tiny_model

SIZES: dict[str, Any] = {"hidden_size": 128, "intermediate_size": 256, "num_attention_heads": 4, "head_dim": 32}
MOE: dict[str, Any] = {**SIZES, "num_experts": 4, "num_experts_per_tok": 2, "moe_intermediate_size": 128}
AWQ = {"quant_method": "awq", "bits": 4, "group_size": 128, "zero_point": True, "version": "gemm"}
GPTQ = {"quant_method": "gptq", "bits": 4, "group_size": 128, "sym": True, "desc_act": False}
FORMATS: dict[str, tuple[Any, dict[str, Any]]] = {
    "fp8": (fp8, {"quant_method": "fp8", "fmt": "e4m3", "weight_block_size": [128, 128]}),
    "fp8-other-name": (
        partial(fp8, block=64, name="weight_scale"),
        {"quant_method": "fp8", "weight_block_size": [64, 64]},
    ),
    "awq": (awq, AWQ),
    "awq-64": (partial(awq, group=64), {"quant_method": "awq", "w_bit": 4, "q_group_size": 64}),
    "awq-symmetric": (partial(awq, zero_point=False), {**AWQ, "zero_point": False}),
    "gptq-int4": (gptq, GPTQ),
    "gptq-int8": (partial(gptq, bits=8), {**GPTQ, "bits": 8}),
    "gptq-v2": (partial(gptq, version=2), {**GPTQ, "checkpoint_format": "gptq_v2"}),
    "gptq-32": (partial(gptq, group=32), {**GPTQ, "group_size": 32}),
    "gptq-one-group": (partial(gptq, group=-1), {**GPTQ, "group_size": -1}),
    "gptq-asymmetric": (partial(gptq, symmetric=False), {**GPTQ, "sym": False}),
}
NATIVE = {"gptq-int4": "int4", "gptq-int8": "int8", "gptq-v2": "int4", "gptq-32": "int4", "gptq-one-group": "int4"}


SHAPES: dict[str, dict[str, Any]] = {"dense": SIZES, "moe": MOE, "tied": {**SIZES, "tie_word_embeddings": True}}


@pytest.fixture(scope="module", params=SHAPES)
def folder(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return saved(tmp_path_factory.mktemp("full") / request.param, **SHAPES[request.param])


def saved(folder: Path, **shape: Any) -> Path:
    save(tiny_model(tiny_config(**shape)), folder)
    return folder


def expected_model(folder: Path, meant: dict[str, torch.Tensor]) -> Transformer:
    model = load(folder, "cpu", "float32")
    for name, tensor in tensor_table(model).items():
        tensor.copy_(meant[name])
    return model


def check_means(full: Path, quantised: Path, meant: dict[str, torch.Tensor]) -> None:
    """The values of its tensors, whole and in part, and the logits."""
    source = open_source(quantised)
    assert set(source.shapes) == set(meant)
    for tensor, shape in source.shapes.items():
        rows = source.rows(tensor, 0, shape[0])
        torch.testing.assert_close(rows.float(), meant[tensor].float(), rtol=1e-6, atol=1e-7)
        torch.testing.assert_close(source.rows(tensor, 3, 11), rows[3:11], rtol=0, atol=0)
    model, ids = load(quantised, "cpu", "float32"), random_ids(tiny_config(**SIZES))
    torch.testing.assert_close(model(ids), expected_model(full, meant)(ids), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("name", FORMATS)
def test_a_folder_means_what_its_format_defines(folder: Path, name: str, tmp_path: Path) -> None:
    writer, described = FORMATS[name]
    meant = rewrite(folder, tmp_path / "q", writer, described)
    check_means(folder, tmp_path / "q", meant)
    form = open_source(tmp_path / "q").format
    assert form.name == described["quant_method"] and 4 < form.bits < 33 and form.note


@pytest.mark.parametrize("name", NATIVE)
def test_the_kernels_take_symmetric_weights_as_they_are(folder: Path, name: str, tmp_path: Path) -> None:
    """No value changes on the way into the packed form, also where matrices share one."""
    writer, described = FORMATS[name]
    meant = rewrite(folder, tmp_path / "q", writer, described)
    source = open_source(tmp_path / "q")
    assert set(source.kinds.values()) == {NATIVE[name]}
    layer = "model.layers.0.self_attn"
    for names in ([f"{layer}.o_proj.weight"], [f"{layer}.{part}_proj.weight" for part in "qkv"]):
        rows, columns = sum(source.shapes[n][0] for n in names), source.shapes[names[0]][1]
        packed = PackedWeight.zeros(NATIVE[name], rows, columns)
        source.fill(names, packed)
        assert torch.equal(unpack(packed), torch.cat([meant[n] for n in names]))
    assert NativeModel.from_pretrained(tmp_path / "q").kind == "gptq"


def test_a_last_group_may_be_short(folder: Path, tmp_path: Path) -> None:
    """Packed forms have a scale for the same number of inputs everywhere, so nothing packs it as it is."""

    def writer(weight: torch.Tensor) -> Any:
        columns = weight.shape[1]
        tensors, meant = gptq(torch.nn.functional.pad(weight, (0, -columns % 96)), group=96)
        whole = {"qweight": tensors["qweight"][: columns // 8], "g_idx": tensors["g_idx"][:columns]}
        return tensors | whole, meant[:, :columns]

    meant = rewrite(folder, tmp_path / "q", writer, {**GPTQ, "group_size": 96})
    source = open_source(tmp_path / "q")
    assert not source.kinds
    name = "model.layers.0.self_attn.o_proj.weight"
    packed = PackedWeight.zeros("fp32", *source.shapes[name])
    source.fill([name], packed)
    torch.testing.assert_close(unpack(packed), meant[name])


def test_fp8_is_rounded_to_int8_on_the_cpu(folder: Path, tmp_path: Path) -> None:
    writer, described = FORMATS["fp8"]
    meant = rewrite(folder, tmp_path / "q", writer, described)
    source = open_source(tmp_path / "q")
    name = "model.layers.0.self_attn.o_proj.weight"
    packed = PackedWeight.zeros("int8", *source.shapes[name])
    source.fill([name], packed)
    error = (unpack(packed) - meant[name]).square().mean().sqrt() / meant[name].square().mean().sqrt()
    assert 0 < error < 0.01 and "rounded to int8" in source.format.note


def test_inputs_in_the_order_of_their_importance(folder: Path, tmp_path: Path) -> None:
    """desc_act: the group of an input stands in g_idx, and nothing packs it as it is."""

    def writer(weight: torch.Tensor) -> Any:
        order = torch.randperm(weight.shape[1], generator=torch.Generator().manual_seed(1))
        return gptq(weight, group=64, order=order)

    meant = rewrite(folder, tmp_path / "q", writer, {**GPTQ, "group_size": 64, "desc_act": True})
    source = open_source(tmp_path / "q")
    assert not source.kinds
    for name in meant:
        torch.testing.assert_close(source.rows(name, 0, source.shapes[name][0]).float(), meant[name].float())


def test_a_tied_fp8_folder_may_carry_the_head_as_well(tmp_path: Path) -> None:
    rewrite(saved(tmp_path / "full", **SHAPES["tied"]), tmp_path / "q", *FORMATS["fp8"])
    tensors = load_file(tmp_path / "q" / "model.safetensors")
    tensors["lm_head.weight"] = tensors["model.embed_tokens.weight"].clone()
    save_file(tensors, tmp_path / "q" / "model.safetensors")
    assert load(tmp_path / "q", "cpu", "float32").lm_head is None


def test_settings_in_a_file_of_their_own(folder: Path, tmp_path: Path) -> None:
    """As AutoGPTQ and AutoAWQ wrote them before config.json had them."""
    for name, (writer, described) in {"quantize_config.json": (gptq, GPTQ), "quant_config.json": (awq, AWQ)}.items():
        target = tmp_path / name
        meant = rewrite(folder, target, writer, described)
        config = json.loads((target / "config.json").read_text())
        (target / name).write_text(json.dumps({**config.pop("quantization_config"), "quant_method": None} | described))
        (target / "config.json").write_text(json.dumps(config))
        found = load(target, "cpu", "float32")
        assert torch.equal(tensor_table(found)["model.norm.weight"], meant["model.norm.weight"])


def test_a_model_in_memory_takes_the_values(folder: Path, tmp_path: Path) -> None:
    meant = rewrite(folder, tmp_path / "q", *FORMATS["awq"])
    model = load(folder, "cpu", "float32")
    fill_model(model, open_source(tmp_path / "q"))
    name = "model.layers.1.self_attn.v_proj.weight"
    torch.testing.assert_close(tensor_table(model)[name], meant[name])


@settings(max_examples=60, deadline=None)
@given(
    st.sampled_from(["awq", "gptq-4", "gptq-8", "gptq-v2"]),
    st.sampled_from([32, 64, 128]),
    st.integers(1, 5),
    st.integers(1, 3),
    st.booleans(),
    st.integers(0, 2**16),
)
def test_any_packing_is_read_as_it_was_written(
    tmp_path_factory: Any, kind: str, group: int, panels: int, groups: int, symmetric: bool, seed: int
) -> None:
    weight = torch.randn(16 * panels, group * groups, generator=torch.Generator().manual_seed(seed))
    bits = 8 if kind == "gptq-8" else 4
    if kind == "awq":
        tensors, meant = awq(weight, group, zero_point=not symmetric)
    else:
        tensors, meant = gptq(weight, bits, group, symmetric, 2 if kind == "gptq-v2" else 1)
    described: dict[str, Any] = {"bits": bits, "group_size": group, "sym": symmetric, "zero_point": not symmetric}
    described |= {"checkpoint_format": "gptq_v2"} if kind == "gptq-v2" else {}
    reader = reader_of(AwqFolder if kind == "awq" else GptqFolder, weight, tensors, described)
    first, last = 16 * (panels // 2), 16 * panels
    torch.testing.assert_close(reader.values("x.weight", first, last), meant[first:last], rtol=1e-6, atol=1e-7)
    torch.testing.assert_close(reader.parts("x.weight", first, last).floats(), meant[first:last], rtol=1e-6, atol=1e-7)


def reader_of(
    kind: type[QuantisedFolder], weight: torch.Tensor, tensors: dict[str, torch.Tensor], described: dict[str, Any]
) -> Any:
    """A reader of a matrix `x.weight` that stands for `weight`, in no folder."""
    reader: Any = object.__new__(kind)
    reader.folder, reader.shapes = Path("here"), {"x.weight": tuple(weight.shape)}
    reader.settings(described)
    reader.files = _Tensors({f"x.{name}": tensor for name, tensor in tensors.items()})
    return reader


class _Tensors:
    def __init__(self, tensors: dict[str, torch.Tensor]):
        self._tensors = tensors
        self.shapes = {name: tuple(tensor.shape) for name, tensor in tensors.items()}

    def read(self, name: str, *index: Any) -> torch.Tensor:
        return self._tensors[name][index]


# ---- what is wrong ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "changes", "told"),
    [
        ("fp8", {"weight_block_size": None}, "weight_block_size"),
        ("fp8", {"fmt": "e5m2"}, 'reads "e4m3"'),
        ("awq", {"bits": 3}, '"bits" is 3'),
        ("awq", {"group_size": 100}, "multiples of 32"),
        ("awq", {"version": "gemv"}, 'reads "gemm"'),
        ("awq", {"group_size": 64}, "has shape"),
        ("gptq-int4", {"bits": 2}, "4 or 8"),
        ("gptq-int4", {"bits": 8}, "has shape"),
        ("gptq-int4", {"checkpoint_format": "marlin"}, "gptq_v2"),
        ("gptq-asymmetric", {"sym": True}, "says sym"),
        ("gptq-int4", {"checkpoint_format": "gptq_v2"}, "says sym"),
    ],
)
def test_settings_that_do_not_fit_are_told_in_a_sentence(
    tmp_path: Path, name: str, changes: dict[str, Any], told: str
) -> None:
    writer, described = FORMATS[name]
    rewrite(saved(tmp_path / "full", **SIZES), tmp_path / "q", writer, {**described, **changes})
    check_told(tmp_path / "q", told)


def check_told(folder: Path, told: str) -> None:
    with pytest.raises(SansiError, match=told) as caught:
        NativeModel.from_pretrained(folder)
    assert "\n" not in str(caught.value) and len(str(caught.value)) < 500


FAULTS = ("a part is missing", "a tensor too many", "cut")


@pytest.mark.parametrize("name", ["fp8", "awq", "gptq-int4"])
@pytest.mark.parametrize("fault", FAULTS)
def test_damaged_folders_are_told(tmp_path: Path, name: str, fault: str) -> None:
    rewrite(saved(tmp_path / "full", **SIZES), tmp_path / "q", *FORMATS[name])
    check_damage_is_told(tmp_path / "q", fault, ("scales", "scale_inv"))


def check_damage_is_told(folder: Path, fault: str, endings: tuple[str, ...]) -> None:
    """endings: of the parts of which one is taken away."""
    file = folder / "model.safetensors"
    tensors = load_file(file)
    part = next(key for key in tensors if key.endswith(endings) and "layers.1" in key)
    if fault == "a part is missing":
        del tensors[part]
    tensors |= {"model.layers.9.mlp.up_proj.scales": torch.zeros(1)} if fault == "a tensor too many" else {}
    save_file(tensors, file)
    if fault == "cut":
        file.write_bytes(file.read_bytes()[:-1000])
    with pytest.raises(SansiError) as caught:
        load(folder, "cpu")
    expected = {"a part is missing": part.rpartition(".")[0], "a tensor too many": "layers.9", "cut": "damaged"}
    assert expected[fault] in str(caught.value)
