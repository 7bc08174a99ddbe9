"""What the check before publishing finds, fault by fault, and what it lets pass."""

import json
import pickle
import shutil
import struct
import zipfile

import pytest
from sansi.base.errors import SansiError
from sansi.deploy.publish import CardChoices, check_name, prepare
from sansi.deploy.publish.contents import contents_of
from sansi.deploy.publish.limits import check_limits
from sansi.deploy.publish.origin import front_matter_of
from sansi.deploy.publish.safetensors import DamagedFile, read_head
from sansi.deploy.receipt import Divergence, Receipt, digests_of, write_receipt
from sansi.model import load
from sansi.model.bundle import ModelBundle
from sansi.model.formats.gguf.write import write_gguf
from sansi.model.formats.hf import save
from sansi.model.formats.source import open_source

from tiny_checkpoint import make_checkpoint

LICENSED = CardChoices(licence="apache-2.0")


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """One file, shards with an index, and a GGUF file of the same model."""
    home = tmp_path_factory.mktemp("check")
    make_checkpoint(home / "tiny")
    model, bundle = load(home / "tiny"), ModelBundle.from_folder(home / "tiny")
    save(model, home / "shards", bundle, shard_bytes=60_000)
    write_gguf(open_source(home / "tiny"), home / "tiny-Q8_0.gguf", "Q8_0", bundle, name="tiny")
    return home


@pytest.fixture
def tiny(made, tmp_path):
    shutil.copytree(made / "tiny", tmp_path / "tiny")
    return tmp_path / "tiny"


@pytest.fixture
def shards(made, tmp_path):
    shutil.copytree(made / "shards", tmp_path / "shards")
    return tmp_path / "shards"


def wrong(source, hub="huggingface", choices=LICENSED, **more):
    """The findings that block."""
    name = "me/x/transformers/y" if hub == "kaggle" else "me/x"
    return [str(finding) for finding in prepare(source, hub, name, choices, **more).findings if finding.blocks]


def noted(source, choices=LICENSED):
    return [str(f) for f in prepare(source, "huggingface", "me/x", choices).findings if not f.blocks]


def rewrite(file, change):
    value = json.loads(file.read_text())
    change(value)
    file.write_text(json.dumps(value))


def shard_names(folder):
    return sorted(path.name for path in folder.glob("model-*.safetensors"))


def test_whole_models_pass(made):
    assert wrong(made / "tiny") == wrong(made / "shards") == wrong(made / "tiny-Q8_0.gguf") == []
    assert len(shard_names(made / "shards")) > 1


def test_what_is_in_every_sansi_folder_passes(tiny):
    assert [left.name for left in contents_of(tiny).left_out] == [".sansi.json"]


@pytest.mark.parametrize("cut", [1, 1000, -1])
def test_a_file_that_is_cut_or_has_too_much(tiny, cut):
    file = tiny / "model.safetensors"
    data = file.read_bytes()
    file.write_bytes(data[:-cut] if cut > 0 else data + b"0")
    assert "is cut off" in wrong(tiny)[0] if cut > 0 else "after its last tensor" in wrong(tiny)[0]


@pytest.mark.parametrize(
    "head",
    [
        b"",
        b"\x01",
        struct.pack("<Q", 2**62) + b"{}",
        struct.pack("<Q", 3) + b"{,}",
        struct.pack("<Q", 2) + b"[]",
        struct.pack("<Q", 8) + b'{"a": 1}',
        b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n",
    ],
)
def test_heads_that_are_none(tmp_path, head):
    (tmp_path / "x.safetensors").write_bytes(head)
    with pytest.raises(DamagedFile):
        read_head(tmp_path / "x.safetensors")


@pytest.mark.parametrize(
    "entry",
    [
        {"dtype": "F32", "shape": [2], "data_offsets": [0, 7]},
        {"dtype": "F33", "shape": [2], "data_offsets": [0, 8]},
        {"dtype": "F32", "shape": [-2], "data_offsets": [0, 8]},
        {"dtype": "F32", "shape": [2], "data_offsets": [4, 12]},
        {"dtype": "F32", "shape": [2]},
        {"dtype": "F32", "shape": ["a"], "data_offsets": [0, 8]},
        {"dtype": "F32", "shape": [2], "data_offsets": ["0", "8"]},
    ],
)
def test_heads_that_describe_what_cannot_be(tmp_path, entry):
    head = json.dumps({"x": entry}).encode()
    (tmp_path / "x.safetensors").write_bytes(struct.pack("<Q", len(head)) + head + b"0" * 8)
    with pytest.raises(DamagedFile):
        read_head(tmp_path / "x.safetensors")


