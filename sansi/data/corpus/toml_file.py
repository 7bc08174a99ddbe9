"""A corpus's TOML file, and a corpus that is named on a command line."""

from __future__ import annotations

import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from sansi.base.config import load_config
from sansi.base.errors import SansiError
from sansi.data.corpus.config import CorpusConfig, SourceConfig


@dataclass(frozen=True)
class CorpusFile:
    """What a file says, and the folder from which its paths are read."""

    config: CorpusConfig
    base: Path


def load_corpus_file(path: Path) -> CorpusFile:
    """Read a TOML file. Raises SansiError that lists every problem in it."""
    path = Path(path)
    if not path.is_file():
        raise SansiError(f"{path}: no such file; give a TOML file, or --path for files without one")
    try:
        values = tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SansiError(f"{path}: not TOML ({error})") from error
    return CorpusFile(load_config(CorpusConfig, values, str(path)), path.resolve().parent)


def corpus_of_paths(paths: Sequence[str], licence: str | None) -> CorpusFile:
    """A corpus of some files alone."""
    if not licence:
        raise SansiError("say under which licence the files are: --licence CC0-1.0, or --licence unknown")
    return CorpusFile(CorpusConfig(source=(SourceConfig(path=tuple(paths), licence=licence),)), Path())
