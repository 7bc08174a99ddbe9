"""The files that make a model folder complete, and the codec that they are."""

import json

import pytest
from sansi.base import SansiError
from sansi.base.files import atomic_folder, others_files, updated_folder
from sansi.model import ModelBundle, load, save
from sansi.model.bundle import CARDS
from sansi.text import Codec, Tokenizer

from tiny_checkpoint import LINES, make_checkpoint


@pytest.fixture(scope="module")
def codec():
    return Codec(Tokenizer.train(LINES, 300))


@pytest.fixture
def folder(tmp_path, codec):
    codec.save(tmp_path / "tokenizer")
    return tmp_path / "tokenizer"


def test_a_codecs_folder_is_enough(folder, codec, tmp_path):
    bundle = ModelBundle.from_folder(folder)
    assert set(bundle.files) == {"tokenizer.json", "tokenizer_config.json", "generation_config.json"}
    assert bundle.codec_hash == codec.hash
    assert bundle.generation_config == {"eos_token_id": list(codec.stop_ids), "pad_token_id": codec.control.endoftext}
    assert bundle.token_ids() == {"eos_token_id": codec.control.im_end, "pad_token_id": codec.control.endoftext}
    bundle.write(tmp_path / "model")
    again = ModelBundle.from_folder(tmp_path / "model")
    assert again == bundle and again.digests == bundle.digests
    assert Codec.from_pretrained(tmp_path / "model").hash == codec.hash


def test_the_hash_is_of_the_content(codec, tmp_path):
    codec.save(tmp_path)
    again = Codec.from_pretrained(tmp_path)
    assert again.hash == codec.hash and len(codec.hash) == 64
    again.save(tmp_path / "again")
    assert ModelBundle.from_folder(tmp_path / "again").codec_hash == codec.hash
    assert Codec(Tokenizer.train([*LINES, "zz top zz"] * 3, 300)).hash != codec.hash
    assert Codec(Tokenizer.train(LINES, 270)).hash != codec.hash


@pytest.mark.parametrize("name", ["tokenizer.json", "tokenizer_config.json", "chat_template.jinja"])
def test_a_changed_tokenizer_has_no_recorded_hash(folder, name):
    with (folder / name).open("a") as file:
        file.write(" ")
    assert ModelBundle.from_folder(folder).codec_hash is None


def test_a_damaged_record_is_no_record(folder):
    (folder / "codec.json").write_text("{")
    assert ModelBundle.from_folder(folder).codec_hash is None


def test_saving_a_codec_keeps_other_values_of_the_generation_config(folder, codec):
    (folder / "generation_config.json").write_text('{"top_k": 20, "eos_token_id": 1}')
    codec.save(folder)
    said = json.loads((folder / "generation_config.json").read_text())
    assert said == {"top_k": 20, **codec.generation_config}
    (folder / "generation_config.json").write_text("[]")
    with pytest.raises(SansiError, match=r"generation_config\.json: not a JSON object"):
        codec.save(folder)


def test_what_a_model_has_beside_its_weights(tmp_path):
    folder = make_checkpoint(tmp_path / "model")
    for name in ("README.md", "LICENSE", "merges.txt", "additional_chat_templates/tool_use.jinja", "thesis.txt"):
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text("dear")
    bundle = ModelBundle.from_folder(folder)
    assert {"README.md", "LICENSE", "merges.txt", "additional_chat_templates/tool_use.jinja"} < set(bundle.files)
    assert not {"thesis.txt", "config.json", "model.safetensors"} & set(bundle.files)
    assert not {"README.md", "LICENSE"} & set(bundle.without(CARDS).files)
    bundle.with_generation_config(top_k=3).write(tmp_path / "other")
    said = json.loads((tmp_path / "other" / "generation_config.json").read_text())
    assert said == {**bundle.generation_config, "top_k": 3}
    assert (tmp_path / "other" / "additional_chat_templates" / "tool_use.jinja").read_text() == "dear"


def test_what_is_written_into_a_marked_folder_is_marked(folder, codec, tmp_path):
    bundle = ModelBundle.from_folder(folder)
    with atomic_folder(tmp_path / "model") as draft:
        (draft / "a").write_text("1")
    bundle.write(tmp_path / "model")
    codec.save(tmp_path / "model")
    assert others_files(tmp_path / "model") == []
    with updated_folder(tmp_path / "model") as draft:
        codec.save(draft)
    with atomic_folder(tmp_path / "model"):
        pass  # all of it may go


@pytest.mark.parametrize("name", ["../x", "/etc/x", "a/../../x", "", "config.json", "codec.json"])
def test_names_that_lead_out_of_the_folder_are_refused(name):
    with pytest.raises(SansiError, match="a bundle can not hold"):
        ModelBundle({name: b""})


def test_what_can_not_be_read_is_named(tmp_path):
    with pytest.raises(SansiError, match="no such folder"):
        ModelBundle.from_folder(tmp_path / "nowhere")
    for text in (b"{", b"[1]"):
        with pytest.raises(SansiError, match=r"generation_config\.json: not "):
            ModelBundle({"generation_config.json": text}).token_ids()


def test_a_bundle_of_a_codec_needs_no_folder(codec, folder):
    assert ModelBundle(codec.files(), codec.hash) == ModelBundle.from_folder(folder)


def test_a_loaded_model_knows_its_stop_ids_and_hands_them_on(tmp_path, codec):
    """Also where nobody passes the bundle along."""
    folder = make_checkpoint(tmp_path / "model")
    assert json.loads((folder / "config.json").read_text())["eos_token_id"] is None
    model = load(folder, "cpu")
    assert model.config.eos_token_id == codec.stop_ids and model.config.pad_token_id == codec.control.endoftext
    save(model, tmp_path / "again")
    said = json.loads((tmp_path / "again" / "config.json").read_text())
    assert (said["eos_token_id"], said["pad_token_id"]) == (list(codec.stop_ids), codec.control.endoftext)
    for odd in ({}, {"eos_token_id": []}, {"eos_token_id": "x"}, {"eos_token_id": None, "pad_token_id": [1.5]}):
        assert ModelBundle().for_generation(odd).stop_ids() == {}
    (folder / "generation_config.json").write_text("{")
    with pytest.raises(SansiError, match=r"generation_config\.json: not valid JSON"):
        load(folder, "cpu")