def test_a_shard_that_is_not_there(shards):
    first = shard_names(shards)[0]
    (shards / first).unlink()
    assert any(f"names {first}, which is not there" in told for told in wrong(shards))


def test_a_shard_that_nobody_names(shards):
    shutil.copy(shards / shard_names(shards)[0], shards / "model-00009-of-00009.safetensors")
    assert any("model-00009-of-00009.safetensors" in told and "does not name it" in told for told in wrong(shards))
    assert wrong(shards, exclude=["model-00009*"]) == []


def test_an_index_that_puts_a_tensor_elsewhere(shards):
    first, second = shard_names(shards)[:2]

    def swap(value):
        tensor = next(name for name, file in value["weight_map"].items() if file == first)
        value["weight_map"][tensor] = second

    rewrite(shards / "model.safetensors.index.json", swap)
    assert any("where it is not; it is in" in told for told in wrong(shards))


def test_an_index_that_leaves_a_tensor_out(shards):
    rewrite(shards / "model.safetensors.index.json", lambda value: value["weight_map"].pop("model.norm.weight"))
    assert any("does not name model.norm.weight" in told for told in wrong(shards))


def test_an_index_with_another_size_is_noted(shards):
    rewrite(shards / "model.safetensors.index.json", lambda value: value["metadata"].update(total_size=1))
    assert wrong(shards) == [] and any("total_size says 1 bytes" in told for told in noted(shards))


@pytest.mark.parametrize("text", ["{", "[]", "{}", '{"weight_map": {}}', '{"weight_map": {"a": "../b"}}'])
def test_an_index_that_is_none(shards, text):
    (shards / "model.safetensors.index.json").write_text(text)
    assert any(told.startswith("model.safetensors.index.json: ") for told in wrong(shards))


def test_two_saves_in_one_folder(shards, made):
    shutil.copy(made / "tiny" / "model.safetensors", shards)
    assert any("two saves" in told for told in wrong(shards))


def test_shards_without_an_index(shards):
    (shards / "model.safetensors.index.json").unlink()
    assert any("no model.safetensors.index.json names it" in told for told in wrong(shards))


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("training_args.bin", pickle.dumps({"a": 1})),
        ("notes.dat", pickle.dumps([1, 2, 3], protocol=2)),
        ("optimizer.pt", None),
        ("tables.npy", b"\x93NUMPY\x01\x00v\x00{'descr': '|O', 'fortran_order': False, 'shape': (1,), }"),
    ],
)
def test_pickles_by_what_is_in_them(tiny, name, content):
    if content is None:
        with zipfile.ZipFile(tiny / name, "w") as archive:
            archive.writestr("archive/data.pkl", pickle.dumps(1))
    else:
        (tiny / name).write_bytes(content)
    assert any(told.startswith(f"{name}: a pickle") for told in wrong(tiny))
    assert wrong(tiny, exclude=[name]) == []


@pytest.mark.parametrize(
    "secret",
    [
        "hf_" + "a" * 34,
        "sk-proj-" + "Ab1_" * 10,
        "ghp_" + "b" * 36,
        "AKIA" + "A" * 16,
        "AIza" + "c" * 35,
        "glpat-" + "d" * 20,
        "ms-01234567-89ab-cdef-0123-456789abcdef",
        "KGAT_" + "0" * 32,
        "xoxb-123456789012-abcdef",
        "-----BEGIN OPENSSH PRIVATE KEY-----",
        "https://user:password1@example.org/repo",
        "WANDB_API_KEY=" + "e" * 40,
    ],
)
def test_keys_in_text(tiny, secret):
    (tiny / "notes.txt").write_text(f"first line\nkey: {secret}\n")
    told = wrong(tiny)
    assert len(told) == 1 and "in line 2" in told[0] and secret not in told[0]


