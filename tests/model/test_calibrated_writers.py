"""GPTQ, AWQ and compressed-tensors: what is written is what the formats define, and no output is further off for it."""

from __future__ import annotations

import re
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

import foreign_formats
import pytest
import torch
from foreign_formats import read_awq, read_gptq, read_packed, tensors_of
from hypothesis import given, settings
from hypothesis import strategies as st
from sansi.base.errors import SansiError
from sansi.model import Transformer, load
from sansi.model.formats.listening import Heard, listening
from sansi.model.formats.names import tensor_table
from sansi.model.formats.source import open_source
from sansi.model.formats.weights import ModelWeights, fill_model
from sansi.model.formats.writers import write_folder
from sansi.model.formats.writing.levels import (
    best_rows,
    compensated,
    nearest,
    output_error,
    plain_grid,
    symmetric_grid,
)
from sansi.model.formats.written import WrittenFolder
from sansi.model.native import NativeModel
from test_writers import MODELS, NANO, described, parts_of
from tiny_models import random_ids, tiny_config, tiny_model

FORMATS: dict[str, tuple[str, dict[str, Any]]] = {
    "awq": ("awq", {}),
    "awq-32": ("awq", {"group_size": 32}),
    "gptq-int4": ("gptq", {}),
    "gptq-int8": ("gptq", {"bits": 8, "group_size": 64}),
    "gptq-ordered": ("gptq", {"desc_act": True, "group_size": 32}),
    "gptq-one-group": ("gptq", {"group_size": -1}),
    "w4a16": ("compressed-tensors", {}),
    "w8a16": ("compressed-tensors", {"scheme": "W8A16", "group_size": 64}),
    "fp8": ("compressed-tensors", {"scheme": "FP8_DYNAMIC"}),
}
BOUNDS = {"awq": 0.2, "awq-32": 0.2, "gptq-int8": 0.02, "w8a16": 0.02, "fp8": 0.04}
"""Relative error of a tensor; rounding that has regard to inputs may move weights further than plain rounding does."""


def model_of(name: str, dtype: torch.dtype = torch.bfloat16, **more: Any) -> Transformer:
    return tiny_model(tiny_config(**{**MODELS[name], "num_hidden_layers": 2, **more})).to(dtype)


def text_of(model: Transformer, seed: int = 0) -> list[torch.Tensor]:
    return [random_ids(model.config, batch=2, tokens=40, seed=seed + n) for n in range(3)]


def written_as(name: str, model: Transformer, folder: Path, calibrated: bool = True) -> WrittenFolder:
    format, options = FORMATS[name]
    text = text_of(model) if calibrated and name != "fp8" else None
    return write_folder(model, folder, format, calibration=text, options=options)


def meaning_of(name: str, tensors: dict[str, torch.Tensor], stem: str) -> torch.Tensor:
    """Of a quantised matrix, by the format's definition."""
    parts = parts_of(tensors, stem)
    if name == "fp8":
        return parts["weight"].float() * parts["weight_scale"].float()
    bits = 8 if name in ("gptq-int8", "w8a16") else 4
    readers: dict[str, Any] = {"awq": read_awq, "gptq": partial(read_gptq, bits=bits)}
    return readers.get(FORMATS[name][0], partial(read_packed, bits=bits))(parts)


