"""What a model folder holds beside weights and configuration: tokenizer, template, stop ids, cards."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from functools import cached_property
from pathlib import Path
from types import MappingProxyType
from typing import Any

from sansi.base.codec_file import CODEC_FILE, GENERATION_CONFIG, TOKENIZER_FILES, recorded_codec_hash, write_codec_file
from sansi.base.errors import SansiError
from sansi.base.files import as_path, mark, write_bytes
from sansi.base.strict_json import json_fault

CARDS = ("README.md", "LICENSE*", "NOTICE*")
"""Written for people, perhaps by the owner of the folder: never written over."""
_PATTERNS = (*TOKENIZER_FILES, GENERATION_CONFIG, "model_card.json", *CARDS)
MOST_BYTES = 256 * 2**20  # of one file: they are kept in memory


@dataclass(frozen=True)
class ModelBundle:
    """Files by name, as bytes. `load`, training and export pass a bundle along, so that no folder is incomplete."""

    files: Mapping[str, bytes] = field(default_factory=dict, repr=False)
    """Tokenizer, template, generation_config.json, cards; names are paths inside the folder."""
    codec_hash: str | None = None
    """`Codec.hash` of the codec that made the data; None: nobody told, or the tokenizer was changed since."""

    def __post_init__(self) -> None:
        for name in self.files:
            path = Path(name)
            if path.is_absolute() or ".." in path.parts or not path.name or name in (CODEC_FILE, "config.json"):
                raise SansiError(f'a bundle can not hold "{name}"; name a file inside the model folder', param="files")
        object.__setattr__(self, "files", MappingProxyType(dict(sorted(self.files.items()))))

    @classmethod
    def from_folder(cls, folder: str | Path) -> ModelBundle:
        """The bundle of a model or tokenizer folder (one that `Codec.save` wrote is enough to make a checkpoint of).

        Raises SansiError when there is no such folder, or a file of it is no file or too large.
        """
        folder = as_path(folder)
        if not folder.is_dir():
            raise SansiError(f"{folder}: no such folder; give a model's, or one with its tokenizer")
        found = {path for pattern in _PATTERNS for path in folder.glob(pattern) if path.is_file()}
        files = {path.relative_to(folder).as_posix(): _read(path) for path in sorted(found)}
        return cls(files, recorded_codec_hash(folder))

    @cached_property
    def digests(self) -> Mapping[str, str]:
        """sha256 of each file, hexadecimal."""
        return MappingProxyType({name: hashlib.sha256(data).hexdigest() for name, data in self.files.items()})

    @cached_property
    def generation_config(self) -> Mapping[str, Any]:
        """What generation_config.json says; empty without one. Raises SansiError if it is no JSON object."""
        return MappingProxyType(json_object(self.files, GENERATION_CONFIG))

    def stop_ids(self) -> dict[str, int | tuple[int, ...]]:
        """`eos_token_id`, all of them, and `pad_token_id`, as far as generation_config.json knows them."""
        known = {key: self.generation_config.get(key) for key in ("eos_token_id", "pad_token_id")}
        lists = {key: tuple(value) if isinstance(value, list) else (value,) for key, value in known.items()}
        whole = {key: ids for key, ids in lists.items() if ids and all(type(one) is int for one in ids)}
        return {key: ids if len(ids) > 1 else ids[0] for key, ids in whole.items()}

    def token_ids(self) -> dict[str, int]:
        """The same for a config.json, where some programs read but one id: the first."""
        return {key: ids[0] if isinstance(ids, tuple) else ids for key, ids in self.stop_ids().items()}

    def with_token_ids(self, config: Mapping[str, Any]) -> dict[str, Any]:
        """A config.json with these ids where it has none of its own."""
        return {**config, **{key: value for key, value in self.token_ids().items() if config.get(key) is None}}

    def with_generation_config(self, **values: Any) -> ModelBundle:
        """A bundle whose generation_config.json has these values, the others as they were."""
        return self.with_files({GENERATION_CONFIG: _json({**self.generation_config, **values})})

    def for_generation(self, config: Mapping[str, Any]) -> ModelBundle:
        """A bundle whose generation_config.json is this one. Raises SansiError for what JSON does not know."""
        if not isinstance(config, Mapping):
            raise SansiError(f"generation_config must be a mapping, not {type(config).__name__}")
        return self.with_files({GENERATION_CONFIG: _json(config)})

    def with_files(self, files: Mapping[str, bytes]) -> ModelBundle:
        """A bundle with these files too, or in the place of those of their name."""
        return ModelBundle({**self.files, **files}, self.codec_hash)

    def without(self, patterns: Iterable[str]) -> ModelBundle:
        """A bundle less the files that match one of the patterns, e.g. `CARDS`."""
        patterns = list(patterns)
        kept = {n: data for n, data in self.files.items() if not any(fnmatchcase(n, pattern) for pattern in patterns)}
        return ModelBundle(kept, self.codec_hash)

    def write(self, folder: str | Path) -> None:
        """Write the files, and which codec they are, into `folder`; nothing else there is touched."""
        folder = Path(folder)
        for name, data in self.files.items():
            write_bytes(folder / name, data)
        names = list(self.files)
        if self.codec_hash is not None:
            write_codec_file(folder, self.codec_hash)
            names.append(CODEC_FILE)
        mark(folder, names)


def json_object(files: Mapping[str, bytes], name: str) -> dict[str, Any]:
    """What one of a bundle's files says; empty where it is not there. Raises SansiError if it is no JSON object."""
    try:
        value = json.loads(files.get(name, b"{}"))
    except (ValueError, RecursionError) as error:
        raise SansiError(f"{name}: not valid JSON ({json_fault(error)}); correct it there") from error
    if not isinstance(value, dict):
        raise SansiError(f"{name}: not a JSON object; correct it there")
    return value


def _json(values: Mapping[str, Any]) -> bytes:
    try:
        return (json.dumps(dict(values), indent=2, ensure_ascii=False, allow_nan=False) + "\n").encode()
    except (TypeError, ValueError) as error:
        raise SansiError(f"{GENERATION_CONFIG} can not hold these values ({error}); give plain ones") from error


def _read(path: Path) -> bytes:
    if (size := path.stat().st_size) > MOST_BYTES:
        raise SansiError(f"{path} has {size:,} bytes, too many for a file of its kind; move it out of the folder")
    try:
        return path.read_bytes()
    except OSError as error:
        raise SansiError(f"{path} can not be read ({error.strerror}); allow it, or copy the folder again") from error
