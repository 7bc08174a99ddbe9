"""`sansi export`: what is written is the model, the receipt is true, and nothing of the user's is lost."""

from __future__ import annotations

import hashlib
import itertools
import json
from pathlib import Path

import pytest
import torch
import yaml
from sansi.base.errors import SansiError
from sansi.deploy.export import TARGETS, Order, default_out, export, kind_of, read_calibration, target_of
from sansi.deploy.export.reference import model_of, source_of
from sansi.deploy.receipt import read_receipt, receipt_path
from sansi.model import load
from sansi.model.formats.gguf.file import GgufFile
from sansi.model.formats.gguf.folder import folder_of
from sansi.model.formats.source import open_source
from sansi.model.formats.weights import fill_model

import adapter_folders
from tiny_checkpoint import make_checkpoint


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    folder = make_checkpoint(tmp_path_factory.mktemp("export") / "tiny")
    (folder / "README.md").write_text("---\nlicense: apache-2.0\n---\n# Tiny\n")
    return folder


@pytest.fixture(scope="module")
def wide(tmp_path_factory):
    """Of a width that every format has groups for."""
    return make_checkpoint(tmp_path_factory.mktemp("export") / "wide", hidden_size=128, intermediate_size=256)


@pytest.fixture(autouse=True)
def _here(tmp_path, monkeypatch):
    monkeypatch.setattr("sansi.model.formats.gguf.folder.gguf_cache", lambda: tmp_path / "cache")
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")


def ordered(folder, out, to="gguf", kind=None, **more):
    target = target_of(to)
    return Order(folder, "tiny", target, kind_of(target, kind), out, **more)


def sha256(file):
    return hashlib.sha256(file.read_bytes()).hexdigest()


def adapter_of(folder, source):
    """A PEFT folder that changes two matrices of each layer."""
    tensors = {}
    for layer, module in itertools.product(range(2), ("self_attn.q_proj", "self_attn.o_proj")):
        name = f"model.layers.{layer}.{module}"
        tensors |= adapter_folders.factors(name, *source.shapes[f"{name}.weight"], seed=layer)
    return adapter_folders.folder_of(folder, tensors)


# ---- what is written -------------------------------------------------------------------------------------------------


def test_a_gguf_file_comes_with_a_true_receipt(tiny, tmp_path):
    made = export(ordered(tiny, tmp_path / "tiny.gguf", kind="Q8_0"))
    receipt = read_receipt(made.path)
    assert receipt == made.receipt and receipt_path(made.path).name == "tiny.receipt.json"
    assert receipt.files == {"tiny.gguf": {"sha256": sha256(made.path), "bytes": made.path.stat().st_size}}
    assert receipt.source["model.safetensors"]["sha256"] == sha256(tiny / "model.safetensors")
    assert (receipt.format, receipt.gate) == ("gguf Q8_0", None) and 8.5 <= receipt.bits < 10
    assert set(receipt.divergence) == {"thinking", "non_thinking", "tools"}
    assert all(0 < one.mean < 0.05 and one.tokens > 50 for one in receipt.divergence.values())
    stored, source = open_source(made.path), open_source(tiny)
    name = "model.layers.0.mlp.up_proj.weight"
    rows, were = stored.rows(name, 0, 8).float(), source.rows(name, 0, 8).float()
    told = next(tensor["error"] for tensor in receipt.tensors if tensor["name"] == "blk.0.ffn_up.weight")
    assert ((rows - were).norm() / were.norm()).item() == pytest.approx(told, rel=0.3)


def test_a_gguf_file_says_what_it_was_made_of(tiny, tmp_path):
    made = export(ordered(tiny, tmp_path / "tiny.gguf", kind="F32", base_model="somebody/tiny", compared=False))
    said = GgufFile(made.path).metadata
    assert said["general.base_model.0.repo_url"] == "https://huggingface.co/somebody/tiny"
    assert said["general.license"] == "apache-2.0"
    inner = json.loads(said["sansi.receipt"])
    assert inner["source"]["model.safetensors"]["sha256"] == sha256(tiny / "model.safetensors")
    assert inner["template_sha256"] == made.receipt.template_sha256
    assert made.receipt.template_sha256
    assert not made.receipt.divergence


