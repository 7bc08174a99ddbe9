"""A model on a hub and in a cache, and what every hub can do."""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from sansi.base.codec_file import GENERATION_CONFIG
from sansi.base.errors import SansiError
from sansi.base.files import read_json
from sansi.model.formats.files import BESIDE, INDEX_FILE, QUANTIZED_FILE, SINGLE_FILE, weight_names
from sansi.model.formats.gguf.choice import choose, label_of, parts_of, stem_of, wholes
from sansi.model.hf_config import MODEL_TYPES
from sansi.model.hub.names import ModelName

CONFIG, TOKENIZER = "config.json", "tokenizer.json"
MIXED = ".sansi-mixed"  # lies in a folder whose files are of two versions, until all are of one
_COMPANIONS = (
    *(CONFIG, GENERATION_CONFIG, INDEX_FILE, "model_card.json", "evaluation.json", *BESIDE),
    *("*token*.json", "vocab.json", "merges.txt", "chat_template*", "README*", "LICENSE*"),
)
"""What belongs to a model beside its weights; nothing in folders, no pickles, no copies in other formats."""

Report = Callable[[int], None]
"""Called with the number of bytes that came, or that turned out to be here; less than 0 where some had to go."""


@dataclass(frozen=True)
class HubFile:
    """One file of a repository, as the hub describes it."""

    name: str
    size: int
    """Bytes."""
    sha256: str | None = None
    """Of its content, where the hub tells it; of large files it does."""
    blob_id: str | None = None
    """git's id of its content, of small files."""


@dataclass(frozen=True)
class Repository:
    """A model on a hub at one moment."""

    hub: str
    """The hub's title, for messages."""
    name: ModelName
    commit: str
    """What the revision means today."""
    licence: str | None
    files: tuple[HubFile, ...]

    def file(self, name: str) -> HubFile | None:
        return next((file for file in self.files if file.name == name), None)


@dataclass(frozen=True)
class CachedModel:
    """A model in a cache, whole or in part."""

    hub: str
    name: ModelName
    folder: Path | None
    """The model folder; None while files are missing."""
    size: int
    """Bytes on disk."""
    licence: str | None


class Hub(Protocol):
    """Where models come from. Every method that asks the network raises SansiError that says what to do."""

    title: str
    endpoint: str
    """Its address, for messages."""
    cache: Path
    default_revision: str
    """What a name without a revision means."""

    def repository(self, name: ModelName) -> Repository:
        """What the hub says of a model."""

    def read(self, repository: Repository, file: str) -> dict[str, Any]:
        """A small JSON file of a repository."""

    def present(self, repository: Repository, file: HubFile) -> int:
        """How many bytes of a file are in the cache already."""

    def beginning(self, repository: Repository, file: HubFile, count: int) -> bytes:
        """The first `count` bytes of a file, which do not come into the cache."""

    def download(self, repository: Repository, files: Sequence[HubFile], report: Report) -> Path:
        """Fetch files into the cache, go on with half ones, verify them; the folder that holds them in the end."""

    def folder(self, name: ModelName) -> Path | None:
        """The folder, or the GGUF file, of a model that is whole in the cache; asks no network."""

    def models(self) -> list[CachedModel]:
        """The models in the cache that Sansi can read; asks no network."""

    def freed(self, name: ModelName) -> int:
        """The bytes that removing it would free. Raises SansiError if it is not there."""

    def remove(self, name: ModelName) -> int:
        """Delete a model from the cache; the bytes that are free again. Raises SansiError if it is not there."""


def read_index(hub: Hub, repository: Repository) -> dict[str, Any] | None:
    """What INDEX_FILE says; None where there is none."""
    return hub.read(repository, INDEX_FILE) if repository.file(INDEX_FILE) else None


def files_of(repository: Repository, index: Mapping[str, Any] | None = None) -> list[HubFile]:
    """The files that make the model, its weights last. index: what INDEX_FILE says, where there is one."""
    small = [f for f in repository.files if any(fnmatch.fnmatchcase(f.name, pattern) for pattern in _COMPANIONS)]
    small = [file for file in small if "/" not in file.name]
    return small + weights_of(repository, index)


