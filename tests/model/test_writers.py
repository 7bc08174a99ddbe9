"""Folders in other programs' formats: what is written means to Sansi, and by definition, what was rounded."""

from __future__ import annotations

import errno
import json
import re
from pathlib import Path
from typing import Any

import pytest
import torch
from foreign_formats import mlx, read_fp8, read_mlx, tensors_of
from sansi.base.errors import SansiError
from sansi.model import ModelBundle, Transformer, load, save
from sansi.model.formats.names import tensor_table
from sansi.model.formats.source import open_source
from sansi.model.formats.weights import ModelWeights, fill_model
from sansi.model.formats.writers import WRITERS, write_folder
from sansi.model.formats.writing.mlx import affine
from sansi.model.formats.written import WrittenFolder
from test_foreign_formats import MOE, SIZES
from tiny_models import NEIGHBOURS, random_ids, tiny_config, tiny_model

MODELS: dict[str, dict[str, Any]] = {
    "dense": SIZES,
    "moe": {**MOE, "mlp_only_layers": [1]},
    "tied": {**SIZES, "tie_word_embeddings": True},
    "qwen2": {**SIZES, **NEIGHBOURS["qwen2"]},
}
NANO = Path(__file__).parents[2] / "checkpoints" / "nano"
BUNDLE = ModelBundle({"generation_config.json": b'{"eos_token_id": [3, 5], "temperature": 0.6}'})
BOUNDS = {"fp8": 0.04, "mlx": 0.12, "hf": 0.0}
"""Largest relative error of a tensor, of weights that are normal."""
PLAIN = ("hf", "fp8", "mlx")


def model_of(name: str, dtype: torch.dtype = torch.bfloat16) -> Transformer:
    return tiny_model(tiny_config(**MODELS[name])).to(dtype)


def parts_of(tensors: dict[str, torch.Tensor], stem: str) -> dict[str, torch.Tensor]:
    return {name.removeprefix(stem): t for name, t in tensors.items() if name.startswith(stem)}


def described(folder: Path) -> Any:
    return json.loads((folder / "config.json").read_text())["quantization_config"]


def check_read_back(model: Transformer, written: WrittenFolder, format: str) -> None:
    """By our reader: the values, the errors that were told, the logits."""
    source, table = open_source(written.folder), tensor_table(model)
    assert [tensor.name for tensor in written.tensors] == list(source.shapes) == list(table)
    for tensor in written.tensors:
        full = table[tensor.name].float()
        rows = source.rows(tensor.name, 0, len(full)).float()
        assert (rows - full).norm().item() == pytest.approx(tensor.error * full.norm().item(), rel=1e-3, abs=1e-5)
        assert tensor.error <= (BOUNDS[format] if tensor.kind not in ("bf16", "fp16", "fp32") else 0.0)
    ids, full_model = random_ids(model.config), Transformer(model.config)
    fill_model(full_model, ModelWeights(model))
    expected, found = full_model(ids), load(written.folder, "cpu", "float32")(ids)
    assert (found - expected).norm() <= {"hf": 0.0, "fp8": 0.2, "mlx": 0.5}[format] * expected.norm()
    if format == "hf":
        torch.testing.assert_close(found, expected, rtol=0, atol=0)


@torch.no_grad()
@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("format", PLAIN)
def test_what_is_written_is_read_back(format: str, name: str, tmp_path: Path) -> None:
    model = model_of(name)
    written = write_folder(model, tmp_path / "q", format, BUNDLE)
    check_read_back(model, written, format)
    config = json.loads((tmp_path / "q" / "config.json").read_text())
    assert config["eos_token_id"] == 3 and config["torch_dtype"] == "bfloat16"
    assert (tmp_path / "q" / "generation_config.json").read_bytes() == BUNDLE.files["generation_config.json"]
    stored = sum(t.nbytes for t in tensors_of(tmp_path / "q").values())
    assert written.nbytes == stored and written.format == format and not written.coverage
    assert written.bits == pytest.approx(8 * stored / model.config.num_parameters())


def test_fp8_is_as_its_definition_reads_it(tmp_path: Path) -> None:
    written = write_folder(model_of("moe"), tmp_path / "q", "fp8")
    tensors, source = tensors_of(tmp_path / "q"), open_source(tmp_path / "q")
    stored = [t.name for t in written.tensors if t.kind == "fp8"]
    assert {re.sub(r"\d+", "N", name) for name in stored} == {
        *(f"model.layers.N.self_attn.{part}_proj.weight" for part in "qkvo"),
        *(f"model.layers.N.mlp.{part}_proj.weight" for part in ("gate", "up", "down")),
        *(f"model.layers.N.mlp.experts.N.{part}_proj.weight" for part in ("gate", "up", "down")),
    }
    for name in stored:
        meant = read_fp8(parts_of(tensors, name.removesuffix("weight")))
        torch.testing.assert_close(source.rows(name, 0, len(meant)), meant, rtol=0, atol=0)
    scale = tensors["model.layers.0.self_attn.q_proj.weight_scale_inv"]
    assert scale.dtype == torch.float32 and scale.shape == (1, 1)


