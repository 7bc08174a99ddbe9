"""Models by name, through the clients of the hubs, from a hub on the loopback into caches in temporary folders."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import threading
from contextlib import contextmanager
from pathlib import Path

import pytest
from huggingface_hub.utils import WeakFileLock
from safetensors import safe_open
from sansi.base.errors import SansiError
from sansi.model.hub import read_name
from sansi.model.hub import resume as resume_module
from sansi.model.hub.checks import check_files, config_of, quantisation_of
from sansi.model.hub.huggingface import HuggingFace, _Fetch
from sansi.model.hub.offer import download, look_up
from sansi.model.hub.repository import files_of, is_whole, licence_of
from sansi.model.hub.resume import Stream, read_rest

from stand_in_hub import commit_of, stand_in_hub
from tiny_checkpoint import make_checkpoint

NAME = "Qwen/Qwen3-0.6B"
WEIGHTS = "model.safetensors"


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    folder = make_checkpoint(tmp_path_factory.mktemp("hub") / "tiny")
    (folder / "README.md").write_text("---\nlicense: apache-2.0\n---\n# Tiny\n")
    (folder / "pytorch_model.bin").write_bytes(b"not wanted")
    (folder / "onnx").mkdir()
    (folder / "onnx" / "config.json").write_text("{}")
    return folder


@pytest.fixture
def remote(tiny, monkeypatch):
    monkeypatch.setattr(resume_module, "PATIENCE", (0.0, 0.0, 0.0))
    monkeypatch.setattr("urllib3.util.retry.Retry.get_backoff_time", lambda self: 0.0)  # ModelScope's client's patience
    with stand_in_hub() as hub:
        hub.add(NAME, tiny)
        yield hub


@pytest.fixture(params=["huggingface", "modelscope"])
def hub(request, remote, tmp_path):
    """Both hubs, from the same stand-in."""
    return make(request.param, remote, tmp_path / "cache")


@pytest.fixture
def hugging_face(remote, tmp_path):
    return HuggingFace(remote.url, tmp_path / "cache")


def make(kind, remote, cache):
    if kind == "huggingface":
        return HuggingFace(remote.url, cache)
    scope = pytest.importorskip("sansi.model.hub.modelscope", reason="needs modelscope_hub")
    return scope.ModelScope(remote.url, cache)


def pull(hub, name=NAME, report=lambda _: None):
    repository = hub.repository(read_name(name))
    return hub.download(repository, files_of(repository), report)


# --- names -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "repository", "revision"),
    [
        ("Qwen/Qwen3-0.6B", "Qwen/Qwen3-0.6B", None),
        ("qwen3-0.6b", "Qwen/Qwen3-0.6B", None),
        ("QWEN/qwen3-30b-a3b", "Qwen/Qwen3-30B-A3B", None),
        ("qwen3-4b-thinking-2507", "Qwen/Qwen3-4B-Thinking-2507", None),
        ("Qwen3-8B@v1", "Qwen/Qwen3-8B", "v1"),
        ("somebody/Qwen3-8b-tuned@refs/pr/3", "somebody/Qwen3-8b-tuned", "refs/pr/3"),
        ("https://huggingface.co/Qwen/Qwen3-8B", "Qwen/Qwen3-8B", None),
        ("https://huggingface.co/me/my_model/tree/dev", "me/my_model", "dev"),
        ("modelscope.cn/models/Qwen/Qwen3-8B/summary", "Qwen/Qwen3-8B", None),
    ],
)
def test_a_name_is_read(text, repository, revision):
    name = read_name(text)
    assert (name.repository, name.revision) == (repository, revision)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("Qwen3-9B", 'did you mean "Qwen3-8B"'),
        ("qwen3:0.6b", 'did you mean "Qwen3-0.6B"'),
        ("nan", 'did you mean "nano"'),
        ("a/b/c", "OWNER/NAME"),
        ("../x", "OWNER/NAME"),
        ("owner/-x", "OWNER/NAME"),
        ("", "OWNER/NAME"),
    ],
)
def test_what_no_hub_knows_is_refused_with_what_comes_next(text, words):
    with pytest.raises(SansiError, match="neither a folder nor the name of a model") as caught:
        read_name(text)
    assert words in str(caught.value)


@pytest.mark.parametrize("revision", ["..", "../../..", "a/../../b", "/etc", "a//b", "-x", ".", "v1/", "a b"])
def test_a_revision_is_no_way_out_of_the_cache(revision):
    with pytest.raises(SansiError, match="can not be a revision"):
        read_name(f"{NAME}@{revision}")


# --- a whole way -------------------------------------------------------------------------------------------------


def test_a_model_comes_whole_verified_and_without_what_is_not_needed(hub, remote, tiny):
    came = []
    folder = pull(hub, report=came.append)
    assert is_whole(folder) and licence_of(folder) == "apache-2.0"
    assert (folder / WEIGHTS).read_bytes() == (tiny / WEIGHTS).read_bytes()
    assert not (folder / "pytorch_model.bin").exists() and not (folder / "onnx").exists()
    assert sum(came) == sum(file.stat().st_size for file in folder.iterdir())
    with safe_open(folder / WEIGHTS, "pt") as weights:
        assert list(weights.keys())


def test_what_is_said_before_the_download(hub):
    repository = hub.repository(read_name(NAME))
    assert repository.licence == "apache-2.0"
    weights = files_of(repository)[-1]
    assert weights.name == WEIGHTS and weights.size == repository.file(WEIGHTS).size > 0
    assert hub.present(repository, weights) == 0
    assert config_of(repository, hub.read(repository, "config.json")).num_hidden_layers == 2


def test_what_is_whole_in_the_cache_asks_nobody(hub, remote):
    assert hub.folder(read_name(NAME)) is None
    folder = pull(hub)
    remote.asked.clear()
    assert hub.folder(read_name(NAME)) == folder and not remote.asked
    (model,) = hub.models()
    assert (str(model.name), model.folder, model.licence) == (NAME, folder, "apache-2.0") and not remote.asked
    assert model.size >= (folder / WEIGHTS).stat().st_size


def test_a_second_pull_reads_no_weights_again(hub, remote):
    pull(hub)
    remote.asked.clear()
    pull(hub)
    assert not remote.fetched(WEIGHTS)


def test_a_revision_is_a_model_of_its_own(hub):
    pull(hub, f"{NAME}@v1")
    assert hub.folder(read_name(NAME)) is None and hub.folder(read_name(f"{NAME}@v1"))
    with pytest.raises(SansiError, match='no revision "v7"'):
        pull(hub, f"{NAME}@v7")


def test_a_model_is_removed_and_only_that(hub, remote, tiny):
    remote.add("me/other", tiny)
    pull(hub)
    pull(hub, "me/other")
    assert hub.remove(read_name("me/other")) > (tiny / WEIGHTS).stat().st_size
    assert [str(model.name) for model in hub.models()] == [NAME]
    with pytest.raises(SansiError, match="not in the cache"):
        hub.remove(read_name("me/other"))


def test_a_revision_is_removed_and_the_other_stays(hugging_face):
    pull(hugging_face)
    pull(hugging_face, f"{NAME}@v1")
    hugging_face.remove(read_name(f"{NAME}@v1"))
    assert [str(model.name) for model in hugging_face.models()] == [NAME]
    assert is_whole(hugging_face.folder(read_name(NAME)))


def test_what_revisions_share_is_freed_with_the_last_of_them(hugging_face, tiny):
    pull(hugging_face)
    pull(hugging_face, f"{NAME}@v1")
    name, weights = read_name(f"{NAME}@v1"), (tiny / WEIGHTS).stat().st_size
    assert hugging_face.freed(name) < weights < hugging_face.freed(read_name(NAME)) < 2 * weights
    assert hugging_face.freed(name) == hugging_face.remove(name)


def test_a_commit_is_a_revision(hugging_face):
    commit = commit_of("v1")
    assert pull(hugging_face, f"{NAME}@{commit}") == hugging_face.folder(read_name(f"{NAME}@{commit}"))


def test_weights_in_several_files(hugging_face, remote, tiny, tmp_path):
    from sansi.model import ModelBundle, load, save

    save(load(tiny, device="cpu"), tmp_path / "sharded", ModelBundle.from_folder(tiny), shard_bytes=20_000)
    remote.add("me/sharded", tmp_path / "sharded")
    repository = hugging_face.repository(read_name("me/sharded"))
    files = files_of(repository, hugging_face.read(repository, "model.safetensors.index.json"))
    assert sum(file.name.startswith("model-0") for file in files) > 1
    folder = hugging_face.download(repository, files, lambda _: None)
    assert is_whole(folder) and load(folder, device="cpu")
    (folder / files[-1].name).unlink()
    assert not is_whole(folder)


# --- connections that break --------------------------------------------------------------------------------------


def test_a_broken_connection_is_gone_on_from(hub, remote):
    remote.breaks = [10_000, 5_000]
    came = []
    folder = pull(hub, report=came.append)
    asked = [ask.range for ask in remote.fetched(WEIGHTS)]
    assert asked[0] is None and len([first for first in asked if first and first != "bytes=0-"]) >= 1
    assert sum(came) == sum(file.stat().st_size for file in folder.iterdir())


def test_half_a_download_of_a_killed_process_is_gone_on_from(hugging_face, remote, tiny, tmp_path):
    repository = hugging_face.repository(read_name(NAME))
    remote.breaks = [10_000] + [0] * 99
    with pytest.raises(SansiError, match="can not be reached"):
        hugging_face.download(repository, files_of(repository), lambda _: None)
    have = hugging_face.present(repository, repository.file(WEIGHTS))
    assert have >= 10_000
    (half,) = hugging_face.models()
    assert half.folder is None and half.size >= have
    remote.breaks, again = [], HuggingFace(remote.url, tmp_path / "cache")
    remote.asked.clear()
    assert is_whole(pull(again))
    assert [ask.range for ask in remote.fetched(WEIGHTS)] == [f"bytes={have}-"]


def test_answers_that_end_early_are_not_asked_for_for_ever(tmp_path, monkeypatch):
    monkeypatch.setattr(resume_module, "PATIENCE", (0.0, 0.0))
    asked = []

    @contextmanager
    def opened_at(first):
        asked.append(first)
        yield Stream(first, [b"xx"] if len(asked) < 3 else [])

    with pytest.raises(ConnectionError, match="too early"):
        read_rest(tmp_path / "half", 10, opened_at, lambda _: None, threading.Event())
    assert asked == [0, 2, 4, 4, 4], "two more tries, one for each wait"


def test_a_damaged_index_is_no_whole_model_and_hides_no_other(hub, remote, tiny):
    remote.add("me/other", tiny)
    pull(hub)
    index = pull(hub, "me/other") / "model.safetensors.index.json"
    (index.parent / WEIGHTS).unlink()  # a model of shards, none of which is here
    for text in ("{", "[]", '{"weight_map": []}'):
        index.write_text(text)
        assert {str(model.name): model.folder is not None for model in hub.models()} == {NAME: True, "me/other": False}


def test_a_hub_that_knows_no_ranges_begins_anew(hugging_face, remote):
    remote.breaks, remote.ranges = [10_000], False
    came = []
    folder = pull(hugging_face, report=came.append)
    assert is_whole(folder) and sum(came) == sum(file.stat().st_size for file in folder.iterdir())


def test_half_a_file_that_is_longer_than_the_whole_begins_anew(hugging_face, remote):
    repository = hugging_face.repository(read_name(NAME))
    file = repository.file(WEIGHTS)
    blob = hugging_face.home(NAME) / "blobs" / f"{file.sha256}.incomplete"
    blob.parent.mkdir(parents=True)
    blob.write_bytes(b"x" * (file.size + 1))
    assert is_whole(pull(hugging_face))


@pytest.mark.parametrize("file", [WEIGHTS, "config.json", "tokenizer.json"])
def test_wrong_bytes_never_reach_the_cache(hub, remote, file):
    if hub.title == "ModelScope" and file == "config.json":
        pytest.skip("its client tries for seconds")
    remote.wrong = {file}
    with pytest.raises(SansiError, match="other bytes than the hub's digest"):
        pull(hub)
    assert hub.folder(read_name(NAME)) is None
    remote.wrong = set()
    assert is_whole(pull(hub))


def test_a_revision_means_the_old_files_until_all_new_ones_are_there(hugging_face, remote, tiny, tmp_path):
    old = pull(hugging_face)
    changed = remote.repos[NAME]
    weights = bytearray(changed.files[WEIGHTS])
    weights[-1] ^= 1
    changed.files[WEIGHTS] = bytes(weights)
    changed.revisions = ("next",)
    remote.repos[NAME] = changed
    remote.breaks = [100] + [0] * 99
    with pytest.raises(SansiError):
        pull(hugging_face, f"{NAME}@next")
    assert hugging_face.folder(read_name(NAME)) == old


def test_files_of_two_versions_are_no_model(remote, tmp_path):
    hub = make("modelscope", remote, tmp_path / "cache")  # whose cache puts the new version over the old one
    pull(hub)
    changed = remote.repos[NAME]
    changed.files["config.json"] = changed.files["config.json"].replace(b"{", b"{ ", 1)
    changed.files[WEIGHTS] = changed.files[WEIGHTS] + b" "
    remote.breaks = [100] + [0] * 99
    with pytest.raises(SansiError):
        pull(hub)
    assert hub.folder(read_name(NAME)) is None and [model.folder for model in hub.models()] == [None]
    remote.breaks = []
    folder = pull(hub)
    assert hub.folder(read_name(NAME)) == folder
    assert (folder / "config.json").read_bytes().startswith(b"{ ") and (folder / WEIGHTS).read_bytes()[-1:] == b" "


def test_who_waits_for_anothers_download_can_be_stopped(hugging_face):
    repository = hugging_face.repository(read_name(NAME))
    weights = repository.file(WEIGHTS)
    lock = hugging_face.cache / ".locks" / hugging_face.home(NAME).name / f"{weights.sha256}.lock"
    lock.parent.mkdir(parents=True)
    fetch = _Fetch(hugging_face, repository)
    waiting = threading.Thread(target=fetch.together, args=([weights],), daemon=True)
    with WeakFileLock(lock):
        waiting.start()
        fetch.stop.set()
        waiting.join(60)
        assert not waiting.is_alive() and not fetch.blob(weights).exists()


def test_two_downloads_of_one_model_at_once(hugging_face, remote):
    folders = []
    threads = [threading.Thread(target=lambda: folders.append(pull(hugging_face))) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(folders) == 2 and len(remote.fetched(WEIGHTS)) == 1


# --- refusals ----------------------------------------------------------------------------------------------------


def test_an_unknown_name_has_the_nearest_official_one(hub):
    with pytest.raises(SansiError, match="no model Qwen/Qwen3-9B") as caught:
        hub.repository(read_name("Qwen/Qwen3-9B"))
    assert 'did you mean "Qwen3-8B"' in str(caught.value) and caught.value.code == "model_not_found"


def test_a_private_model_needs_a_token(hugging_face, remote, monkeypatch):
    remote.repos[NAME].private = True
    with pytest.raises(SansiError, match="hf auth login"):
        hugging_face.repository(read_name(NAME))
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    assert is_whole(pull(hugging_face))
    assert {ask.token for ask in remote.fetched(WEIGHTS)} == {"hf_secret"}


def test_a_gated_model_needs_a_token(hub, remote):
    remote.repos[NAME].gated = True
    with pytest.raises(SansiError) as caught:
        hub.read(hub.repository(read_name(NAME)), "config.json")
    assert caught.value.code == "gated" and "sign in" in str(caught.value) and "\n" not in str(caught.value)


@pytest.mark.parametrize(("status", "words"), [(401, "sign in"), (403, "sign in"), (429, "too many"), (400, "400")])
def test_a_hub_that_refuses(hugging_face, remote, status, words):
    remote.status = status
    with pytest.raises(SansiError) as caught:
        hugging_face.repository(read_name(NAME))
    assert words in str(caught.value) and "\n" not in str(caught.value)


def test_the_password_of_a_mirror_is_not_shown(hub, remote, tmp_path, monkeypatch):
    monkeypatch.setattr("time.sleep", lambda seconds: None)  # ModelScope's client waits 15 s for a server that is busy
    remote.url = remote.url.replace("://", "://me:secret@")
    mirror = make("huggingface" if isinstance(hub, HuggingFace) else "modelscope", remote, tmp_path / "mirror")
    assert pull(mirror)
    remote.status = 503
    with pytest.raises(SansiError, match="can not be reached") as caught:
        mirror.repository(read_name(NAME))
    assert "secret" not in str(caught.value) and mirror.endpoint == hub.endpoint


def test_a_sign_in_page_is_no_hub(hugging_face, remote):
    remote.page = b"<html>Welcome to the hotel</html>"
    with pytest.raises(SansiError, match="does not answer as a hub does"):
        hugging_face.repository(read_name(NAME))


def test_without_a_network_it_says_what_to_do(tmp_path):
    hub = HuggingFace("http://127.0.0.1:9", tmp_path / "cache")
    with pytest.raises(SansiError, match=r"hf download Qwen/Qwen3-0.6B --local-dir FOLDER") as caught:
        hub.repository(read_name(NAME))
    assert caught.value.code == "hub_offline" and "\n" not in str(caught.value)


def test_a_silent_hub_is_not_waited_for(hugging_face, remote, monkeypatch):
    monkeypatch.setattr("sansi.model.hub.huggingface.ANSWER_SECONDS", 0.2)
    remote.silent = True
    with pytest.raises(SansiError, match="no answer in time"):
        hugging_face.repository(read_name(NAME))


def test_a_full_disk_is_named(hugging_face, monkeypatch):
    def full(*_, **__):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(resume_module, "_read_some", full)
    with pytest.raises(SansiError, match=r"disk is full at .*HF_HOME"):
        pull(hugging_face)


def test_names_and_refusals_need_no_torch():
    modules = "sys, sansi.cli.fetch, sansi.model.hub.offer, sansi.model.hub.huggingface"
    code = f"import {modules}; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], timeout=120).returncode == 0


# --- models that are not ours ------------------------------------------------------------------------------------


def of_files(*names):
    from sansi.model.hub import HubFile, ModelName, Repository

    repository = names[0]
    return Repository("hub", ModelName(repository), "c", None, tuple(HubFile(name, 1) for name in names[1:]))


@pytest.mark.parametrize(
    ("names", "words"),
    [
        (("Qwen/Qwen3-8B-GGUF", "a.gguf"), ["GGUF", "take Qwen/Qwen3-8B"]),
        (("me/qwen3-4b-i1-GGUF", "a.gguf"), ["GGUF", "take Qwen/Qwen3-4B"]),
        (("me/old", "config.json", "pytorch_model.bin"), ["pickled"]),
        (("me/lora", "adapter_config.json", "adapter_model.safetensors"), ["adapter"]),
        (("me/x", "config.json", "model.safetensors"), ["tokenizer.json"]),
        (("me/x", "model.safetensors", "tokenizer.json"), ["config.json"]),
    ],
)
def test_a_repository_without_what_a_model_is_made_of(names, words):
    with pytest.raises(SansiError) as caught:
        check_files(of_files(*names))
    assert all(word in str(caught.value) for word in words), str(caught.value)


@pytest.mark.parametrize(
    ("name", "changes", "words"),
    [
        ("mistralai/m", {"model_type": "mistral"}, ['"mistral"', "qwen3"]),
        ("me/x", {"model_type": None}, ["None", "qwen3"]),
        ("Qwen/Qwen3-8B-AWQ", {"quantization_config": {"quant_method": "aqlm"}}, ["aqlm", "take Qwen/Qwen3-8B"]),
        (
            "Qwen/Qwen3-4B-GPTQ-Int4",
            {"quantization_config": {"quant_method": "hqq"}},
            ["take Qwen/Qwen3-4B,", "--quantize"],
        ),
        ("me/x", {"quantization_config": 3}, ["quantised"]),
        ("me/x", {"use_sliding_window": True, "sliding_window": 8, "max_window_layers": 0}, ["use_sliding_window"]),
    ],
)
def test_a_model_that_sansi_does_not_run(tiny, name, changes, words):
    values = json.loads((tiny / "config.json").read_text()) | changes
    with pytest.raises(SansiError) as caught:
        config_of(of_files(name), values)
    assert all(word in str(caught.value) for word in words), str(caught.value)
    assert "\n" not in str(caught.value)


def test_other_models_in_the_cache_are_not_ours(hugging_face, remote, tiny, tmp_path):
    shutil.copytree(tiny, tmp_path / "bert")
    (tmp_path / "bert" / "config.json").write_text('{"model_type": "bert"}')
    remote.add("me/bert", tmp_path / "bert")
    pull(hugging_face, "me/bert")
    assert hugging_face.models() == []


def test_why_a_hub_can_not_be_reached_is_told_without_numbers_of_the_system():
    from sansi.model.hub.huggingface_errors import _why

    assert _why(OSError(-2, "Name or service not known")) == "Name or service not known"


# --- GGUF files -------------------------------------------------------------------------------------------------------


NANO = Path(__file__).resolve().parents[2] / "checkpoints" / "nano"
GGUFS = "somebody/nano-GGUF"


@pytest.fixture(scope="module")
def ggufs(tmp_path_factory):
    """A repository of three files, one of them in parts."""
    from sansi.model import ModelBundle, load
    from sansi.model.formats.gguf.write import write_gguf

    folder, full, bundle = tmp_path_factory.mktemp("ggufs"), load(NANO), ModelBundle.from_folder(NANO)
    for kind in ("Q4_0", "Q8_0"):
        write_gguf(full, folder / f"nano-{kind}.gguf", kind, bundle)
    write_gguf(full, folder / "F16" / "nano-F16.gguf", "F16", bundle, split_bytes=1_000_000)
    (folder / "README.md").write_text("---\nlicense: apache-2.0\n---\n")
    (folder / "mmproj-F16.gguf").write_bytes(b"a picture's")
    return folder


@pytest.fixture
def gguf_cache(tmp_path, monkeypatch):
    monkeypatch.setattr("sansi.model.formats.gguf.folder.gguf_cache", lambda: tmp_path / "gguf")


def test_a_gguf_file_of_a_hub_is_chosen_told_and_fetched(hub, remote, ggufs, gguf_cache):
    from sansi.model.formats.source import open_source

    remote.add(GGUFS, ggufs)
    with pytest.raises(SansiError, match=r"holds 3 GGUF files \(F16, Q4_0, Q8_0\); say which, e.g. .*nano-GGUF:F16"):
        look_up(hub, read_name(GGUFS))
    with pytest.raises(SansiError, match=r'has no GGUF file "Q5_K_M".*there are: F16, Q4_0, Q8_0'):
        look_up(hub, read_name(f"{GGUFS}:Q5_K_M"))
    name = read_name(f"{GGUFS}:q8_0")
    assert hub.folder(name) is None
    offer = look_up(hub, name)
    assert offer.config.num_hidden_layers == 5 and offer.dtype == "gguf Q8_0"
    assert offer.weight_bytes == (ggufs / "nano-Q8_0.gguf").stat().st_size
    file = download(hub, offer)
    assert file.read_bytes() == (ggufs / "nano-Q8_0.gguf").read_bytes()
    remote.asked.clear()
    assert hub.folder(name) == hub.folder(read_name(GGUFS)) == file
    assert hub.folder(read_name(f"{GGUFS}:Q4_0")) is None
    assert not remote.asked
    assert open_source(file).format.name == "gguf Q8_0"
    (listed,) = hub.models()
    assert (str(listed.name), listed.folder, listed.licence) == (f"{GGUFS}:Q8_0", file, "apache-2.0")
    with pytest.raises(SansiError, match="one file is not removed alone"):
        hub.remove(name)
    hub.remove(read_name(GGUFS))
    assert hub.folder(name) is None


@pytest.mark.parametrize("first", [30, 4096, 100_000])
def test_more_is_asked_for_where_the_head_of_a_gguf_file_is_long(hub, remote, ggufs, first, monkeypatch):
    monkeypatch.setattr("sansi.model.hub.offer.HEAD_BYTES", first)
    remote.add(GGUFS, ggufs)
    assert look_up(hub, read_name(f"{GGUFS}:Q8_0")).config.num_hidden_layers == 5


def test_all_parts_of_a_file_come_together(hub, remote, ggufs, gguf_cache):
    from sansi.model.formats.source import open_source

    remote.add(GGUFS, ggufs)
    name = read_name(f"{GGUFS}:F16")
    file = download(hub, look_up(hub, name))
    assert len(open_source(file).file.files) == 3
    file.with_name(file.name.replace("00001-of", "00002-of")).unlink()
    assert hub.folder(name) is None


def test_a_gguf_file_of_another_architecture_is_refused_before_it_is_fetched(hub, remote, ggufs, tmp_path):
    other = tmp_path / "other"
    other.mkdir()
    (other / "x-Q8_0.gguf").write_bytes((ggufs / "nano-Q8_0.gguf").read_bytes().replace(b"qwen3", b"gemma"))
    remote.add("somebody/gemma-GGUF", other)
    with pytest.raises(SansiError, match=r'somebody/gemma-GGUF: x-Q8_0.gguf holds a model of the architecture "gemma"'):
        look_up(hub, read_name("somebody/gemma-GGUF"))
    assert not remote.fetched("README.md")


@pytest.mark.parametrize(
    ("text", "repository", "file", "revision"),
    [
        ("a/b:Q4_K_M", "a/b", "Q4_K_M", None),
        ("a/b:Q4_K_M@v1", "a/b", "Q4_K_M", "v1"),
        ("https://huggingface.co/a/b/blob/main/x/c-Q4_0.gguf", "a/b", "x/c-Q4_0.gguf", "main"),
        ("https://huggingface.co/a/b/blob/main/README.md", "a/b", None, "main"),
    ],
)
def test_a_name_may_choose_a_file(text, repository, file, revision):
    name = read_name(text)
    assert (name.repository, name.file, name.revision) == (repository, file, revision)


# --- files that other programs have quantised -------------------------------------------------------------------------


@pytest.mark.parametrize("beside", [False, True])
def test_a_model_in_gptq_is_told_and_fetched_with_its_settings(hub, remote, tiny, tmp_path, beside):
    """beside: as older files have them, in a file of their own."""
    from functools import partial

    from foreign_formats import gptq, rewrite
    from sansi.model.formats.source import open_source

    settings = {"quant_method": "gptq", "bits": 4, "group_size": 16, "sym": True, "desc_act": False}
    folder = tmp_path / "quantised"
    rewrite(tiny, folder, partial(gptq, group=16), settings)
    if beside:
        config = json.loads((folder / "config.json").read_text())
        (folder / "quantize_config.json").write_text(json.dumps(config.pop("quantization_config")))
        (folder / "config.json").write_text(json.dumps(config))
    remote.add("me/tiny-GPTQ-Int4", folder)
    offer = look_up(hub, read_name("me/tiny-GPTQ-Int4"))
    assert offer.dtype == "gptq" and offer.kind is None
    assert offer.weight_bytes == (folder / "model.safetensors").stat().st_size
    assert open_source(download(hub, offer)).format.name == "gptq"
    assert hub.folder(read_name("me/tiny-GPTQ-Int4"))
    assert hub.models()


def test_the_settings_of_mlx_are_told_by_their_own_key(tiny):
    values = json.loads((tiny / "config.json").read_text()) | {"quantization": {"group_size": 64, "bits": 4}}
    assert config_of(of_files("me/tiny-4bit"), values).hidden_size == values["hidden_size"]
    assert quantisation_of(values) == "mlx"