@torch.no_grad()
@pytest.mark.parametrize(
    ("name", "shape"), [(name, "moe") for name in ("awq", "gptq-int4", "w4a16")] + [(name, "qwen2") for name in FORMATS]
)
def test_what_is_written_is_what_the_format_defines(name: str, shape: str, tmp_path: Path) -> None:
    model = model_of(shape)
    written = written_as(name, model, tmp_path / "q")
    source, tensors = open_source(tmp_path / "q"), tensors_of(tmp_path / "q")
    assert source.format.name == FORMATS[name][0]
    assert [tensor.name for tensor in written.tensors] == list(source.shapes)
    quantised = [tensor for tensor in written.tensors if tensor.kind != "bf16"]
    kinds = {"fp8": "fp8", "w8a16": "int8", "gptq-int8": "int8"}
    assert {tensor.kind for tensor in quantised} == {kinds.get(name, "int4")}
    assert all(tensor.name.endswith("_proj.weight") for tensor in quantised)
    for tensor in quantised:
        meant = meaning_of(name, tensors, tensor.name.removesuffix("weight"))
        torch.testing.assert_close(source.rows(tensor.name, 0, len(meant)), meant, rtol=1e-6, atol=1e-7)
        assert 0 < tensor.error < BOUNDS.get(name, 0.3)
    assert written.nbytes == sum(t.nbytes for t in tensors.values())
    model_, ids = Transformer(model.config), random_ids(model.config, seed=9)
    fill_model(model_, ModelWeights(model))
    expected, found = model_(ids), load(tmp_path / "q", "cpu", "float32")(ids)
    assert (found - expected).norm() < 0.6 * expected.norm()


def test_what_is_written_is_computed_with_as_it_is(tmp_path: Path) -> None:
    kinds = {"awq": "int4a/4", "gptq-int4": "int4", "gptq-int8": "int8", "gptq-ordered": None, "w4a16": "int4"}
    for name, kind in kinds.items():
        written_as(name, model_of("tied", num_hidden_layers=1), tmp_path / name)
        source = open_source(tmp_path / name)
        assert set(source.kinds.values()) == ({kind} if kind else set())
        assert NativeModel.from_pretrained(tmp_path / name).kind == (FORMATS[name][0] if kind else None)


# ---- the outputs -----------------------------------------------------------------------------------------------------


def correlated(rows: int, columns: int, seed: int, dead: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    """Weights, and inputs as they come in models: they go together, a few are large, some are silent."""
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(300, columns // 4, generator=generator) @ torch.randn(columns // 4, columns, generator=generator)
    x += torch.randn(x.shape, generator=generator)
    x[:, torch.randperm(columns, generator=generator)[:3]] *= 20
    x[:, torch.randperm(columns, generator=generator)[:dead]] = 0
    return torch.randn(rows, columns, generator=generator), x


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**16), st.sampled_from([0, 1, 40, 128]), st.sampled_from([4, 8]), st.sampled_from([32, 64, 128]))
def test_no_row_is_further_off_than_by_plain_rounding(seed: int, dead: int, bits: int, group: int) -> None:
    weight, x = correlated(16, 128, seed, dead)
    weight[3], weight[5, :64] = 0, 1e-7
    moments, group_of = x.T @ x, torch.arange(128) // group
    dtypes = (torch.float16, torch.bfloat16)
    plain = nearest(weight, plain_grid(weight, bits, group_of, dtypes))
    grid = symmetric_grid(weight, bits, group_of, dtypes, moments.diagonal().clamp(min=1e-3))
    found = compensated(weight, grid, moments)
    if dead == 128:
        assert found is None
        return
    assert found is not None and found.floats().isfinite().all()
    best = best_rows(weight, [plain, found], moments)
    slack = 1e-6 * (weight @ x.T).square().sum()
    assert (output_error(weight, best.levels, moments) <= output_error(weight, plain, moments) + slack).all()
    ours = ((found.floats() - weight) @ x.T).square().sum()
    theirs = ((plain.floats() - weight) @ x.T).square().sum()
    assert ours < 0.7 * theirs


