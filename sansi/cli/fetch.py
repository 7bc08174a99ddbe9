"""A model of a hub: what it is and whether it fits is told, and refused, before anything large is fetched."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from sansi.base.errors import SansiError
from sansi.base.progress import status
from sansi.cli.sizes import show_bytes

if TYPE_CHECKING:
    from sansi.engine.memory import MemoryPlan, Stored
    from sansi.model.hub import Hub, HubFile, ModelName, Repository

SPARE_DISK = 64 * 2**20  # bytes that a download leaves free


@dataclass(frozen=True)
class Offer:
    """A model on a hub, and what fetching it takes."""

    repository: Repository
    files: list[HubFile]
    stored: Stored
    dtype: str
    """Of weights that are not quantised."""
    missing: int
    """Bytes that are not in the cache."""

    @property
    def size(self) -> int:
        return sum(file.size for file in self.files)

    def __str__(self) -> str:
        size = show_bytes(self.size)
        here = "" if self.missing == self.size else f", {show_bytes(self.size - self.missing)} of it are here already"
        licence = self.repository.licence or "not stated"
        return f"{self.repository.name}: {size}{here}; licence: {licence}; from {self.repository.hub}"


def fetch(model: str, hub_name: str, plan: Mapping[str, Any]) -> tuple[ModelName, Path]:
    """The folder of a hub's model in the hub's own cache. What is whole there is taken without asking the hub.

    Raises SansiError, before the download, for what is unknown, not for you, not of this kind, or too large.
    """
    from sansi.model.hub import open_hub, read_name

    name, hub = read_name(model), open_hub(hub_name)
    folder = hub.folder(name)
    if folder is None:
        offer = look_up(hub, name)
        tell(str(offer))
        check_memory(offer.stored, plan)
        folder = download(hub, offer)
    return name, folder


def look_up(hub: Hub, name: ModelName) -> Offer:
    """What the hub offers under the name; nothing large is read. Raises SansiError where Sansi could not use it."""
    from sansi.model.hub.checks import check_files, config_of, stored_kind
    from sansi.model.hub.repository import CONFIG, files_of, read_index, weights_of

    with status(f"asking {hub.title} for {name}"):
        repository = hub.repository(name)
        check_files(repository)
        values = hub.read(repository, CONFIG)
        config = config_of(repository, values)
        index = read_index(hub, repository)
    from sansi.engine.memory import Stored  # torch comes with it: last, since most mistakes are found before

    files = files_of(repository, index)
    nbytes = sum(file.size for file in weights_of(repository, index))
    missing = sum(file.size - hub.present(repository, file) for file in files)
    dtype = str(values.get("torch_dtype") or values.get("dtype") or "float32")
    return Offer(repository, files, Stored(config, nbytes, stored_kind(values)), dtype, missing)


def download(hub: Hub, offer: Offer) -> Path:
    """Fetch the files, with a bar. Raises SansiError if the disk is too small, before anything is fetched."""
    from sansi.base.progress import progress_bar

    place = next(folder for folder in (hub.cache, *hub.cache.parents) if folder.exists())
    free = shutil.disk_usage(place).free
    if offer.missing + SPARE_DISK > free:
        variable = "HF_HOME" if hub.title == "Hugging Face" else "MODELSCOPE_CACHE"
        sizes = f"{show_bytes(offer.missing)} are to be fetched, and {show_bytes(free)} are free at {hub.cache}"
        raise SansiError(f"{sizes}; make room (`sansi list`, `sansi remove`), or set {variable} to another disk")
    with progress_bar(str(offer.repository.name), offer.size, unit="bytes") as bar:
        return hub.download(offer.repository, offer.files, bar.update)


def check_memory(stored: Stored, plan: Mapping[str, Any]) -> MemoryPlan:
    """What it will take. Raises SansiError with the numbers, and with what would fit, where it can not run here."""
    from sansi.engine.memory import plan_checkpoint

    try:
        return plan_checkpoint(stored, **plan)
    except SansiError as error:
        if error.param != "memory":
            raise
        raise SansiError(f"{error}{what_fits(stored, plan)}", param="memory") from error


def what_fits(stored: Stored, plan: Mapping[str, Any]) -> str:
    """'; …' with the quantisation that lets the model fit, or the largest published one that does."""
    if kind := smallest_change(stored, plan):
        return f"; --quantize {kind} fits"
    from sansi.engine.memory import Stored as Weights
    from sansi.model import PRESETS, ModelConfig

    for preset in reversed(list(PRESETS)):
        config = ModelConfig.preset(preset)
        kind = smallest_change(Weights(config, 2 * config.num_parameters()), plan)
        if kind is not None:
            return f"; the largest that fits is {preset}{f' with --quantize {kind}' if kind else ''}"
    return ""


def smallest_change(stored: Stored, plan: Mapping[str, Any]) -> str | None:
    """The quantisation with which a model fits: "" if it fits as it is, None if it does with none."""
    if _fits(stored, plan):
        return ""
    return next((kind for kind in _kinds(plan) if _fits(stored, {**plan, "quantize": kind})), None)


def _kinds(plan: Mapping[str, Any]) -> list[str]:
    from sansi.base.device import resolve_device

    on_cpu = resolve_device(plan.get("device", "auto")).type == "cpu"
    smaller = {None: ["int8", "int4"], "int8": ["int4"], "int4": []}
    return smaller.get(plan.get("quantize"), []) if on_cpu else []


def _fits(stored: Stored, plan: Mapping[str, Any]) -> bool:
    from sansi.engine.memory import plan_checkpoint

    try:
        plan_checkpoint(stored, **plan)
    except SansiError:
        return False
    return True


def tell(text: str) -> None:
    """A line for who watches; standard output stays the answer's."""
    typer.echo(text, err=True)