def test_keys_in_the_heads_of_weights(tiny):
    from safetensors.torch import load_file, save_file

    tensors = load_file(tiny / "model.safetensors")
    save_file(tensors, tiny / "model.safetensors", metadata={"format": "pt", "by": "hf_" + "a" * 34})
    assert any("a Hugging Face token" in told for told in wrong(tiny))


@pytest.mark.parametrize("name", ["kaggle.json", "id_rsa", "server.pem", "credentials.json"])
def test_files_that_are_keys_by_their_names(tiny, name):
    (tiny / name).write_text("x")
    assert any(told.startswith(f"{name}: files of this name hold keys") for told in wrong(tiny))


@pytest.mark.parametrize("text", ["sk-", "hf_token", "a@b.c", "https://example.org:8000/a@b", "AKIA", "http://a/b:c@d"])
def test_words_that_are_no_keys(tiny, text):
    (tiny / "notes.txt").write_text(text)
    assert wrong(tiny) == []


def test_what_nobody_publishes_stays_behind(tiny):
    for name in (".env", ".git/config", "__pycache__/a.pyc", "x.incomplete", ".cache/x"):
        (tiny / name).parent.mkdir(exist_ok=True)
        (tiny / name).write_text("secret = hf_" + "a" * 34)
    contents = contents_of(tiny)
    assert {left.name for left in contents.left_out} == {
        *(".sansi.json", ".env", ".git", "__pycache__", "x.incomplete", ".cache")
    }
    assert wrong(tiny) == []


def test_paths_of_this_machine_are_noted(tiny):
    rewrite(tiny / "config.json", lambda value: value.update(_name_or_path="/home/somebody/models/tiny"))
    assert any("/home/somebody/models/tiny" in told for told in noted(tiny))


def test_a_tokenizer_that_is_not_there_or_too_large(tiny):
    rewrite(tiny / "config.json", lambda value: value.update(vocab_size=value["vocab_size"] + 1))
    assert any("cannot open it" in told for told in wrong(tiny))
    (tiny / "tokenizer.json").unlink()
    assert any(told.startswith("tokenizer.json: ") for told in wrong(tiny))


def test_a_template_that_does_not_render(tiny):
    rewrite(tiny / "tokenizer_config.json", lambda value: value.update(chat_template="{{ nothing() }}"))
    assert any("chat template" in told for told in wrong(tiny))
    rewrite(tiny / "tokenizer_config.json", lambda value: value.pop("chat_template"))
    assert wrong(tiny) == [] and any("no chat template" in told for told in noted(tiny))


def receipt(files, **more):
    divergence = {"thinking": Divergence(100, 0.0123, 0.2, 0.97)}
    tensors = ({"name": "a", "kind": "fp8", "error": 0.02}, {"name": "b", "kind": "fp8", "error": 0.03})
    values = {"base_model": "Qwen/Qwen3-8B", "licence": "apache-2.0", "source": {}, "tensors": tensors, **more}
    return Receipt("x", format="fp8", bits=8.0, files=files, divergence=divergence, **values)


def test_a_receipt_is_held_against_the_files(tiny):
    files = digests_of([tiny / "model.safetensors"])
    write_receipt(tiny, receipt(files))
    publication = prepare(tiny, "huggingface", "me/x", CardChoices())
    assert not publication.blocked
    assert front_matter_of(publication.card)["base_model"] == "Qwen/Qwen3-8B"
    assert "| thinking | 0.0123 | 0.2 | 97.0% | 100 |" in publication.card and "b (fp8) 0.03; a" in publication.card
    write_receipt(tiny, receipt({"model.safetensors": {"sha256": "0" * 64, "bytes": 1}, "b": {}}))
    told = wrong(tiny)
    assert any("model.safetensors: it changed since" in line for line in told)
    assert any("it names b, which is not there" in line for line in told)
    (tiny / "sansi_receipt.json").write_text("{}")
    assert any("no receipt of an export" in line for line in wrong(tiny))


def test_the_receipt_beside_a_gguf_file_goes_up_with_it(made, tmp_path):
    file = tmp_path / "x-Q8_0.gguf"
    shutil.copy(made / "tiny-Q8_0.gguf", file)
    write_receipt(file, receipt(digests_of([file])))
    publication = prepare(file, "huggingface", "me/x", CardChoices())
    assert [f.name for f in publication.contents.files] == ["x-Q8_0.gguf", "x-Q8_0.receipt.json"]
    assert not publication.blocked and publication.origin.base_model == "Qwen/Qwen3-8B"


