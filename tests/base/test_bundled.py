"""The bundled models are found from anywhere, and the package that is built holds them."""

import tomllib
from pathlib import Path

from sansi.base.bundled import BUNDLED, bundled_models

ROOT = Path(__file__).resolve().parents[2]


def test_nano_is_bundled_wherever_one_is(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    folder = bundled_models()["nano"]
    assert folder.is_absolute() and (folder / "model.safetensors").is_file()


def test_every_file_of_a_bundled_model_is_package_data():
    patterns = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]["package-data"]["sansi"]
    taken = {file for pattern in patterns for file in (ROOT / "sansi").glob(pattern) if file.is_file()}
    assert {file for file in BUNDLED.rglob("*") if file.is_file()} <= taken


def test_the_folder_in_the_repository_is_the_same_and_no_copy():
    assert (ROOT / "checkpoints" / "nano").resolve() == bundled_models()["nano"]