def test_an_export_without_rounding_is_its_source(tiny, tmp_path):
    made = export(ordered(tiny, tmp_path / "tiny.gguf", kind="F32"))
    assert all(one.mean < 1e-6 and one.same_top == 1 for one in made.receipt.divergence.values())
    assert all(tensor["error"] == 0 for tensor in made.receipt.tensors)


FOLDERS = [
    ("hf", "bf16", 0.01),
    ("hf", "fp32", 1e-6),
    ("fp8", "fp8", 0.05),
    ("mlx", "4bit", 0.5),
    ("mlx", "8bit", 0.01),
    ("awq", "int4", 0.5),
    ("gptq", "int4", 0.5),
    ("gptq", "int8", 0.01),
    ("compressed-tensors", "int4", 0.5),
    ("compressed-tensors", "int8", 0.01),
    ("compressed-tensors", "fp8", 0.05),
]


@pytest.mark.parametrize(("to", "kind", "most"), FOLDERS)
def test_a_folder_in_another_format_comes_with_a_true_receipt(wide, tmp_path, to, kind, most):
    read = to in ("awq", "gptq")
    more = {"calibration": read_calibration("own", wide, 300)} if read else {}
    made = export(ordered(wide, tmp_path / "out", to, kind, split_bytes=150_000, **more))
    receipt = read_receipt(made.path)
    assert receipt == made.receipt and "model.safetensors.index.json" not in receipt.files
    assert receipt.files == {f.name: {"sha256": sha256(f), "bytes": f.stat().st_size} for f in made.files[:-1]}
    assert len(receipt.files) > 2 and (made.path / "tokenizer.json").is_file()
    assert (receipt.calibration is not None) == read
    assert all(one.mean < most for one in receipt.divergence.values()) and len(receipt.divergence) == 3
    again = export(ordered(wide, tmp_path / "out", to, kind, overwrite=True, compared=False, **more))
    assert read_receipt(again.path) == again.receipt != receipt


def test_split_files_have_one_receipt(tiny, tmp_path):
    made = export(ordered(tiny, tmp_path / "tiny.gguf", kind="F32", split_bytes=60_000, compared=False))
    parts = [file for file in made.files if file.suffix == ".gguf"]
    assert len(parts) > 2 and set(made.receipt.files) == {part.name for part in parts}
    assert read_receipt(parts[1]) == made.receipt


def test_adapters_are_merged_and_counted(tiny, tmp_path):
    adapter = adapter_of(tmp_path / "adapter", open_source(tiny))
    made = export(ordered(tiny, tmp_path / "merged.gguf", kind="F32", merge=(str(adapter),)))
    assert made.receipt.merged["changed"] == 4 and made.receipt.merged["erasure"] is None
    assert all(one.mean < 1e-6 for one in made.receipt.divergence.values())  # beside the merged source
    name = "model.layers.0.self_attn.q_proj.weight"
    base, stored = open_source(tiny), open_source(made.path)
    assert not torch.allclose(base.rows(name, 0, 8).float(), stored.rows(name, 0, 8).float())
    four = export(ordered(tiny, tmp_path / "four.gguf", kind="Q4_0", merge=(str(adapter),), compared=False))
    assert 0 <= four.receipt.merged["erasure"]["erased"] <= 1 and "merged" in " ".join(four.notes)


def test_the_merged_model_that_is_calibrated_with_computes_as_it_should(tiny, tmp_path):
    adapter = adapter_of(tmp_path / "adapter", open_source(tiny))
    source, ids = source_of(tiny, (str(adapter),)), torch.arange(40)[None]
    with torch.no_grad():
        loaded = load(tiny, dtype="float32")
        fill_model(loaded, source)
        assert torch.equal(model_of(tiny, source)(ids), loaded(ids))


def test_an_adapter_of_another_model_writes_nothing(tiny, tmp_path):
    adapter = adapter_of(tmp_path / "adapter", open_source(tiny))
    (adapter / "adapter_model.safetensors").unlink()
    with pytest.raises(SansiError, match="adapter"):
        export(ordered(tiny, tmp_path / "merged.gguf", merge=(str(adapter),)))
    assert not list(tmp_path.glob("merged*"))