def test_fp8_is_described_as_the_official_folders_are(tmp_path: Path) -> None:
    own = {"activation_scheme": "dynamic", "fmt": "e4m3", "quant_method": "fp8", "weight_block_size": [128, 128]}
    write_folder(model_of("tied"), tmp_path / "dense", "fp8")
    write_folder(model_of("moe"), tmp_path / "moe", "fp8")
    assert described(tmp_path / "dense") == own
    full = described(tmp_path / "moe").pop("modules_to_not_convert")
    parts = ("input_layernorm", "mlp.gate", "post_attention_layernorm")
    assert full == ["lm_head", *(f"model.layers.{n}.{part}" for n in (0, 2) for part in parts)]
    assert "lm_head.weight" not in tensors_of(tmp_path / "dense")


@pytest.mark.parametrize("bits", [4, 8])
def test_mlx_is_as_its_definition_reads_it(bits: int, tmp_path: Path) -> None:
    written = write_folder(model_of("moe"), tmp_path / "q", "mlx", options={"bits": bits})
    tensors, source = tensors_of(tmp_path / "q"), open_source(tmp_path / "q")
    assert {t.kind for t in written.tensors if "norm" not in t.name} == {f"int{bits}", "int8"}
    for name in ("model.embed_tokens.weight", "lm_head.weight", "model.layers.0.self_attn.v_proj.weight"):
        meant = read_mlx(parts_of(tensors, name.removesuffix("weight")), bits)
        torch.testing.assert_close(source.rows(name, 0, len(meant)), meant, rtol=0, atol=0)
    stacked = parts_of(tensors, "model.layers.2.mlp.switch_mlp.down_proj.")
    assert {part: t.shape[0] for part, t in stacked.items()} == {"weight": 4, "scales": 4, "biases": 4}
    for expert in range(4):
        name = f"model.layers.2.mlp.experts.{expert}.down_proj.weight"
        meant = read_mlx({part: t[expert] for part, t in stacked.items()}, bits)
        torch.testing.assert_close(source.rows(name, 0, len(meant)), meant, rtol=0, atol=0)
    router = parts_of(tensors, "model.layers.2.mlp.gate.")
    torch.testing.assert_close(source.rows("model.layers.2.mlp.gate.weight", 0, 4), read_mlx(router, 8))


def test_mlx_is_described_as_its_own_program_does(tmp_path: Path) -> None:
    write_folder(model_of("moe"), tmp_path / "q", "mlx", options={"shard_bytes": 200_000})
    config = json.loads((tmp_path / "q" / "config.json").read_text())
    router = {"group_size": 64, "bits": 8}
    own = {f"model.layers.{n}.mlp.gate": router for n in (0, 2)}
    assert config["quantization"] == {"group_size": 64, "bits": 4, "mode": "affine", **own}
    assert config["quantization_config"] == config["quantization"]
    index = json.loads((tmp_path / "q" / "model.safetensors.index.json").read_text())
    assert index["metadata"]["total_parameters"] == open_source(tmp_path / "q").config.num_parameters()
    assert index["metadata"]["total_size"] == sum(t.nbytes for t in tensors_of(tmp_path / "q").values())


def test_mlx_is_told_how_calls_are_written(tmp_path: Path) -> None:
    """mlx-lm 0.32 parses calls where the template has words of Qwen's own, or where the settings name a parser."""
    written = write_folder(load(NANO), tmp_path / "mlx", "mlx", ModelBundle.from_folder(NANO))
    said, before = (json.loads((folder / "tokenizer_config.json").read_text()) for folder in (written.folder, NANO))
    assert said == {**before, "tool_parser_type": "json_tools"}
    xml = {"chat_template": before["chat_template"].replace('<tool_call>\\n{"name": ', "<tool_call>\\n<function=")}
    bundle = ModelBundle.from_folder(NANO).with_files({"tokenizer_config.json": json.dumps(xml).encode()})
    other = write_folder(load(NANO), tmp_path / "xml", "mlx", bundle).folder
    assert "tool_parser_type" not in json.loads((other / "tokenizer_config.json").read_text())


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float32])
@pytest.mark.parametrize("bits", [4, 8])
def test_groups_of_mlx_are_no_worse_than_those_of_a_plain_rounding(bits: int, dtype: torch.dtype) -> None:
    x = torch.randn(64, 128, generator=torch.Generator().manual_seed(bits))
    _, plain = mlx(x, bits, 64, dtype)
    fit = affine(x.view(-1, 64), bits, dtype)
    q = ((x.view(-1, 64) - fit.low) / fit.scale).round().clamp(0, 2**bits - 1)
    assert (x - (q * fit.scale + fit.low).view_as(x)).norm() <= (x - plain).norm()
    for edge in (torch.zeros(2, 64), torch.full((1, 64), -3.0), torch.full((1, 64), 1e-30)):
        flat = affine(edge, bits, dtype)
        assert flat.scale.isfinite().all() and (flat.low - edge).abs().max() <= 0.01 * edge.abs().max() + 1e-7