def test_the_base_of_an_export_is_its_source_not_its_source_s_base(tiny):
    (tiny / "README.md").write_text("---\nlicense: mit\nbase_model: Qwen/Qwen3-8B-Base\n---\n")
    write_receipt(tiny, receipt(digests_of([tiny / "model.safetensors"]), licence=None))
    assert prepare(tiny, "huggingface", "me/x", CardChoices()).origin.base_model == "Qwen/Qwen3-8B"


def test_a_gguf_file_that_is_cut(made, tmp_path):
    data = (made / "tiny-Q8_0.gguf").read_bytes()
    for cut in (10, 5_000):
        (tmp_path / "x.gguf").write_bytes(data[:-cut] if cut == 10 else data[:cut])
        assert wrong(tmp_path / "x.gguf")


def test_a_part_of_a_gguf_file_that_is_not_there(made, tmp_path):
    shutil.copy(made / "tiny-Q8_0.gguf", tmp_path / "x-00001-of-00002.gguf")
    assert any("x-00002-of-00002.gguf" in told for told in wrong(tmp_path))


def test_what_is_no_model(tmp_path):
    with pytest.raises(SansiError, match="no such folder or file"):
        contents_of(tmp_path / "nothing")
    with pytest.raises(SansiError, match="no files to publish"):
        contents_of(tmp_path)
    (tmp_path / "a.txt").write_text("a")
    with pytest.raises(SansiError, match="no GGUF"):
        contents_of(tmp_path / "a.txt")
    assert any("no weights" in told for told in wrong(tmp_path))
    (tmp_path / "b.txt").symlink_to(tmp_path / "nowhere")
    with pytest.raises(SansiError, match="leads nowhere"):
        contents_of(tmp_path)


def test_a_pattern_that_nothing_matches(tiny):
    with pytest.raises(SansiError, match=r"--exclude \*\.bin"):
        contents_of(tiny, ["*.bin"])


def test_the_limits_of_the_hubs(tiny):
    from sansi.deploy.publish.contents import PublishedFile

    large = PublishedFile("model.safetensors", tiny / "model.safetensors", 201 * 10**9)
    assert [f.blocks for f in check_limits((large,), "huggingface")] == [True]
    assert [f.blocks for f in check_limits((large,), "modelscope")] == [True]
    half = PublishedFile("model.safetensors", tiny / "model.safetensors", 60 * 10**9)
    assert [f.blocks for f in check_limits((half,), "huggingface")] == [False]
    for number in range(60):
        (tiny / f"{number}.txt").write_text("a")
    assert any("archive.zip" in told for told in wrong(tiny, "kaggle"))
    assert wrong(tiny) == []


@pytest.mark.parametrize("name", ["x", "a/b/c", "a//b", "-a/b", "a/b-", "a/b c", "a/" + "b" * 120, "a/b--c", "a/..b"])
def test_names_that_are_none(name):
    with pytest.raises(SansiError, match="no name of a model"):
        check_name("huggingface", name)


@pytest.mark.parametrize("name", ["me/x", "me/x/y/z", "me/x/transformer/z", "me/x/transformers/"])
def test_names_that_are_none_on_kaggle(name):
    with pytest.raises(SansiError):
        check_name("kaggle", name)
    check_name("kaggle", "me/x/transformers/z")
    check_name("kaggle", "me/x/pyTorch/z")


# --- the card -----------------------------------------------------------------------------------------------------


def test_the_card_says_what_is_known(made):
    choices = CardChoices(licence="mit", base_model="Qwen/Qwen3-8B", languages=("en", "no"))
    card = prepare(made / "tiny", "huggingface", "me/tiny", choices).card
    assert front_matter_of(card) == {
        "license": "mit",
        "base_model": "Qwen/Qwen3-8B",
        "base_model_relation": "finetune",
        "language": ["en", "no"],
        "pipeline_tag": "text-generation",
        "library_name": "transformers",
        "tags": ["sansi"],
    }
    assert "sansi serve me/tiny\n" in card and "vllm serve me/tiny" in card and "--tool-call-parser hermes" in card