def test_experts_that_the_text_never_reached_are_named(tmp_path):
    shape = {"num_experts": 16, "num_experts_per_tok": 1, "moe_intermediate_size": 32, "norm_topk_prob": True}
    folder = make_checkpoint(tmp_path / "sparse", **shape)
    text = tmp_path / "text.txt"
    text.write_text("one")
    calibration = read_calibration(str(text), folder, 512)
    order = ordered(folder, tmp_path / "sparse.gguf", kind="Q8_0", calibration=calibration, compared=False)
    made = export(order)
    unseen = sum(count == 0 for count in made.receipt.coverage.values())
    assert unseen > 0 and f"to {unseen} of {len(made.receipt.coverage)} experts" in " ".join(made.notes)
    assert made.receipt.calibration == {"text": "text.txt", "sha256": sha256(text), "tokens": calibration.tokens}


def test_own_answers_are_a_calibration_text_too(tiny):
    one, again = (read_calibration("own", tiny, 300) for _ in range(2))
    assert one.tokens == 300 and one.sha256 == again.sha256


# ---- packages --------------------------------------------------------------------------------------------------------


def test_ollama_gets_a_modelfile_beside_the_weights(sansi, tiny):
    done = sansi("export", tiny, "--to", "ollama", "--kind", "q8_0", "--no-report", "-o", "out", "-c", "512")
    assert done.code == 0 and "ollama create tiny" in done.out, done.err
    text = Path("out/Modelfile").read_text()
    assert "FROM ./tiny-Q8_0.gguf" in text and "PARAMETER num_ctx 512" in text and Path("out/tiny-Q8_0.gguf").is_file()
    assert set(read_receipt("out").files) == {"Modelfile", "tiny-Q8_0.gguf"}


def test_lm_studio_gets_a_switch_for_thinking(sansi, tiny):
    done = sansi("export", tiny, "--to", "lmstudio", "--no-report", "-o", "out")
    assert done.code == 0, done.err
    with open("out/model.yaml") as file:
        assert yaml.safe_load(file)["customFields"][0]["key"] == "enableThinking"


# ---- the command -----------------------------------------------------------------------------------------------------


def test_the_default_place_is_named_after_model_and_kind(sansi, tiny, tmp_path):
    done = sansi("export", tiny, "--to", "gguf", "--no-report", "--json")
    told = json.loads(done.out)
    assert done.code == 0 and told["path"] == "tiny-Q4_K_M.gguf" and told["receipt"]["format"] == "gguf Q4_K_M"
    assert (tmp_path / "work" / told["path"]).is_file()
    names = {str(default_out(t, "m", next(iter(t.kinds)))) for t in TARGETS.values() if t.form != "launch"}
    assert len(names) == sum(t.form != "launch" for t in TARGETS.values())


def test_a_gguf_file_is_never_written_over_itself(tiny, tmp_path):
    file = export(ordered(tiny, tmp_path / "tiny.gguf", kind="F32", compared=False)).path
    before = {path: path.read_bytes() for path in (file, receipt_path(file))}
    for out, more in ((file, {}), (file.with_name("tiny-00001-of-00009.gguf"), {"split_bytes": 20_000})):
        order = ordered(folder_of(file), out, kind="Q8_0", overwrite=True, compared=False, **more)
        with pytest.raises(SansiError, match="is the model itself"):
            export(order)
    assert {path: path.read_bytes() for path in before} == before