def weights_of(repository: Repository, index: Mapping[str, Any] | None = None) -> list[HubFile]:
    """The files with the weights. Raises SansiError where the index names others than the repository has."""
    single = repository.file(SINGLE_FILE)  # read first, whatever an index beside it says
    if index is None or single:
        single = single or repository.file(QUANTIZED_FILE)
        return [single] if single else []
    weight_map = index.get("weight_map")
    names = sorted(set(map(str, weight_map.values()))) if isinstance(weight_map, Mapping) else []
    missing = [name for name in names if repository.file(name) is None]
    if missing or not names:
        wrong = f"names {missing[0]}, which is not there" if missing else "names no files"
        raise SansiError(f"{repository.name}: {INDEX_FILE} {wrong}; take another revision or model")
    return [file for name in names if (file := repository.file(name))]


def is_whole(folder: Path) -> bool:
    """Whether a folder of a cache holds configuration, tokenizer and all weights: what is there is whole by itself."""
    if (folder / MIXED).exists():
        return False
    if not (folder / CONFIG).is_file() or not (folder / TOKENIZER).is_file():
        return False
    names = weight_names(folder)
    return bool(names) and all((folder / name).is_file() for name in names)


def found_in(folder: Path, name: ModelName) -> Path | None:
    """What is whole of a model in its folder of a cache: the folder itself, or the GGUF file that is meant.

    Raises SansiError where that could be several.
    """
    if name.file is None and is_whole(folder):
        return folder
    files = ggufs_in(folder)
    known = {said.upper() for file in files for said in (label_of(file), stem_of(file), file)}
    if not files or (name.file is not None and name.file.upper() not in known):
        return None  # another file of the repository may be meant
    return folder / choose(files, name.file, str(name))


def ggufs_in(folder: Path) -> list[str]:
    """The GGUF files in a folder of a cache of which all parts are there; of several parts the first."""
    if (folder / MIXED).exists():
        return []
    names = [file.relative_to(folder).as_posix() for file in folder.rglob("*.gguf")]
    return [name for name in wholes(names) if all((folder / part).is_file() for part in parts_of(name))]


def gguf_models(hub: str, repository: str, revision: str | None, snapshot: Path) -> list[CachedModel]:
    """Each GGUF file in a folder of a cache."""
    if (snapshot / CONFIG).exists():
        return []
    found = []
    for name in ggufs_in(snapshot):
        size = sum((snapshot / part).stat().st_size for part in parts_of(name))
        model = ModelName(repository, revision, label_of(name))
        found.append(CachedModel(hub, model, snapshot / name, size, licence_of(snapshot)))
    return found


def check_removable(name: ModelName) -> None:
    """Raise SansiError for a part of what the cache has of a repository: only all of it is removed."""
    if name.file is not None:
        whole = ModelName(name.repository, name.revision)
        raise SansiError(f"one file is not removed alone: `sansi remove {whole}` removes all files of {whole}")


def is_qwen3(config: Path) -> bool:
    """Whether a config.json is that of a model which Sansi can read."""
    return _object(config).get("model_type") in MODEL_TYPES


def size_of(folder: Path) -> int:
    """Bytes on the disk: of a link, those that it leads to; of what several links lead to, once."""
    files = {file.resolve() for file in folder.rglob("*") if file.is_file()}
    return sum(file.stat().st_size for file in files)


def _object(file: Path) -> dict[str, Any]:
    """The JSON object in a file; empty where there is none: one damaged model is not to hide the others."""
    try:
        value = read_json(file)
    except SansiError:
        return {}
    return value if isinstance(value, dict) else {}


def licence_of(folder: Path) -> str | None:
    """The licence that a model card in `folder` declares, as the hubs' front matter does; None if it does not."""
    try:
        card = (folder / "README.md").read_text(encoding="utf-8", errors="replace")[:65536]
    except OSError:
        return None
    return licence_in(card)


def licence_in(card: str) -> str | None:
    """The same of a card's text."""
    front = re.match(r"---\s*\n(.*?)\n---", card, re.DOTALL)
    fields = dict(re.findall(r"^(license(?:_name)?):[ \t]*[\"']?([\w.+-]+)", front[1], re.MULTILINE)) if front else {}
    return fields.get("license_name") if fields.get("license") == "other" else fields.get("license")
