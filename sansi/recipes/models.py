"""A model that a recipe names: one that comes with the package, or one of a hub."""

from __future__ import annotations

from pathlib import Path

from sansi.base.bundled import bundled_models
from sansi.model.hub.packaged import fetch_packaged, packaged_model
from sansi.model.presets import preset_of


def may_name_model(name: str) -> bool:
    """Whether it is a name and not a path: of a model in a package, of an official one, or OWNER/NAME of a hub."""
    owned = "/" in name.strip("/") and not name.startswith((".", "~", "/"))
    known = name.lower() in bundled_models() or packaged_model(name) is not None
    return owned or known or preset_of(name) is not None


def find_given_model(name: str) -> Path:
    """The folder of a bundled model, or of a hub's, which is fetched unless its cache has it.

    Raises SansiError, before anything large is fetched, for what Sansi can not use and for a disk that is too small.
    """
    if bundled := bundled_models().get(name.lower()):
        return bundled
    from sansi.model.formats.folders import model_folder
    from sansi.model.hub import open_hub, read_name
    from sansi.model.hub.offer import download, look_up

    if packaged := packaged_model(name):
        return model_folder(fetch_packaged(packaged))
    wanted, hub = read_name(name), open_hub()
    if folder := hub.folder(wanted):
        return model_folder(folder)
    offer = look_up(hub, wanted)
    print(f"   {offer}", flush=True)
    return model_folder(download(hub, offer))