@pytest.mark.parametrize("format", PLAIN)
def test_large_models_are_cut_and_matrices_that_do_not_fit_stay(format: str, tmp_path: Path) -> None:
    model = tiny_model(tiny_config(num_experts=6, num_experts_per_tok=2, moe_intermediate_size=24))
    written = write_folder(model, tmp_path / "q", format, options={"shard_bytes": 30_000, "dtype": "float16"})
    assert len(list((tmp_path / "q").glob("model-*-of-*.safetensors"))) > 3
    source = open_source(tmp_path / "q")
    for tensor in written.tensors:
        full = tensor_table(model)[tensor.name]
        assert (source.rows(tensor.name, 0, len(full)) - full).norm() <= (BOUNDS[format] + 0.001) * full.norm()
    assert {t.kind for t in written.tensors} == {"hf": {"fp16"}, "fp8": {"fp8", "fp16"}, "mlx": {"int4", "fp16"}}[
        format
    ]


def test_any_source_can_be_written(tmp_path: Path) -> None:
    """From a quantised folder the floats are what it means, in bfloat16."""
    model = model_of("dense")
    write_folder(model, tmp_path / "mlx", "mlx", options={"bits": 8})
    write_folder(open_source(tmp_path / "mlx"), tmp_path / "hf", "hf")
    write_folder(open_source(tmp_path / "hf"), tmp_path / "fp8", "fp8", options={"dtype": "float32"})
    full, back = tensor_table(load(tmp_path / "mlx", "cpu", "float32")), tensors_of(tmp_path / "hf")
    for name, tensor in back.items():
        torch.testing.assert_close(tensor, full[name].bfloat16(), rtol=0, atol=0)
    assert tensors_of(tmp_path / "fp8")["model.norm.weight"].dtype == torch.float32


def test_more_keys_and_files_go_along(tmp_path: Path) -> None:
    extra = {"_note": {"of": "us"}, "sansi_receipt.json": b"{}"}
    steps: list[int] = []
    written = write_folder(model_of("tied"), tmp_path / "q", "hf", extra=extra, progress=steps.append)
    assert json.loads((tmp_path / "q" / "config.json").read_text())["_note"] == {"of": "us"}
    assert (tmp_path / "q" / "sansi_receipt.json").read_bytes() == b"{}"
    assert steps == sorted(steps) and steps[-1] == written.nbytes
    with pytest.raises(SansiError, match="hidden_size"):
        write_folder(model_of("tied"), tmp_path / "r", "hf", extra={"hidden_size": 3})


# ---- what is wrong ---------------------------------------------------------------------------------------------------


def test_what_can_not_be_asked_for_is_told(tmp_path: Path) -> None:
    model = model_of("tied")
    wrong: list[tuple[str, dict[str, Any], str]] = [
        ("fp9", {}, 'unknown format "fp9"; did you mean "fp8"'),
        ("fp8", {"bits": 4}, 'unknown key "bits"'),
        ("mlx", {"bits": 3}, '"bits" must be one of 4, 8, not 3'),
        ("mlx", {"group_size": 48}, '"group_size" must be one of 32, 64, 128, not 48'),
        ("hf", {"dtype": "int8"}, '"dtype" must be one of'),
        ("hf", {"shard_bytes": 0}, '"shard_bytes" must be at least 1'),
    ]
    for format, options, told in wrong:
        with pytest.raises(SansiError, match=re.escape(told)):
            write_folder(model, tmp_path / "q", format, options=options)
    with pytest.raises(SansiError, match="fp8 has no use for a calibration"):
        write_folder(model, tmp_path / "q", "fp8", calibration=[torch.zeros(1, 4, dtype=torch.long)])
    assert not (tmp_path / "q").exists()


