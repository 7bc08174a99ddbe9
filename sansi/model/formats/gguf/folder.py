"""A model folder that stands for a GGUF file: configuration and tokenizer as files, the weights stay where they are."""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path
from typing import Any

from sansi.base.caches import cache_folder
from sansi.base.codec_file import GENERATION_CONFIG
from sansi.base.errors import SansiError
from sansi.base.files import WRITTEN, atomic_folder, json_text, read_json, write_bytes
from sansi.base.model_card import CARD_FILE
from sansi.model.formats.gguf.choice import wholes
from sansi.model.formats.gguf.config import GENERATION, config_values, generation_values
from sansi.model.formats.gguf.file import GgufFile, split_files
from sansi.model.formats.gguf.tokens import stop_ids, tokenizer_files

FORM = 2
"""Of what is written here; folders of another form are not taken from the cache."""


BESIDE = (GENERATION_CONFIG, CARD_FILE)
"""Files that are taken from beside a GGUF file which is the only one in its folder: they are about it."""


def folder_of(file: str | Path) -> Path:
    """The folder for a GGUF file, made the first time in the user's cache: config.json, tokenizer, generation_config.

    What lies in BESIDE it goes before what the file says. A file that changed gets another folder. Raises SansiError
    for a file that is damaged or none, of another architecture or tokenizer, and for a cache that can not be written.
    """
    path = Path(os.path.abspath(file))  # not what a link leads to: in a hub's cache that has another name
    if not path.is_file():
        raise SansiError(f"{file}: no such file; check the path")
    folder = gguf_cache() / _key(path)
    if not (folder / "config.json").is_file():
        files = _files(GgufFile(path))
        try:
            folder.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise SansiError(f"{folder.parent} can not be made ({error.strerror}); set XDG_CACHE_HOME") from error
        with atomic_folder(folder) as draft:
            for name, data in files.items():
                write_bytes(draft / name, data)
    return folder


def gguf_cache() -> Path:
    """Where the folders are kept. Raises SansiError where there is no home."""
    try:
        return cache_folder("gguf")
    except RuntimeError as error:
        raise SansiError(f"there is no home for a cache ({error}); set XDG_CACHE_HOME to a folder") from error


def _key(path: Path) -> str:
    """The file's name, and a digest of where it lies and of which state it is."""
    known = [*split_files(path), *_beside(path)]
    parts = [(str(part), os.path.realpath(part), _state(part)) for part in known]
    digest = hashlib.sha256(repr((FORM, parts)).encode("utf-8", "surrogateescape")).hexdigest()[:16]
    stem = path.name.removesuffix(".gguf")
    return f"{stem.encode('utf-8', 'ignore')[:100].decode('utf-8', 'ignore')}-{digest}"


def _beside(path: Path) -> list[Path]:
    names = [file.name for file in path.parent.iterdir() if file.is_file()]
    return [path.with_name(name) for name in BESIDE if name in names] if len(wholes(names)) == 1 else []


def _state(file: Path) -> tuple[int, int]:
    found = file.stat()
    return found.st_size, found.st_mtime_ns


def _files(file: GgufFile) -> dict[str, bytes]:
    from sansi.model.config import ModelConfig

    values = config_values(file)
    ModelConfig.from_hf(values, str(file.path))  # says now what would be said of config.json
    ends = stop_ids(file.metadata)
    files: dict[str, Any] = {
        "config.json": {**values, "quantization_config": {"quant_method": "gguf", "file": str(file.path)}},
        "generation_config.json": _generation(file, ends),
        **tokenizer_files(file.metadata, str(file.path)),
    }
    for beside in _beside(file.path):
        files[beside.name] = {**files.get(beside.name, {}), **_object(beside)}
    texts = {name: json_text(value).encode("utf-8", "surrogatepass") for name, value in files.items()}
    return texts | {"README.md": _card(file).encode("utf-8", "replace")}


def _object(file: Path) -> dict[str, Any]:
    value = read_json(file, WRITTEN)
    if not isinstance(value, dict):
        raise SansiError(f"{file} must be a JSON object; correct it, or take it away from the GGUF file")
    return value


def _generation(file: GgufFile, ends: list[int]) -> dict[str, Any]:
    try:
        kept = json.loads(file.metadata.get(GENERATION, "null"))
    except (ValueError, TypeError):
        kept = None
    return kept if isinstance(kept, dict) else generation_values(file.metadata, ends)


def _card(file: GgufFile) -> str:
    """What the file says of itself."""
    says = file.metadata.get
    licence, name = says("general.license"), says("general.name") or file.path.name
    front = [f"license: {licence}"] if isinstance(licence, str) and licence else []
    bases = [says(f"general.base_model.{n}.repo_url") for n in range(says("general.base_model.count", 0) or 0)]
    front += [f"base_model: {base.removeprefix('https://huggingface.co/')}" for base in bases if isinstance(base, str)]
    return "\n".join(["---", *front, "---", f"# {name}", "", f"Read from {file.path} ({file.kind}).", ""])