def test_silent_inputs_keep_their_weights() -> None:
    """A text that never uses an input says nothing of what another text makes of it."""
    weight, x = correlated(16, 128, seed=3, dead=40)
    moments = x.T @ x
    grid = symmetric_grid(weight, 4, torch.arange(128) // 64, (torch.float16,))
    found = compensated(weight, grid, moments)
    assert found is not None
    silent = moments.diagonal() == 0
    assert silent.sum() == 40
    torch.testing.assert_close(found.floats()[:, silent], nearest(weight, grid).floats()[:, silent], rtol=0, atol=0)


def test_moments_of_less_tokens_than_inputs_are_enough() -> None:
    weight, x = correlated(16, 128, seed=4)
    for tokens in (1, 5):
        found = compensated(
            weight, symmetric_grid(weight, 4, torch.arange(128) // 64, (torch.float16,)), x[:tokens].T @ x[:tokens]
        )
        assert found is not None and (found.floats() - weight).norm() < 0.3 * weight.norm()


@lru_cache
def nano() -> Transformer:
    return load(NANO, "cpu", "float32")


@lru_cache
@torch.no_grad()
def nano_text(rows: int, seed: int) -> torch.Tensor:
    """What the model itself says."""
    full = nano()
    generator = torch.Generator().manual_seed(seed)
    ids = torch.randint(0, full.config.vocab_size, (rows, 1), generator=generator)
    for _ in range(39):
        ids = torch.cat([ids, torch.multinomial(full(ids)[:, -1].softmax(-1), 1, generator=generator)], 1)
    return ids


@torch.no_grad()
def test_trained_weights_lose_less_than_by_plain_rounding(tmp_path: Path) -> None:
    """Of each matrix, by its outputs for a text that it was not calibrated on; and of the whole model."""
    full = nano()
    text, other = nano_text(16, seed=1), nano_text(8, seed=2)
    losses = {}
    for name, format in (("gptq", "gptq"), ("awq", "awq"), ("plain", "compressed-tensors")):
        write_folder(full, tmp_path / name, format, calibration=None if name == "plain" else [text[:8], text[8:]])
        losses[name] = divergence(full, load(tmp_path / name, "cpu", "float32"), other)
    assert losses["gptq"] < 0.6 * losses["plain"] and losses["awq"] < 0.8 * losses["plain"]


def divergence(full: Transformer, other: Transformer, ids: torch.Tensor) -> float:
    expected, found = (model(ids).log_softmax(-1) for model in (full, other))
    return (expected.exp() * (expected - found)).sum(-1).mean().item()


@torch.no_grad()
@pytest.mark.parametrize("format", ["gptq", "awq"])
def test_no_matrix_of_trained_weights_is_further_off(format: str, tmp_path: Path) -> None:
    """The first layer, whose inputs are those of the full model; AWQ's scales are taken out again."""
    full = Transformer(nano().config.replace(num_hidden_layers=1))
    fill_model(full, ModelWeights(nano()))
    text = nano_text(16, seed=1)
    inputs: dict[str, torch.Tensor] = {}

    def hear(heard: Heard) -> None:
        inputs.update(dict.fromkeys(heard.names, heard.inputs))

    with listening(full, hear):
        full(text)
    write_folder(full, tmp_path / "q", format, calibration=[text])
    source, table = open_source(tmp_path / "q"), tensor_table(full)
    stem, total = "model.layers.0.", {"ours": 0.0, "plain": 0.0}
    norm = table[f"{stem}input_layernorm.weight"] / source.rows(f"{stem}input_layernorm.weight", 0, 128)
    for kind in "qkv":
        name = f"{stem}self_attn.{kind}_proj.weight"
        weight, ours = table[name], source.rows(name, 0, len(table[name])) / norm
        if kind == "v" and format == "awq":  # its rows are scaled, for the matrix after it
            scale = (ours * weight).sum(1, keepdim=True) / ours.square().sum(1, keepdim=True)
            ours = ours * scale
        plain = foreign_formats.awq(weight)[1] if format == "awq" else foreign_formats.gptq(weight)[1]
        for who, values in (("ours", ours), ("plain", plain)):
            total[who] += ((values - weight) @ inputs[name].T).square().sum().item()
        if format == "gptq":
            error = [((values - weight) @ inputs[name].T).square().sum(1) for values in (ours, plain)]
            assert (error[0] <= error[1] * 1.001 + 1e-6).all()
    assert total["ours"] < 0.9 * total["plain"]


# ---- experts ---------------------------------------------------------------------------------------------------------


@torch.no_grad()
@pytest.mark.parametrize("name", ["awq", "gptq-int4", "w4a16"])
def test_experts_without_a_token_are_flagged_and_rounded_plainly(name: str, tmp_path: Path) -> None:
    model = model_of("moe", torch.float32, num_experts=16, num_experts_per_tok=1)
    format, options = FORMATS[name]
    ids = random_ids(model.config, batch=1, tokens=8)
    written = write_folder(model, tmp_path / "q", format, calibration=[ids], options=options)
    assert sum(written.coverage.values()) == 8 and len(written.coverage) == 16 and len(written.unseen) >= 8
    assert set(written.unseen) == {expert for expert, count in written.coverage.items() if not count}
    errors = {tensor.name: tensor.error for tensor in written.tensors}
    for expert in written.unseen:
        for kind in ("gate", "up", "down"):
            assert 0 < errors[f"{expert}.{kind}_proj.weight"] < (0.3 if name == "awq" else 0.12)


@torch.no_grad()
def test_an_expert_of_few_tokens_hears_those_that_were_near(tmp_path: Path) -> None:
    model = model_of("moe", torch.float32)
    heard: list[Heard] = []
    ids = random_ids(model.config, batch=1, tokens=12)
    with listening(model, heard.append, least=9):
        model(ids)
    downs = [one for one in heard if one.names[0].endswith("down_proj.weight") and "experts" in one.names[0]]
    assert len(downs) == 4 and all(len(one.inputs) == max(9, one.tokens) for one in downs)
    assert sum(one.tokens for one in downs) == 12 * 2


# ---- what is said of them --------------------------------------------------------------------------------------------


def test_config_json_says_what_programs_look_for(tmp_path: Path) -> None:
    model = model_of("moe", num_hidden_layers=1, mlp_only_layers=[], num_experts=2)
    for name in ("awq", "gptq-int4", "gptq-ordered", "w4a16", "fp8"):
        written_as(name, model, tmp_path / name)
    routers = ["model.layers.0.mlp.gate"]
    assert described(tmp_path / "awq") == {
        **{"quant_method": "awq", "bits": 4, "group_size": 128, "zero_point": True, "version": "gemm"},
        "modules_to_not_convert": routers,
    }
    gptq = described(tmp_path / "gptq-int4")
    assert {key: value for key, value in gptq.items() if key != "meta"} == {
        **{"quant_method": "gptq", "bits": 4, "group_size": 128, "desc_act": False, "sym": True, "lm_head": False},
        **{"checkpoint_format": "gptq", "pack_dtype": "int32", "dynamic": {r"-:.*\.mlp\.gate$": {}}},
    }
    assert gptq["meta"]["damp_percent"] == 0.01 and gptq["meta"]["quantizer"][0].startswith("sansi:")
    assert described(tmp_path / "gptq-ordered")["desc_act"] is True
    packed = described(tmp_path / "w4a16")
    assert packed["format"] == "pack-quantized" and packed["ignore"] == ["lm_head", *routers]
    (group,) = packed["config_groups"].values()
    assert group["targets"] == ["Linear"] and group["input_activations"] is None
    wanted = {"num_bits": 4, "type": "int", "strategy": "group", "group_size": 128, "symmetric": True, "dynamic": False}
    assert wanted.items() <= group["weights"].items()
    fp8 = described(tmp_path / "fp8")
    (group,) = fp8["config_groups"].values()
    assert fp8["format"] == "float-quantized" and group["weights"]["strategy"] == "channel"
    assert {"strategy": "token", "dynamic": True, "num_bits": 8, "type": "float"}.items() <= group[
        "input_activations"
    ].items()


def test_zero_points_of_gptq_are_stored_less_one(tmp_path: Path) -> None:
    for name, word in (("gptq-int4", 0x77777777), ("gptq-int8", 0x7F7F7F7F)):
        written_as(name, model_of("tied", num_hidden_layers=1), tmp_path / name)
        tensors = tensors_of(tmp_path / name)
        zeros = {int(value) for key, t in tensors.items() if key.endswith("qzeros") for value in t.unique()}
        assert zeros == {word}
        index = tensors["model.layers.0.mlp.down_proj.g_idx"]
        assert torch.equal(index, torch.arange(256, dtype=torch.int32) // (128 if name == "gptq-int4" else 64))


def test_scales_are_exact_in_the_models_dtype_too(tmp_path: Path) -> None:
    """Programs that compute in bfloat16 make their scales bfloat16."""
    for name in ("awq", "gptq-int4"):
        written_as(name, model_of("tied", num_hidden_layers=1), tmp_path / name)
        scales = [t for key, t in tensors_of(tmp_path / name).items() if key.endswith("scales")]
        assert scales and all(t.dtype == torch.float16 and torch.equal(t.bfloat16().half(), t) for t in scales)


def test_matrices_that_groups_do_not_fit_are_left_and_named(tmp_path: Path) -> None:
    model = model_of("tied", torch.float32, intermediate_size=192)
    for name in ("awq", "gptq-int4", "w4a16"):
        format = FORMATS[name][0]
        written = write_folder(model, tmp_path / name, format, calibration=text_of(model), options={"group_size": 128})
        assert [t.name for t in written.tensors if t.kind == "fp32" and "_proj" in t.name] == [
            f"model.layers.{n}.mlp.down_proj.weight" for n in range(2)
        ]
        open_source(tmp_path / name)
    left = [f"model.layers.{n}.mlp.down_proj" for n in range(2)]
    assert described(tmp_path / "awq")["modules_to_not_convert"] == left
    assert described(tmp_path / "w4a16")["ignore"] == ["lm_head", *left]
    patterns = [key.removeprefix("-:") for key in described(tmp_path / "gptq-int4")["dynamic"]]
    assert all(any(re.match(pattern, name) for pattern in patterns) for name in left)
    assert not any(re.match(pattern, "model.layers.1.mlp.gate_up_proj") for pattern in patterns)


def test_groups_are_as_large_as_the_model_has_room_for(tmp_path: Path) -> None:
    """SmolLM2 has 576 inputs, which groups of 128 do not fit."""
    for hidden, group in ((128, 128), (192, 64), (96, 32)):
        model = model_of("tied", torch.float32, num_hidden_layers=1, hidden_size=hidden, intermediate_size=hidden)
        written = write_folder(model, tmp_path / f"{hidden}", "awq", calibration=text_of(model))
        assert described(tmp_path / f"{hidden}")["group_size"] == group
        assert all(tensor.kind == "int4" for tensor in written.tensors if "_proj" in tensor.name)
        write_folder(model, tmp_path / f"mlx{hidden}", "mlx")
        assert described(tmp_path / f"mlx{hidden}")["group_size"] == min(group, 64)


# ---- what is wrong ---------------------------------------------------------------------------------------------------


def test_what_can_not_be_asked_for_is_told(tmp_path: Path) -> None:
    model, ids = model_of("tied"), random_ids(tiny_config(**MODELS["tied"]))
    text: list[Any] = [ids]
    wrong: list[tuple[str, Any, dict[str, Any], str]] = [
        ("awq", None, {}, "awq is rounded by what a text makes of the model; give one"),
        ("gptq", [], {}, "there is no text to calibrate on"),
        ("gptq", [ids.float()], {}, "a batch of the calibration must be ids [B, T]"),
        ("gptq", [ids[0]], {}, "a batch of the calibration must be ids [B, T]"),
        ("gptq", [ids + 90], {}, "and the model's vocabulary has 97"),
        ("awq", [ids.repeat(1, 4)], {}, "160 tokens in a row, and the model's context is 128"),
        ("gptq", text, {"bits": 3}, '"bits" must be one of 4, 8, not 3'),
        ("gptq", text, {"group_size": 100}, '"group_size" must be one of'),
        ("gptq", text, {"damp_percent": 0.0}, '"damp_percent" must lie between 0 and 1'),
        ("gptq", text, {"desc_act": True, "group_size": -1}, "leave one of them out"),
        ("awq", text, {"group_size": 16}, '"group_size" must be one of 32, 64, 128, not 16'),
        ("compressed-tensors", text, {"scheme": "W4A8"}, 'unknown "scheme" "W4A8"'),
        ("compressed-tensors", text, {"scheme": "FP8_DYNAMIC"}, "FP8_DYNAMIC has no use for a calibration"),
        ("compressed-tensors", None, {"scheme": "FP8_DYNAMIC", "group_size": 64}, '"group_size" is for whole numbers'),
    ]
    for format, calibration, options, told in wrong:
        with pytest.raises(SansiError, match=re.escape(told)):
            write_folder(model, tmp_path / "q", format, calibration=calibration, options=options)
    small = tiny_model(tiny_config(head_dim=12))
    with pytest.raises(SansiError, match="no matrix of the model has room for the groups of awq"):
        write_folder(small, tmp_path / "q", "awq", calibration=[ids])
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("format", ["gptq", "awq"])
def test_damaged_weights_are_named(format: str, tmp_path: Path) -> None:
    model = model_of("tied", torch.float32)
    model.get_parameter("model.layers.1.self_attn.k_proj.weight").data[3, 5] = float("nan")
    with pytest.raises(SansiError, match=r"layers\.1\.self_attn\.k_proj\.weight: a weight is not finite"):
        write_folder(model, tmp_path / "q", format, calibration=text_of(model))
    model = model_of("tied", torch.float32)
    model.get_parameter("model.layers.1.mlp.up_proj.weight").data.fill_(1e38)
    with pytest.raises(SansiError, match=r"layers\.\d\.\w+\.\w+_proj\.weight: (what comes in|a weight is too large)"):
        write_folder(model, tmp_path / "q", format, calibration=text_of(model))
    assert list(tmp_path.iterdir()) == []


# ---- other readers ---------------------------------------------------------------------------------------------------


@pytest.mark.slow
@torch.no_grad()
@pytest.mark.parametrize("name", ["w4a16", "w8a16"])
def test_transformers_computes_the_same_with_compressed_tensors(name: str, tmp_path: Path) -> None:
    """By the program whose format it is. (Inputs of FP8_DYNAMIC it rounds too.)"""
    pytest.importorskip("compressed_tensors", reason="compressed-tensors is not installed")
    from transformers import AutoModelForCausalLM

    model = model_of("tied")
    written_as(name, model, tmp_path / "q")
    ids, other = random_ids(model.config), AutoModelForCausalLM.from_pretrained(tmp_path / "q", dtype=torch.float32)
    ours = load(tmp_path / "q", "cpu", "float32")(ids)
    assert (other.eval()(ids).logits - ours).norm() < 1e-4 * ours.norm()


@pytest.mark.slow
def test_compressed_tensors_takes_its_settings(tmp_path: Path) -> None:
    quantization = pytest.importorskip("compressed_tensors.quantization", reason="compressed-tensors is not installed")
    for name in ("w4a16", "w8a16", "fp8"):
        written_as(name, model_of("tied", num_hidden_layers=1), tmp_path / name, calibrated=False)
        said = described(tmp_path / name)
        read = quantization.QuantizationConfig.model_validate(said)
        assert read.format == said["format"] and read.config_groups["group_0"].weights.num_bits == (
            8 if name != "w4a16" else 4
        )
