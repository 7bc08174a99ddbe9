"""The wheel, installed beside the libraries that are here already: it starts in any directory, with its own model."""

from __future__ import annotations

import json
import re
import shutil
import signal
import site
import subprocess
import sys
import venv
import zipfile
from pathlib import Path

import httpx
import pytest

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """Built from a copy: a build leaves folders behind."""
    source = tmp_path_factory.mktemp("source")
    for name in ("pyproject.toml", "LICENSE", "docs/package.md", "MANIFEST.in"):
        (source / name).parent.mkdir(exist_ok=True)
        shutil.copy(ROOT / name, source / name)
    shutil.copytree(ROOT / "sansi", source / "sansi", ignore=shutil.ignore_patterns("__pycache__"))
    out = source / "wheels"
    build = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation", "-w", out, source]
    done = subprocess.run(build, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    return next(out.glob("*.whl"))


@pytest.fixture(scope="module")
def installed(wheel, tmp_path_factory):
    """The folder of an environment's programs; its own packages come before those that are here."""
    home = tmp_path_factory.mktemp("environment")
    venv.create(home, with_pip=False)
    python = home / "bin" / "python"
    install = [sys.executable, "-m", "pip", "--python", python, "install", "--quiet", "--no-deps", "--no-index", wheel]
    done = subprocess.run(install, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    packages = next((home / "lib").glob("python*/site-packages"))
    here = [folder for folder in (*sys.path, *site.getsitepackages()) if folder.endswith("site-packages")]
    (packages / "libraries.pth").write_text("\n".join(dict.fromkeys(here)))
    return home / "bin"


def test_the_wheel_holds_all_that_is_no_python(wheel):
    names = set(zipfile.ZipFile(wheel).namelist())
    package = ROOT / "sansi"
    for folder, pattern in (("bundled", "**/*"), ("serve/static", "**/*"), ("model/kernels/cpu", "*.[ch]*")):
        wanted = {str(file.relative_to(ROOT)) for file in (package / folder).glob(pattern) if file.is_file()}
        assert wanted and wanted <= names, wanted - names


def test_an_installed_wheel_starts_anywhere_with_its_own_model(installed, tmp_path):
    told = json.loads(subprocess.check_output([installed / "sansi", "info", "--json"], cwd=tmp_path, timeout=120))
    assert told["model"] == "nano" and Path(told["folder"]).is_relative_to(installed.parent)
    ask = [installed / "sansi", "run", "What is 12 + 7?", "--json", "--seed", "1"]
    answer = json.loads(subprocess.check_output(ask, cwd=tmp_path, timeout=120, stdin=subprocess.DEVNULL))
    assert answer["model"] == "nano" and answer["content"]


def test_an_installed_wheel_serves(installed, tmp_path):
    command = [installed / "sansi", "serve", "--port", "0", "--log-format", "off"]
    with subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE, text=True) as server:
        try:
            url = next(filter(None, (re.search(r"chat\s+(http\S+)", line) for line in server.stdout)))[1]
            body = {"model": "nano", "messages": [{"role": "user", "content": "Hello"}]}
            assert httpx.post(f"{url}/v1/chat/completions", json=body, timeout=60).status_code == 200
            assert "<html" in httpx.get(url, timeout=60).text
        finally:
            server.send_signal(signal.SIGINT)
        assert server.wait(60) == 0
