"""A model that a recipe names: one that comes with the package, or one of a hub."""

from __future__ import annotations

from pathlib import Path

from sansi.base.bundled import bundled_models
from sansi.base.progress import progress_bar
from sansi.model.presets import preset_of


def may_name_model(name: str) -> bool:
    """Whether it is a name and not a path: of a bundled model, of an official one, or OWNER/NAME of a hub."""
    owned = "/" in name.strip("/") and not name.startswith((".", "~", "/"))
    return owned or name.lower() in bundled_models() or preset_of(name) is not None


def find_given_model(name: str) -> Path:
    """The folder of a bundled model, or of a hub's, which is fetched unless its cache has it. Raises SansiError."""
    if bundled := bundled_models().get(name.lower()):
        return bundled
    from sansi.model.hub import open_hub, read_name
    from sansi.model.hub.checks import check_files
    from sansi.model.hub.repository import files_of, read_index

    wanted, hub = read_name(name), open_hub()
    if folder := hub.folder(wanted):
        return folder
    repository = hub.repository(wanted)
    check_files(repository)
    files = files_of(repository, read_index(hub, repository))
    with progress_bar(str(repository.name), sum(file.size for file in files), unit="bytes") as bar:
        return hub.download(repository, files, bar.update)
