"""A model of a hub: what it is and what fetching it takes is known, and refused, before anything large is fetched."""

from __future__ import annotations

import os
import shutil
import tempfile
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

from sansi.base.errors import SansiError
from sansi.base.files import nearest_there
from sansi.base.progress import progress_bar, status
from sansi.base.sizes import size_text
from sansi.model.config import ModelConfig
from sansi.model.formats.files import BESIDE, described_by
from sansi.model.formats.gguf.choice import choose, label_of, parts_of, wholes
from sansi.model.formats.gguf.config import config_values
from sansi.model.formats.gguf.file import DamagedHead, GgufFile
from sansi.model.formats.gguf.names import ROPE_FACTORS
from sansi.model.hub.checks import check_files, config_of, quantisation_of, stored_kind
from sansi.model.hub.names import ModelName
from sansi.model.hub.repository import CONFIG, Hub, HubFile, Repository, files_of, read_index, weights_of

HEAD_BYTES, MOST_HEAD_BYTES = 16 * 2**20, 256 * 2**20  # of a GGUF file: metadata, with the tokenizer, and tensors
SPARE_DISK = 64 * 2**20  # bytes that a download leaves free


@dataclass(frozen=True)
class Offer:
    """A model on a hub, and what fetching it takes."""

    repository: Repository
    files: list[HubFile]
    config: ModelConfig
    weight_bytes: int
    """Of all files with weights."""
    kind: str | None
    """ "int8" or "int4" where they are quantised already."""
    dtype: str
    """Of weights that are not quantised; of those of other programs their format."""
    missing: int
    """Bytes that are not in the cache."""
    gguf: str | None = None
    """The GGUF file that is the model; of several parts the first."""

    @property
    def size(self) -> int:
        return sum(file.size for file in self.files)

    def __str__(self) -> str:
        size = size_text(self.size)
        here = "" if self.missing == self.size else f", {size_text(self.size - self.missing)} of it are here already"
        licence = self.repository.licence or "not stated"
        return f"{self.repository.name}: {size}{here}; licence: {licence}; from {self.repository.hub}"


def look_up(hub: Hub, name: ModelName) -> Offer:
    """What the hub offers under the name; nothing large is read. Raises SansiError where Sansi could not use it."""
    with status(f"asking {hub.title} for {name}"):
        repository = hub.repository(name)
        if chosen := _gguf_of(repository):
            return _gguf_offer(hub, repository, chosen)
        check_files(repository)
        values = _described(hub, repository)
        config = config_of(repository, values)
        index = read_index(hub, repository)
    files = files_of(repository, index)
    nbytes = sum(file.size for file in weights_of(repository, index))
    missing = sum(file.size - hub.present(repository, file) for file in files)
    kind = stored_kind(values)
    method = None if kind else quantisation_of(values)
    dtype = method or str(values.get("torch_dtype") or values.get("dtype") or "float32")
    return Offer(repository, files, config, nbytes, kind, dtype, missing)


def _described(hub: Hub, repository: Repository) -> dict[str, Any]:
    """Its config.json, with the settings of a quantisation that lie in a file of their own."""
    values = hub.read(repository, CONFIG)
    beside = next((name for name in BESIDE if repository.file(name)), None)
    if beside is None or described_by(values) is not None:
        return values
    return {**values, "quantization_config": {"quant_method": BESIDE[beside], **hub.read(repository, beside)}}


def _gguf_of(repository: Repository) -> str | None:
    """The GGUF file that is meant; None where the model is meant in another format.

    Raises SansiError, with their names, where it could be several.
    """
    name, files = repository.name, wholes(file.name for file in repository.files)
    if name.file is None and (not files or repository.file(CONFIG)):
        return None
    if not files:
        raise SansiError(f"{name.repository} has no GGUF files; leave the colon and what follows out")
    return choose(files, name.file, name.repository)


def _gguf_offer(hub: Hub, repository: Repository, chosen: str) -> Offer:
    parts = [repository.file(name) for name in parts_of(chosen)]
    if None in parts:
        raise SansiError(f"{repository.name}: not all parts of {chosen} are there; take another file or revision")
    weights = [part for part in parts if part is not None]
    cards = [f for f in repository.files if fnmatch(f.name, "README*") or fnmatch(f.name, "LICENSE*")]
    files, nbytes = cards + weights, sum(file.size for file in weights)
    missing = sum(file.size - hub.present(repository, file) for file in files)
    config = _config_in(hub, repository, weights[0])
    return Offer(repository, files, config, nbytes, None, f"gguf {label_of(chosen)}", missing, chosen)


def _config_in(hub: Hub, repository: Repository, file: HubFile) -> ModelConfig:
    """The configuration in a GGUF file that nobody has fetched yet. Raises SansiError where it is not one of ours."""
    with tempfile.TemporaryDirectory() as folder:
        head, count = Path(folder) / "head.gguf", HEAD_BYTES
        while True:
            head.write_bytes(hub.beginning(repository, file, count))
            os.truncate(head, file.size)  # zeros to its end, which take no room
            try:
                opened = GgufFile(head, alone=True)
                opened.tensors.pop(ROPE_FACTORS, None)  # its numbers are not there
                return ModelConfig.from_hf(config_values(opened), f"{repository.name}: {file.name}")
            except SansiError as error:
                if count >= min(file.size, MOST_HEAD_BYTES) or not isinstance(error, DamagedHead):
                    told = str(error).replace(str(head), f"{repository.name}: {file.name}")
                    raise SansiError(told, code=error.code) from error
            count *= 4


def download(hub: Hub, offer: Offer) -> Path:
    """Fetch the files, with a bar; the model's folder, or its GGUF file.

    Raises SansiError if the disk is too small, before anything is fetched.
    """
    free = shutil.disk_usage(nearest_there(hub.cache)).free
    if offer.missing + SPARE_DISK > free:
        variable = "HF_HOME" if hub.title == "Hugging Face" else "MODELSCOPE_CACHE"
        sizes = f"{size_text(offer.missing)} are to be fetched, and {size_text(free)} are free at {hub.cache}"
        raise SansiError(f"{sizes}; make room (`sansi list`, `sansi remove`), or set {variable} to another disk")
    with progress_bar(str(offer.repository.name), offer.size, unit="bytes") as bar:
        folder = hub.download(offer.repository, offer.files, bar.update)
    return folder / offer.gguf if offer.gguf else folder