@pytest.mark.parametrize(("to", "out"), [("gguf", "tiny.gguf"), ("ollama", "tiny-ollama")])
def test_an_older_receipt_does_not_outlive_its_weights(tiny, tmp_path, monkeypatch, to, out):
    export(ordered(tiny, tmp_path / out, to, "Q8_0", compared=False))

    def interrupted(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr("sansi.deploy.export.weights._compared", interrupted)
    with pytest.raises(KeyboardInterrupt):
        export(ordered(tiny, tmp_path / out, to, "F32", overwrite=True))
    assert read_receipt(tmp_path / out) is None


def test_what_is_there_is_kept_unless_told(sansi, tiny, tmp_path):
    file = tmp_path / "mine.gguf"
    file.write_text("mine")
    done = sansi("export", tiny, "--to", "gguf", "-o", file, "--no-report")
    assert done.code == 1 and "there already" in done.err and file.read_text() == "mine"
    assert sansi("export", tiny, "--to", "gguf", "-o", file, "--no-report", "--force").code == 0
    out = tmp_path / "out"
    out.mkdir()
    (out / "diary.txt").write_text("mine")
    done = sansi("export", tiny, "--to", "ollama", "-o", out, "--no-report")
    assert done.code == 1 and "files in it" in done.err and [p.name for p in out.iterdir()] == ["diary.txt"]


@pytest.mark.parametrize(
    ("options", "code", "told"),
    [
        (["--to", "ggfu"], 1, 'did you mean "gguf"'),
        (["--to", "gguf", "--kind", "Q4_K_X"], 1, 'did you mean "Q4_K_M"'),
        (["--to", "gguf", "--kind", "Q9"], 1, "known: BF16, F16"),
        (["--to", "gguf", "-o", "out"], 1, "let its name end in .gguf"),
        (["--to", "ollama", "-o", "out.gguf"], 1, "can not end in .gguf"),
        (["--to", "gguf", "--split", "big"], 2, "is no size"),
        (["--to", "gguf", "--tensor-parallel", "2"], 2, "--tensor-parallel: nothing that gguf knows"),
        (["--to", "vllm", "--kind", "Q8_0", "--force"], 2, "--kind and --force: nothing that vllm knows"),
        (["--to", "gguf", "--calibration", "nowhere.txt"], 1, "No such file"),
        (["--to", "gptq", "--calibration", "nowhere.txt", "-o", "out.gguf"], 1, "can not end in .gguf"),
        (["--to", "llama-server"], 1, "--to gguf"),
        (["--to", "ktransformers"], 1, "has no experts"),
        ([], 2, "sansi export MODEL --to gguf"),
    ],
)
def test_a_wrong_command_says_what_is_right(sansi, tiny, tmp_path, options, code, told):
    done = sansi("export", tiny, *options)
    assert done.code == code and told in done.err, done.err
    assert done.err.count("known:") <= 1
    assert not list((tmp_path / "work").iterdir())


def test_a_launch_line_is_printed_or_written(sansi, tiny, tmp_path):
    done = sansi("export", tiny, "--to", "vllm", "--context", "96")
    assert done.code == 0 and "vllm serve" in done.out and "--max-model-len 96" in done.out
    assert sansi("export", tiny, "--to", "sglang", "-o", "run.sh").code == 0
    assert "sglang.launch_server" in (tmp_path / "work" / "run.sh").read_text()
    assert "there already" in sansi("export", tiny, "--to", "sglang", "-o", "run.sh").err
    told = json.loads(sansi("export", tiny, "--to", "vllm", "--json").out)
    assert told["command"][:2] == ["vllm", "serve"] and told["version"]


def test_a_published_shape_needs_no_weights_for_its_launch_line(sansi):
    done = sansi("export", "Qwen3-235B-A22B", "--to", "vllm", "--tensor-parallel", "4")
    assert done.code == 0 and "vllm serve Qwen/Qwen3-235B-A22B" in done.out and "--tensor-parallel-size 4" in done.out


def test_a_gguf_file_is_launched_as_the_file_that_it_is(sansi, tiny, tmp_path):
    made = export(ordered(tiny, tmp_path / "tiny.gguf", kind="Q8_0", compared=False))
    assert f"llama-server --model {made.path}" in sansi("export", made.path, "--to", "llama-server").out.replace(
        " \\\n ", ""
    )
    assert "--to llama-server" in sansi("export", made.path, "--to", "vllm").err


def test_rounding_again_is_told(sansi, tiny, tmp_path):
    made = export(ordered(tiny, tmp_path / "tiny.gguf", kind="Q8_0", compared=False))
    done = sansi("export", made.path, "--to", "gguf", "--kind", "Q4_0", "--no-report", "-o", "again.gguf")
    assert done.code == 0 and "in gguf Q8_0 already" in done.err


def test_every_target_is_listed(sansi):
    shown = sansi("export", "--targets").out
    assert all(name in shown for name in TARGETS)
    assert set(json.loads(sansi("export", "--targets", "--json").out)) == set(TARGETS)


def test_a_damaged_receipt_is_one_sentence(tmp_path):
    for text in ("{", "[]", '{"model": "x"}'):
        receipt_path(tmp_path).write_text(text)
        with pytest.raises(SansiError, match="sansi_receipt"):
            read_receipt(tmp_path)
    assert read_receipt(tmp_path / "none") is None