def test_the_card_of_a_gguf_file(made):
    choices = CardChoices(licence="mit", base_model="me/tiny")
    card = prepare(made / "tiny-Q8_0.gguf", "huggingface", "me/tiny-GGUF", choices).card
    front = front_matter_of(card)
    assert front["base_model_relation"] == "quantized" and front["library_name"] == "gguf"
    assert "ollama run hf.co/me/tiny-GGUF:Q8_0" in card and "llama-server" in card and "gguf Q8_0" in card
    assert "vllm" not in card


def test_what_is_quantised_says_of_what(made):
    assert any("which model was quantised" in told for told in noted(made / "tiny-Q8_0.gguf"))


def test_a_card_that_somebody_wrote_goes_up_as_it_is(tiny):
    text = "---\nlicense: mit\npipeline_tag: text-generation\n---\nMine.\n"
    (tiny / "README.md").write_text(text)
    publication = prepare(tiny, "huggingface", "me/x", CardChoices())
    assert publication.card == text and publication.origin.licence == "mit" and not publication.blocked
    with pytest.raises(SansiError, match=r"--license: .*goes up as it is"):
        prepare(tiny, "huggingface", "me/x", LICENSED)
    new = prepare(tiny, "huggingface", "me/x", CardChoices(file=tiny.parent / "card.md", licence="bsd-3-clause"))
    assert (tiny / "README.md").read_text() == text and "bsd-3-clause" in new.card
    assert (tiny.parent / "card.md").read_text() == new.card
    (tiny.parent / "card.md").write_text(text)
    assert prepare(tiny, "huggingface", "me/x", CardChoices(file=tiny.parent / "card.md")).card == text


@pytest.mark.parametrize("head", ["a: [", "- a", "just words"])
def test_a_card_whose_head_is_damaged(tiny, head):
    (tiny / "README.md").write_text(f"---\n{head}\n---\nMine.\n")
    with pytest.raises(SansiError, match=r"README\.md"):
        prepare(tiny, "huggingface", "me/x", CardChoices())


def test_without_a_licence_nothing_goes_up(tiny):
    assert any("no licence" in told for told in wrong(tiny, choices=CardChoices()))


def test_the_table_of_an_evaluation(tiny):
    rows = [{"benchmark": "a|b", "accuracy": 0.51234}, {"benchmark": "c", "accuracy": None}]
    file = tiny.parent / "results.json"
    file.write_text(json.dumps({"results": rows}))
    card = prepare(tiny, "huggingface", "me/x", CardChoices(licence="mit", evaluation=file)).card
    assert "| a\\|b | 0.5123 |\n| c |  |" in card


@pytest.mark.parametrize("value", [{}, [], [1], [{"a": 1}, {"b": 1}], [{"a": [1]}], {"points": [1]}, [{"a": 1}] * 200])
def test_results_that_make_no_table(tiny, value):
    file = tiny.parent / "results.json"
    file.write_text(json.dumps(value))
    with pytest.raises(SansiError, match=r"results\.json"):
        prepare(tiny, "huggingface", "me/x", CardChoices(licence="mit", evaluation=file))


@pytest.mark.parametrize(
    "choices",
    [
        CardChoices(licence="a\nb"),
        CardChoices(licence="mit", base_model="nothing"),
        CardChoices(licence="mit", relation="cousin"),
        CardChoices(licence="mit", languages=("English",)),
    ],
)
def test_choices_that_hubs_do_not_take(tiny, choices):
    with pytest.raises(SansiError, match=r"^--(license|base-model|relation|language) "):
        prepare(tiny, "huggingface", "me/x", choices)


def test_an_adapter_is_published_as_one(tmp_path, made):
    folder = tmp_path / "adapter"
    folder.mkdir()
    (folder / "adapter_config.json").write_text(json.dumps({"base_model_name_or_path": "me/tiny", "peft_type": "LORA"}))
    assert any("no adapter_model.safetensors" in told for told in wrong(folder))
    shutil.copy(made / "tiny" / "model.safetensors", folder / "adapter_model.safetensors")
    publication = prepare(folder, "huggingface", "me/style", LICENSED)
    front = front_matter_of(publication.card)
    assert not publication.blocked and front["base_model_relation"] == "adapter" and front["library_name"] == "peft"
    assert "sansi serve me/tiny --adapter style=style" in publication.card
