"""A model of a hub: what it is and what fetching it takes is known, and refused, before anything large is fetched."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

from sansi.base.errors import SansiError
from sansi.base.progress import progress_bar, status
from sansi.base.sizes import size_text
from sansi.model.config import ModelConfig
from sansi.model.hub.checks import check_files, config_of, stored_kind
from sansi.model.hub.names import ModelName
from sansi.model.hub.repository import CONFIG, Hub, HubFile, Repository, files_of, read_index, weights_of

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
    """Of weights that are not quantised."""
    missing: int
    """Bytes that are not in the cache."""

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
        check_files(repository)
        values = hub.read(repository, CONFIG)
        config = config_of(repository, values)
        index = read_index(hub, repository)
    files = files_of(repository, index)
    nbytes = sum(file.size for file in weights_of(repository, index))
    missing = sum(file.size - hub.present(repository, file) for file in files)
    dtype = str(values.get("torch_dtype") or values.get("dtype") or "float32")
    return Offer(repository, files, config, nbytes, stored_kind(values), dtype, missing)


def download(hub: Hub, offer: Offer) -> Path:
    """Fetch the files, with a bar. Raises SansiError if the disk is too small, before anything is fetched."""
    place = next(folder for folder in (hub.cache, *hub.cache.parents) if folder.exists())
    free = shutil.disk_usage(place).free
    if offer.missing + SPARE_DISK > free:
        variable = "HF_HOME" if hub.title == "Hugging Face" else "MODELSCOPE_CACHE"
        sizes = f"{size_text(offer.missing)} are to be fetched, and {size_text(free)} are free at {hub.cache}"
        raise SansiError(f"{sizes}; make room (`sansi list`, `sansi remove`), or set {variable} to another disk")
    with progress_bar(str(offer.repository.name), offer.size, unit="bytes") as bar:
        return hub.download(offer.repository, offer.files, bar.update)