def test_folders_that_are_there_are_not_replaced_unasked(tmp_path: Path) -> None:
    model = model_of("tied")
    save(model, tmp_path / "full")
    write_folder(model, tmp_path / "q", "fp8")
    with pytest.raises(SansiError, match="is there already"):
        write_folder(model, tmp_path / "q", "fp8")
    write_folder(model, tmp_path / "q", "fp8", overwrite=True)
    with pytest.raises(SansiError, match="holds full weights"):
        write_folder(open_source(tmp_path / "full"), tmp_path / "full", "fp8", overwrite=True)
    (tmp_path / "q" / "mine.txt").write_text("mine")
    with pytest.raises(SansiError, match=r"mine\.txt"):
        write_folder(model, tmp_path / "q", "fp8", overwrite=True)
    (tmp_path / "file").write_text("")
    with pytest.raises(SansiError, match="is a file"):
        write_folder(model, tmp_path / "file", "fp8", overwrite=True)


@pytest.mark.parametrize("format", PLAIN)
def test_weights_that_no_format_holds_are_named(format: str, tmp_path: Path) -> None:
    model = model_of("tied", torch.float32)
    weight = model.get_parameter("model.layers.1.self_attn.k_proj.weight")
    weight.data[3, 5] = float("nan")
    with pytest.raises(SansiError, match=r"layers\.1\.self_attn\.k_proj\.weight: a weight is not finite"):
        write_folder(model, tmp_path / "q", format)
    weight.data[3, 5] = 1e9
    if format != "fp8":
        with pytest.raises(SansiError, match=r"layers\.1\.self_attn\.k_proj\.weight: a weight is too large for fp16"):
            write_folder(model, tmp_path / "q", format, options={"dtype": "float16"})
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_and_a_stop_leave_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def stop(done: int) -> None:
        raise KeyboardInterrupt

    def full(done: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with pytest.raises(KeyboardInterrupt):
        write_folder(model_of("tied"), tmp_path / "q", "hf", progress=stop)
    with pytest.raises(SansiError, match=r"No space left on device.*make room"):
        write_folder(model_of("tied"), tmp_path / "q", "hf", progress=full)
    monkeypatch.setattr("shutil.disk_usage", lambda path: type("Usage", (), {"free": 10})())
    with pytest.raises(SansiError, match="are free there; make room"):
        write_folder(model_of("tied"), tmp_path / "q", "hf")
    assert list(tmp_path.iterdir()) == []


def test_every_format_has_a_writer() -> None:
    assert set(WRITERS) == {*PLAIN, "awq", "gptq", "compressed-tensors"}
    assert {name: kind.calibrated for name, kind in WRITERS.items() if kind.calibrated != "never"} == {
        **{"awq": "needed", "gptq": "needed", "compressed-tensors": "optional"}
    }


# ---- other readers ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("bits", [4, 8])
def test_mlx_itself_reads_what_is_written(bits: int, tmp_path: Path) -> None:
    mx = pytest.importorskip("mlx.core", reason="mlx and mlx-cpu are not installed")
    write_folder(model_of("tied"), tmp_path / "q", "mlx", options={"bits": bits})
    tensors, source = mx.load(str(tmp_path / "q" / "model.safetensors")), open_source(tmp_path / "q")
    for name in ("model.embed_tokens.weight", "model.layers.1.mlp.down_proj.weight"):
        stem = name.removesuffix("weight")
        parts = [tensors[f"{stem}{part}"] for part in ("weight", "scales", "biases")]
        wide = [parts[0], *(part.astype(mx.float32) for part in parts[1:])]
        meant = torch.tensor(mx.dequantize(*wide, group_size=64, bits=bits).tolist())
        torch.testing.assert_close(source.rows(name, 0, len(meant)), meant, rtol=1e-6, atol=1e-6)


def test_groups_are_no_worse_than_those_of_mlx_itself() -> None:
    mx = pytest.importorskip("mlx.core", reason="mlx and mlx-cpu are not installed")
    x = torch.randn(32, 256, generator=torch.Generator().manual_seed(0))
    for bits in (4, 8):
        theirs = mx.dequantize(*mx.quantize(mx.array(x.tolist()), group_size=64, bits=bits), group_size=64, bits=bits)
        fit = affine(x.view(-1, 64), bits, torch.float32)
        q = ((x.view(-1, 64) - fit.low) / fit.scale).round().clamp(0, 2**bits - 1)
        ours = (q * fit.scale + fit.low).view_as(x)
        assert (ours - x).norm() < (torch.tensor(theirs.tolist()) - x).norm()
