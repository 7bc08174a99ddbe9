"""Model folders: whole or absent when written, checked tensor by tensor when read."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from sansi.base.errors import SansiError
from sansi.base.marker import MARKER
from sansi.model import ModelBundle, Transformer, load, save
from sansi.model.formats import hf
from sansi.model.formats.files import stored_bytes
from tiny_models import ALL, VARIANTS, random_ids, tiny_config, tiny_model
from torch import Tensor

NORM = "model.norm.weight"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    save(tiny_model(tiny_config()), tmp_path / "model")
    return tmp_path / "model"


def edit_tensors(folder: Path, change: Callable[[dict[str, Tensor]], Any]) -> None:
    tensors = load_file(folder / hf.SINGLE_FILE)
    change(tensors)
    save_file(tensors, folder / hf.SINGLE_FILE, metadata={"format": "pt"})


def edit_config(folder: Path, **changes: Any) -> None:
    file = folder / "config.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), **changes}))


def assert_equal_models(a: Transformer, b: Transformer) -> None:
    ours, theirs = a.state_dict(), b.state_dict()
    assert ours.keys() == theirs.keys()
    assert all(torch.equal(ours[name], theirs[name]) for name in ours)


@pytest.mark.parametrize("name", ALL)
@pytest.mark.parametrize("shard_bytes", [hf.SHARD_BYTES, 20_000])
def test_what_is_saved_is_what_is_loaded(name: str, shard_bytes: int, tmp_path: Path) -> None:
    model = tiny_model(tiny_config(**ALL[name]))
    save(model, tmp_path / "model", shard_bytes=shard_bytes)
    assert (tmp_path / "model" / hf.INDEX_FILE).exists() == (shard_bytes < hf.SHARD_BYTES)
    again = load(tmp_path / "model", "cpu")
    assert again.config == model.config
    assert_equal_models(model, again)
    ids = random_ids(model.config)
    with torch.no_grad():
        assert torch.equal(model(ids), again(ids))  # the RoPE table came back too


def test_shards_are_indexed_and_transformers_reads_them(tmp_path: Path) -> None:
    from transformers import AutoModelForCausalLM

    model = tiny_model(tiny_config(**VARIANTS["moe"]))
    save(model, tmp_path / "model", shard_bytes=20_000)
    index = json.loads((tmp_path / "model" / hf.INDEX_FILE).read_text())
    names = set(index["weight_map"].values())
    assert names == {file.name for file in (tmp_path / "model").glob("*.safetensors")}
    assert len(names) > 2
    theirs = AutoModelForCausalLM.from_pretrained(tmp_path / "model", dtype=torch.float32)
    ids = random_ids(model.config)
    with torch.no_grad():
        torch.testing.assert_close(model(ids), theirs(ids).logits, atol=1e-4, rtol=0)


def test_experts_are_stored_one_by_one_as_on_the_hub(tmp_path: Path) -> None:
    save(tiny_model(tiny_config(**VARIANTS["moe"])), tmp_path / "model")
    names = load_file(tmp_path / "model" / hf.SINGLE_FILE).keys()
    assert {"model.layers.0.mlp.experts.5.up_proj.weight", "model.layers.0.mlp.gate.weight"} <= names


def test_dtypes(folder: Path, tmp_path: Path) -> None:
    half = load(folder, "cpu", "bfloat16")
    assert {p.dtype for p in half.parameters()} == {torch.bfloat16}
    assert half(random_ids(half.config)).dtype == torch.bfloat16
    save(half, tmp_path / "half")
    assert json.loads((tmp_path / "half" / "config.json").read_text())["torch_dtype"] == "bfloat16"
    assert next(load(tmp_path / "half", "cpu").parameters()).dtype == torch.float32
    with pytest.raises(SansiError, match="unknown dtype"):
        load(folder, "cpu", "int3")


def test_a_bundle_goes_with_the_model(tmp_path: Path) -> None:
    bundle = ModelBundle({"README.md": b"card", "generation_config.json": b'{"eos_token_id": [7, 9], "top_k": 1}'})
    save(tiny_model(tiny_config()), tmp_path / "model", bundle)
    assert (tmp_path / "model" / "README.md").read_text() == "card"
    assert json.loads((tmp_path / "model" / "config.json").read_text())["eos_token_id"] == 7
    save(tiny_model(tiny_config()), tmp_path / "model", bundle, generation_config={"top_k": 20, "pad_token_id": 3})
    assert json.loads((tmp_path / "model" / "generation_config.json").read_text()) == {"top_k": 20, "pad_token_id": 3}
    assert json.loads((tmp_path / "model" / "config.json").read_text())["pad_token_id"] == 3
    save(tiny_model(tiny_config(eos_token_id=5)), tmp_path / "model", bundle)
    assert json.loads((tmp_path / "model" / "config.json").read_text())["eos_token_id"] == 5  # its own counts


def test_a_compiled_model_is_saved_under_its_own_names(tmp_path: Path) -> None:
    model = tiny_model(tiny_config())
    save(torch.compile(model, backend="eager"), tmp_path / "model")  # type: ignore[arg-type]
    assert_equal_models(model, load(tmp_path / "model", "cpu"))


def test_a_crash_while_saving_leaves_the_old_model(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def crash(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(hf, "_write_weights", crash)
    with pytest.raises(KeyboardInterrupt):
        save(tiny_model(tiny_config(), seed=9), folder)
    monkeypatch.undo()
    assert_equal_models(load(folder, "cpu"), tiny_model(tiny_config()))
    assert [entry.name for entry in folder.parent.iterdir()] == ["model"]


def test_saving_over_a_model_replaces_its_weights_and_nothing_else(folder: Path) -> None:
    others = {"tokenizer.json": "{}", "generation_config.json": "{}", "notes.txt": "dear", "sub/thesis.txt": "dear"}
    for name, text in others.items():
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(text)
    other = tiny_model(tiny_config(), seed=9)
    save(other, folder)
    assert_equal_models(load(folder, "cpu"), other)
    assert {name: (folder / name).read_text() for name in others} == others


def test_saving_in_other_shards_leaves_none_of_the_old_ones(tmp_path: Path) -> None:
    folder, sizes = tmp_path / "model", (20_000, hf.SHARD_BYTES, 40_000, 20_000)
    for seed, size in enumerate(sizes):
        model = tiny_model(tiny_config(), seed=seed)
        save(model, folder, shard_bytes=size)
        assert_equal_models(load(folder, "cpu"), model)
        names = {file.name for file in folder.glob("*.safetensors*")}
        if size == hf.SHARD_BYTES:
            assert names == {hf.SINGLE_FILE}
        else:
            index = json.loads((folder / hf.INDEX_FILE).read_text())
            assert names == {hf.INDEX_FILE, *index["weight_map"].values()}


def test_the_weights_of_another_program_are_replaced_whatever_they_are_called(folder: Path) -> None:
    (folder / MARKER).unlink()
    (folder / hf.SINGLE_FILE).rename(folder / "weights_1.safetensors")
    names = load_file(folder / "weights_1.safetensors")
    (folder / hf.INDEX_FILE).write_text(json.dumps({"weight_map": dict.fromkeys(names, "weights_1.safetensors")}))
    load(folder, "cpu")
    save(tiny_model(tiny_config(), seed=9), folder)
    assert_equal_models(load(folder, "cpu"), tiny_model(tiny_config(), seed=9))
    assert {file.name for file in folder.glob("*.safetensors*")} == {hf.SINGLE_FILE}


@pytest.mark.parametrize(
    "options",
    [
        {"bundle": ["tokenizer.json"]},
        {"generation_config": [1]},
        {"generation_config": {"a": torch.float32}},
        {"generation_config": {"temperature": float("nan")}},
        {"shard_bytes": 0},
        {"shard_bytes": "5GB"},
    ],
)
def test_what_can_not_be_saved_is_refused_before_the_work(options: dict[str, Any], tmp_path: Path) -> None:
    with pytest.raises(SansiError, match=next(iter(options))):
        save(tiny_model(tiny_config()), tmp_path / "model", **options)
    with pytest.raises(SansiError, match=r"the model is a \w*Dict; give a"):
        save(tiny_model(tiny_config()).state_dict(), tmp_path / "model")  # type: ignore[arg-type]
    assert list(tmp_path.iterdir()) == []


def test_a_card_that_somebody_wrote_is_kept(folder: Path) -> None:
    bundle = ModelBundle({"README.md": b"ours", "LICENSE": b"ours"})
    save(tiny_model(tiny_config()), folder, bundle)
    (folder / "README.md").write_text("mine")
    save(tiny_model(tiny_config()), folder, ModelBundle({"README.md": b"new", "LICENSE": b"new"}))
    assert (folder / "README.md").read_text() == "mine" and (folder / "LICENSE").read_text() == "new"


@pytest.mark.parametrize(
    "name", ["config.json", "model.safetensors", "tokenizer.json", "model-00001-of-00002.safetensors"]
)
def test_files_of_a_folder_that_is_no_model_are_not_replaced(name: str, tmp_path: Path) -> None:
    (tmp_path / name).write_text('{"model_type": "llama"}')
    with pytest.raises(SansiError, match=f"is not the folder of a Qwen3 model, and saving would replace {name}"):
        save(tiny_model(tiny_config()), tmp_path, ModelBundle({"tokenizer.json": b"{}"}))
    assert [file.read_text() for file in tmp_path.iterdir()] == ['{"model_type": "llama"}']


def test_a_folder_with_other_files_gets_a_model_too(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("dear")
    (tmp_path / "tokenizer.json").write_text("{}")
    save(tiny_model(tiny_config()), tmp_path, ModelBundle.from_folder(tmp_path))
    assert (tmp_path / "thesis.txt").read_text() == "dear" and load(tmp_path, "cpu")
    with pytest.raises(SansiError, match=r"thesis\.txt is a file"):
        save(tiny_model(tiny_config()), tmp_path / "thesis.txt")


def test_full_weights_do_not_take_the_place_of_quantised_ones(tmp_path: Path) -> None:
    from sansi.model.quantize import quantize

    quantize(tiny_model(tiny_config()), "int4").save(tmp_path / "small")
    with pytest.raises(SansiError, match="holds quantised weights, which saving would replace"):
        save(tiny_model(tiny_config()), tmp_path / "small")


def test_a_missing_folder_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(SansiError, match="no such model folder; give the path"):
        load(tmp_path / "nowhere")
    with pytest.raises(SansiError, match=r"has no config\.json"):
        load(tmp_path)


@pytest.mark.parametrize("content", ["{", "[1]", "\x00"])
def test_a_damaged_config_is_named(folder: Path, content: str) -> None:
    (folder / "config.json").write_text(content)
    with pytest.raises(SansiError, match=r"config\.json: not .*damaged"):
        load(folder)


def test_an_unknown_key_is_reported_with_the_file(folder: Path) -> None:
    edit_config(folder, rope_thetta=1.0)
    with pytest.raises(SansiError, match=r'config\.json: unknown key "rope_thetta"; did you mean "rope_theta"'):
        load(folder)


def test_missing_weights(folder: Path) -> None:
    (folder / hf.SINGLE_FILE).unlink()
    with pytest.raises(SansiError, match=r"has neither model\.safetensors nor"):
        load(folder)
    (folder / "pytorch_model.bin").write_bytes(b"pickle")
    with pytest.raises(SansiError, match="a pickle, which Sansi does not open"):
        load(folder)


@pytest.mark.parametrize("keep", [0, 5, 2000, -1])
def test_truncated_weights_are_named(folder: Path, keep: int) -> None:
    file = folder / hf.SINGLE_FILE
    file.write_bytes(file.read_bytes()[:keep])
    with pytest.raises(SansiError, match=r"model\.safetensors: damaged"):
        load(folder, "cpu")


def test_tensor_errors_name_the_tensor(folder: Path) -> None:
    def change(tensors: dict[str, Tensor]) -> None:
        tensors["model.extra.weight"] = tensors.pop(NORM)
        tensors["lm_head.weight"] = torch.zeros(3, 3)

    edit_tensors(folder, change)
    with pytest.raises(SansiError) as caught:
        load(folder, "cpu")
    message = str(caught.value)
    assert f"missing: {NORM};" in message
    assert "not in the model: model.extra.weight;" in message
    assert "lm_head.weight has shape [3, 3], but config.json makes it [97, 48]" in message


def test_quantised_weights_are_refused(folder: Path) -> None:
    edit_tensors(folder, lambda tensors: tensors.update({NORM: tensors[NORM].to(torch.float8_e4m3fn)}))
    with pytest.raises(SansiError, match=rf"{NORM} is torch\.float8_e4m3fn"):
        load(folder, "cpu")


def test_a_copied_head_is_fine_and_another_one_is_not(tmp_path: Path) -> None:
    folder, model = tmp_path / "model", tiny_model(tiny_config(tie_word_embeddings=True))
    save(model, folder)
    edit_tensors(folder, lambda t: t.update({hf.LM_HEAD: t[hf.EMBEDDING].clone()}))
    assert_equal_models(load(folder, "cpu"), model)
    edit_tensors(folder, lambda t: t.update({hf.LM_HEAD: t[hf.EMBEDDING] + 1}))
    with pytest.raises(SansiError, match=r"lm_head\.weight differs.*tie_word_embeddings"):
        load(folder, "cpu")


def test_a_broken_index_is_named(tmp_path: Path) -> None:
    folder = tmp_path / "model"
    save(tiny_model(tiny_config()), folder, shard_bytes=20_000)
    index = folder / hf.INDEX_FILE
    whole = index.read_text()
    first = sorted(folder.glob("*.safetensors"))[0]
    index.write_text(whole.replace(first.name, "../secret.safetensors"))
    with pytest.raises(SansiError, match="outside its folder"):
        load(folder, "cpu")
    index.write_text("{}")
    with pytest.raises(SansiError, match="weight_map"):
        load(folder, "cpu")
    index.write_text(whole)
    first.unlink()
    with pytest.raises(SansiError, match=f"lacks {first.name}"):
        load(folder, "cpu")


def test_devices_and_dtypes_in_every_spelling(folder: Path) -> None:
    for options in ({"dtype": torch.bfloat16}, {"dtype": None, "device": None}, {"device": torch.device("cpu")}):
        model = load(folder, **{"device": "cpu", **options})  # type: ignore[arg-type]
        assert next(model.parameters()).dtype == (options.get("dtype") or torch.float32)
    for wrong in ({"dtype": torch.int8}, {"dtype": 3}, {"device": "gpu"}, {"device": 3.5}, {"device": "meta"}):
        with pytest.raises(SansiError, match=next(iter(wrong))):
            load(folder, **{"device": "cpu", **wrong})  # type: ignore[arg-type]
    for place in (None, 3, b"x"):
        with pytest.raises(SansiError, match="given by its path"):
            load(place)  # type: ignore[arg-type]


def test_of_two_saves_in_a_folder_the_one_is_read_that_transformers_reads(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    from transformers import AutoModelForCausalLM

    old, new = tiny_model(tiny_config()), tiny_model(tiny_config(), seed=9)
    save(old, tmp_path / "model", shard_bytes=20_000)
    save(new, tmp_path / "single")
    (tmp_path / "single" / hf.SINGLE_FILE).rename(tmp_path / "model" / hf.SINGLE_FILE)
    theirs = AutoModelForCausalLM.from_pretrained(tmp_path / "model", dtype=torch.float32)
    ours, ids = load(tmp_path / "model", "cpu"), random_ids(old.config)
    with torch.no_grad():
        torch.testing.assert_close(ours(ids), theirs(ids).logits, atol=1e-4, rtol=0)
    assert "holds two models: model.safetensors is read" in caplog.text
    assert_equal_models(ours, new)
    for shard in (tmp_path / "model").glob("model-*"):  # a left index of a save that is gone
        shard.unlink()
    caplog.clear()
    assert_equal_models(load(tmp_path / "model", "cpu"), new)
    assert not caplog.text
    (tmp_path / "model" / hf.SINGLE_FILE).unlink()
    with pytest.raises(SansiError, match="which its index names"):
        load(tmp_path / "model", "cpu")


def test_left_shards_are_not_read(folder: Path, tmp_path: Path) -> None:
    save(tiny_model(tiny_config(), seed=9), tmp_path / "sharded", shard_bytes=20_000)
    for shard in (tmp_path / "sharded").glob("model-*"):
        shard.rename(folder / shard.name)
    assert_equal_models(load(folder, "cpu"), tiny_model(tiny_config()))
    (folder / hf.SINGLE_FILE).unlink()
    with pytest.raises(SansiError, match=r"model-00001-of-\d+\.safetensors but no model\.safetensors\.index\.json"):
        load(folder, "cpu")


def test_an_optimiser_is_no_part_of_the_weights(folder: Path) -> None:
    before = stored_bytes(folder)
    (folder / "optimizer.safetensors").write_bytes(bytes(1000))
    assert stored_bytes(folder) == before == (folder / hf.SINGLE_FILE).stat().st_size


@pytest.mark.parametrize("tied", [True, False])
def test_a_model_without_its_head_has_names_without_their_first_part(tied: bool, tmp_path: Path) -> None:
    """As Qwen3-Embedding is published, though its config.json names Qwen3ForCausalLM."""
    from sansi.model.quantize import quantize

    model = tiny_model(tiny_config(tie_word_embeddings=tied))
    save(model, tmp_path / "model")
    weights = load_file(tmp_path / "model" / hf.SINGLE_FILE)
    short = {name.removeprefix("model."): tensor for name, tensor in weights.items()}
    short["layers.0.self_attn.rotary_emb.inv_freq"] = torch.ones(8)  # which some programs saved, and which is no weight
    save_file(short, tmp_path / "model" / hf.SINGLE_FILE)
    assert_equal_models(load(tmp_path / "model", "cpu"), model)
    assert quantize(tmp_path / "model", "int8").nbytes == quantize(model, "int8").nbytes
    if not tied:
        del short[hf.LM_HEAD]
        save_file(short, tmp_path / "model" / hf.SINGLE_FILE)
        with pytest.raises(SansiError, match=r"missing: lm_head\.weight"):
            load(tmp_path / "model", "cpu")


def test_what_is_given_in_the_place_of_a_model_folder(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(SansiError, match=r"model\.safetensors is a file; give the folder"):
        load(folder / hf.SINGLE_FILE)
    for step in (9, 10):
        save(tiny_model(tiny_config()), tmp_path / "run" / "checkpoints" / f"step-{step}")
    (tmp_path / "run" / "config.json").write_text('{"steps": 10}')
    with pytest.raises(SansiError, match=r"is the folder of a run; give one of its checkpoints: .*step-10"):
        load(tmp_path / "run")
    (folder / hf.SINGLE_FILE).write_text("version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n")
    with pytest.raises(SansiError, match="git lfs pull"):
        load(folder, "cpu")
