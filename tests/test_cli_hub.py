"""The command line over models of a hub: what is told, fetched, refused, listed and removed."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
import types

import pytest

from stand_in_hub import stand_in_hub
from tiny_checkpoint import make_checkpoint

NAME = "Qwen/Qwen3-0.6B"
CLOSED = "http://127.0.0.1:9"


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    folder = make_checkpoint(tmp_path_factory.mktemp("hub") / "tiny")
    (folder / "README.md").write_text("---\nlicense: apache-2.0\n---\n# Tiny\n")
    return folder


@pytest.fixture
def remote(tiny):
    with stand_in_hub() as hub:
        hub.add(NAME, tiny)
        yield hub


@pytest.fixture
def sansi(sansi, remote, tmp_path, monkeypatch):
    """Run the command in this process, in an empty folder, with the hub on the loopback and caches of its own."""
    from sansi.model import hub
    from sansi.model.hub.huggingface import HuggingFace

    monkeypatch.setattr("sansi.model.hub.packaged.cache_folder", lambda name: tmp_path / "packaged" / name)
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")
    opened = hub.open_hub  # huggingface_hub reads its environment once, when it is imported
    here = HuggingFace(remote.url, tmp_path / "hf")
    monkeypatch.setattr(hub, "open_hub", lambda name="huggingface": here if name == "huggingface" else opened(name))
    monkeypatch.setenv("MODELSCOPE_ENDPOINT", remote.url)
    monkeypatch.setenv("MODELSCOPE_CACHE", str(tmp_path / "modelscope"))
    return sansi


def settings(remote, tmp_path, **changes):
    """The environment of a process that has the hub on the loopback and caches of its own."""
    places = {"HF_ENDPOINT": remote, "HF_HOME": str(tmp_path / "home"), "MODELSCOPE_ENDPOINT": remote}
    return {**os.environ, **places, "MODELSCOPE_CACHE": str(tmp_path / "modelscope"), **changes}


# --- run, pull, list, remove ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("hub", ["huggingface", "modelscope"])
def test_a_model_of_a_hub_is_told_fetched_and_asked(sansi, remote, hub):
    if hub == "modelscope":
        pytest.importorskip("modelscope_hub")
    first = sansi("run", "-m", "qwen3-0.6b", "Hi", "--hub", hub, "--max-tokens", 5, "--json")
    assert first.code == 0, first.err
    assert json.loads(first.out)["model"] == NAME
    told = next(line for line in first.err.splitlines() if line.startswith(f"{NAME}: "))
    assert "KiB" in told and "apache-2.0" in told
    remote.asked.clear()
    again = sansi("run", "-m", NAME, "Hi", "--hub", hub, "--max-tokens", 5, "--json")
    assert again.code == 0 and not remote.asked, "what is cached asks nobody"


def test_pull_prints_the_folder_alone(sansi, tmp_path):
    done = sansi("pull", "QWEN3-0.6B")
    folder = done.out.strip()
    assert done.code == 0 and done.out.count("\n") == 1 and folder.startswith(str(tmp_path / "hf"))
    assert json.loads(sansi("info", folder, "--json").out)["layers"] == 2


def test_pull_brings_what_is_new(sansi, remote):
    old = sansi("pull", NAME).out
    remote.repos[NAME].files["generation_config.json"] = b'{"temperature": 0.25}'
    remote.repos[NAME].revisions = ("main", "later")
    assert sansi("pull", f"{NAME}@later").out != old


def test_list_has_what_is_bundled_and_what_is_cached(sansi, remote):
    assert [row["name"] for row in json.loads(sansi("list", "--json").out)] == ["nano"]
    sansi("pull", NAME)
    nano, pulled = json.loads(sansi("list", "--json").out)
    assert nano["hub"] == "bundled" and nano["fits"] == "yes" and nano["licence"] == "apache-2.0"
    assert pulled["name"] == NAME and pulled["size"] > 40_000 and pulled["fits"] == "yes" and pulled["path"]
    shown = sansi("list").out
    assert NAME in shown and "apache-2.0" in shown and "fits in memory" in shown


def test_half_a_download_is_listed_and_gone_on_from(sansi, remote, monkeypatch):
    monkeypatch.setattr("sansi.model.hub.resume.PATIENCE", (0.0,))
    remote.breaks = [10_000] + [0] * 9
    broken = sansi("pull", NAME)
    assert broken.code == 1 and "can not be reached" in broken.err.splitlines()[-1]
    assert "not all of it is here" in sansi("list").out
    remote.breaks = []
    done = sansi("pull", NAME)
    assert done.code == 0 and "are here already" in done.err
    assert [ask.range for ask in remote.fetched("model.safetensors")][-1] == "bytes=10000-"


def test_an_interrupt_ends_a_download_and_keeps_what_came(remote, tmp_path):
    remote.pause = 30.0  # until released; the first piece comes at once
    command = [sys.executable, "-m", "sansi.cli", "pull", NAME]
    environment = settings(remote.url, tmp_path)
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    with subprocess.Popen(command, env=environment, **pipes) as pull:
        blobs = tmp_path / "home" / "hub" / "models--Qwen--Qwen3-0.6B" / "blobs"
        assert wait_for(lambda: has_begun(blobs))
        pull.send_signal(signal.SIGINT)
        _, errors = pull.communicate(timeout=60)
    assert pull.returncode == 130 and "Traceback" not in errors, errors
    remote.pause = 0.0
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0 and "are here already" in done.stderr, done.stderr


def has_begun(blobs):
    """Whether part of a large file is there, which is kept under its sha256; what is small comes and goes meanwhile."""
    for half in blobs.glob(64 * "?" + ".incomplete"):
        with contextlib.suppress(FileNotFoundError):
            if half.stat().st_size:
                return True
    return False


def wait_for(condition, seconds=120.0):
    deadline = time.monotonic() + seconds
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.02)
    return condition()


def test_remove_asks_first(sansi, monkeypatch):
    sansi("pull", NAME)
    done = sansi("remove", NAME)
    assert done.code == 1 and "--yes" in done.err and len(json.loads(sansi("list", "--json").out)) == 2
    monkeypatch.setattr(sys.stdin, "isatty", lambda: True, raising=False)
    monkeypatch.setattr("typer.confirm", lambda *_, **__: (_ for _ in ()).throw(__import__("typer").Abort()))
    assert sansi("remove", NAME).code == 130 and len(json.loads(sansi("list", "--json").out)) == 2
    done = sansi("remove", "qwen3-0.6b", "--yes")
    assert done.code == 0 and "free again" in done.out and len(json.loads(sansi("list", "--json").out)) == 1


@pytest.mark.parametrize(("hub", "revision"), [("huggingface", "main"), ("modelscope", "master")])
def test_the_default_revision_is_removed_by_its_name(sansi, hub, revision):
    if hub == "modelscope":
        pytest.importorskip("modelscope_hub")
    sansi("pull", NAME, "--hub", hub)
    assert "not in the cache" in sansi("remove", f"{NAME}@v1", "--yes", "--hub", hub).err
    done = sansi("remove", f"{NAME}@{revision}", "--yes", "--hub", hub)
    assert done.code == 0 and len(json.loads(sansi("list", "--json").out)) == 1


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("nano", "comes with the package"),
        ("own/folder", "folder of yours"),
        (NAME, "not in the cache"),
        ("Qwen/Qwen3-9B", "not in the cache"),
    ],
)
def test_remove_touches_nothing_else(sansi, tiny, tmp_path, name, words):
    shutil.copytree(tiny, tmp_path / "work" / "own" / "folder")
    done = sansi("remove", name, "--yes")
    assert done.code == 1 and words in done.err and (tmp_path / "work" / "own" / "folder" / "config.json").exists()


def test_what_the_system_forbids_is_one_line(sansi, monkeypatch):
    def forbidden(folder, *_, **__):
        raise PermissionError(13, "Permission denied", str(folder))

    sansi("pull", NAME)
    monkeypatch.setattr("sansi.model.hub.huggingface.shutil.rmtree", forbidden)
    done = sansi("remove", NAME, "--yes")
    assert done.code == 1 and done.err.count("\n") == 1
    assert done.err.startswith("error: /") and done.err.endswith("models--Qwen--Qwen3-0.6B: Permission denied\n")


# --- info ----------------------------------------------------------------------------------------------------------


def test_info_of_a_hubs_model_fetches_its_configuration_alone(sansi, remote, tiny):
    remote.add("me/tuned", tiny, licence="mit")
    told = json.loads(sansi("info", "me/tuned", "--json").out)
    assert (told["model"], told["layers"], told["licence"], told["folder"]) == ("me/tuned", 2, "mit", None)
    assert told["weights_bytes"] == (tiny / "model.safetensors").stat().st_size
    assert not remote.fetched("model.safetensors")


@pytest.mark.parametrize("name", ["Qwen3-8B", "qwen3-8b", "QWEN/QWEN3-8B"])
def test_info_of_a_published_shape_asks_nobody(sansi, remote, name):
    told = json.loads(sansi("info", name, "--json").out)
    assert (told["model"], told["parameters"]) == ("Qwen3-8B", 8_190_735_360) and not remote.asked
    assert told["weights_bytes"] > told["weights_bytes_int8"] > told["weights_bytes_int4"] > 4e9


def test_info_of_a_quantised_folder_tells_what_it_is(sansi, tiny, tmp_path):
    sansi("quantize", tiny, tmp_path / "small", "--no-report")
    told = json.loads(sansi("info", tmp_path / "small", "--json").out)
    assert told["quantised"] == {"kind": "int4", "outer": "int8"}
    assert told["weights_bytes"] == (tmp_path / "small" / "quantized.safetensors").stat().st_size
    shown = sansi("info", tmp_path / "small").out
    assert "int4; embedding and LM head int8" in shown and "bfloat16," not in shown


def test_the_help_of_info_has_the_shapes_by_size(sansi):
    shown = " ".join(sansi("info", "--help").out.split())
    order = ["nano, Qwen3-0.6B", "Qwen3-1.7B", "Qwen3-4B", "Qwen3-8B", "Qwen3-14B", "Qwen3-30B-A3B", "Qwen3-32B"]
    places = [shown.index(name) for name in order]
    assert places == sorted(places)


# --- quantize ------------------------------------------------------------------------------------------------------


def test_quantize_takes_a_hubs_model_and_writes_its_own_card(sansi, tmp_path):
    done = sansi("quantize", NAME, tmp_path / "small", "--tokens", 64)
    assert done.code == 0, done.err
    card = (tmp_path / "small" / "README.md").read_text()
    assert card.startswith("---\nlicense: apache-2.0\n") and f"base_model: {NAME}" in card
    assert "int4" in card and "bits a weight" in card and "KL" in card and "full model" in card
    assert (tmp_path / "small" / "FULL_MODEL.md").read_text().endswith("# Tiny\n")
    assert not (tmp_path / "small" / "tokenizer.json").is_symlink()


def test_what_is_written_is_as_the_umask_says(sansi, tiny, tmp_path):
    before = os.umask(0o027)
    try:
        sansi("quantize", tiny, tmp_path / "small", "--no-report")
    finally:
        os.umask(before)
    modes = {file.name: file.stat().st_mode & 0o777 for file in (tmp_path / "small").iterdir()}
    assert set(modes.values()) == {0o640} and (tmp_path / "small").stat().st_mode & 0o777 == 0o750


# --- refusals ------------------------------------------------------------------------------------------------------


def big(remote, tiny, tmp_path, **changes):
    """A model that says it is large: only its configuration is read before it is refused."""
    shutil.copytree(tiny, tmp_path / "big")
    config = json.loads((tmp_path / "big" / "config.json").read_text())
    (tmp_path / "big" / "config.json").write_text(json.dumps(config | changes))
    remote.add("me/big", tmp_path / "big")


def test_what_does_not_fit_in_memory_is_refused_before_the_download(sansi, remote, tiny, tmp_path, monkeypatch):
    big(remote, tiny, tmp_path, hidden_size=4096, intermediate_size=16384, num_hidden_layers=64)
    monkeypatch.setattr("sansi.engine.memory.free_memory", lambda device: 4 * 2**30)
    remote.repos["me/big"].files["model.safetensors"] = b"x" * 1000
    monkeypatch.setattr("sansi.cli.fetch.weights_total", lambda *_: 30 * 2**30, raising=False)
    from sansi.engine import memory

    plan = memory.plan_memory
    monkeypatch.setattr(memory, "plan_memory", lambda *a: plan(*a[:8], None, *a[9:]))  # as if the file were as large
    for verb in (["run", "-m", "me/big", "Hi"], ["serve", "me/big", "--port", 0], ["chat", "me/big"]):
        done = sansi(*verb)
        last = done.err.splitlines()[-1]
        assert done.code == 1 and "does not fit" in last and "GiB" in last and "the largest that fits is Qwen3-" in last
    assert not remote.fetched("model.safetensors")
    assert "warning: on this machine" in sansi("pull", "me/big").err


def test_a_quantisation_that_fits_is_named(sansi, remote, monkeypatch):
    from sansi.engine import memory

    seen = []

    def plan(stored, **options):
        seen.append(options.get("quantize"))
        if options.get("quantize") != "int4":
            raise memory.SansiError("the model does not fit: 9 GiB", param="memory")

    monkeypatch.setattr(memory, "plan_checkpoint", plan)
    done = sansi("run", "-m", NAME, "Hi")
    assert done.code == 1 and "--quantize int4 fits" in done.err and seen[0] is None


def test_a_disk_that_is_too_small_is_told_before_the_download(sansi, remote, monkeypatch):
    monkeypatch.setattr("shutil.disk_usage", lambda _: types.SimpleNamespace(free=1000))
    done = sansi("pull", NAME)
    assert done.code == 1 and "1000 B are free" in done.err and "HF_HOME" in done.err
    assert not remote.fetched("model.safetensors")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["serve", "Qwen/Qwen3-9B"], ["no model Qwen/Qwen3-9B", 'did you mean "Qwen3-8B"']),
        (["run", "-m", "Qwen3-9B", "Hi"], ["neither a folder nor the name of a model", '"Qwen3-8B"']),
        (["chat", f"{NAME}@nowhere"], ['no revision "nowhere"']),
        (["pull", "nano"], ["comes with the package"]),
        (["run", "-m", NAME, "Hi", "--hub", "nowhere"], ['no hub "nowhere"']),
        (["info", "./nothing"], ["no such model folder"]),
        (["serve", "model.gguf"], ["GGUF"]),
        (["run", "-m", NAME, "Hi", "--temperature", "-3"], ["temperature"]),
    ],
)
def test_a_mistake_is_one_sentence_before_anything_is_fetched(sansi, remote, tmp_path, arguments, words):
    (tmp_path / "work" / "model.gguf").write_bytes(b"GGUF")
    extra = ["--port", 0] if arguments[0] == "serve" else []
    done = sansi(*arguments, *extra)
    assert done.code == 1 and done.err.startswith("error: ") and done.err.count("\n") == 1
    assert all(word in done.err for word in words), done.err
    assert not remote.fetched("model.safetensors")


@pytest.mark.parametrize("verb", ["serve", "run", "info"])
@pytest.mark.parametrize("hub", ["answers", "is away"])
def test_a_slip_in_the_path_of_a_folder_is_told(sansi, remote, tiny, verb, hub):
    if hub == "is away":
        remote.status = 418
    shutil.copytree(tiny, "checkpoints/nano")
    arguments = {"run": ["run", "-m", "checkpoints/nan", "Hi"]}.get(verb, [verb, "checkpoints/nan"])
    done = sansi(*arguments, *(["--port", 0] if verb == "serve" else []))
    assert done.code == 1 and done.err.count("\n") == 1, done.err
    assert 'no folder checkpoints/nan; did you mean "checkpoints/nano"?' in done.err
    why = "there is no model checkpoints/nan" if hub == "answers" else "can not be reached"
    assert why in done.err  # and it may have been meant as a name


def test_without_a_network_the_cache_serves_and_the_rest_says_what_to_do(remote, tmp_path):
    command = [sys.executable, "-m", "sansi.cli"]
    online = settings(remote.url, tmp_path)
    done = subprocess.run([*command, "pull", NAME], env=online, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    offline = settings(CLOSED, tmp_path)
    ask = [*command, "run", "Hi", "--max-tokens", "3", "-m"]
    done = subprocess.run([*ask, NAME], env=offline, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    done = subprocess.run([*ask, "Qwen3-1.7B"], env=offline, capture_output=True, text=True, timeout=120)
    assert done.returncode == 1 and "hf download Qwen/Qwen3-1.7B --local-dir FOLDER" in done.stderr
    assert done.stderr.count("\n") == 1
