"""Sources made ready: what is to be read of each, part by part."""

from __future__ import annotations

import logging
from dataclasses import dataclass, replace
from pathlib import Path

from sansi.data.corpus.config import CorpusConfig, SourceConfig
from sansi.data.corpus.origin import Origin
from sansi.data.corpus.steps import ReadSettings
from sansi.data.packages import open_package
from sansi.data.parts import Part
from sansi.data.readers import parts_of

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Feed:
    """A source that is ready to be read."""

    origin: Origin
    parts: tuple[Part, ...]
    settings: ReadSettings
    limit_bytes: int | None

    @property
    def name(self) -> str:
        return self.origin.name

    @property
    def size(self) -> int:
        """Bytes of input."""
        return sum(part.size for part in self.parts)


def feeds_of(config: CorpusConfig, folder: Path, base: Path) -> list[Feed]:
    """Every source of a configuration. Packages are fetched, and unpacked below `folder`; paths are relative to `base`.

    Raises SansiError for a source that cannot be had, and for paths that name no file.
    """
    return [
        _of_package(source, config, folder / source.title) if source.package else _of_files(source, config, base)
        for source in config.named
    ]


def _of_package(source: SourceConfig, config: CorpusConfig, folder: Path) -> Feed:
    assert source.package is not None
    newer = config.allow_newer or source.allow_newer
    opened = open_package(source.package, config.cache, folder, source.licence, newer)
    if opened.is_newer:
        log.warning(
            "%s: the registry has the pinned version of %s no more; %s is read",
            source.title,
            opened.package,
            opened.version,
        )
    rules = source.rules or config.rules
    if source.rules is None and opened.min_bytes is not None:
        rules = replace(rules, min_bytes=opened.min_bytes)
    settings = _settings(source, config, opened.licence, rules)
    limit = source.limit_bytes if source.limit_bytes is not None else opened.limit_bytes
    origin = Origin(source.title, opened.package, opened.version, opened.licence, opened.sha256)
    return Feed(origin, opened.parts, settings, limit)


def _of_files(source: SourceConfig, config: CorpusConfig, base: Path) -> Feed:
    parts = parts_of([base / path for path in source.paths], source.format, source.fields)
    settings = _settings(source, config, source.licence or "unknown", source.rules or config.rules)
    origin = Origin(source.title, " ".join(source.paths), "", settings.licence)
    return Feed(origin, tuple(parts), settings, source.limit_bytes)


def _settings(source: SourceConfig, config: CorpusConfig, licence: str, rules: object) -> ReadSettings:
    return ReadSettings(
        source=source.title,
        licence=licence,
        rules=rules,  # type: ignore[arg-type]
        how=source.extract or config.extract,
        language=source.language,
        kind=source.kind,
        original=source.original,
        held_out=source.held_out,
        pdf=config.pdf,
    )
