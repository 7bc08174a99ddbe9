"""What a corpus is built from and by which rules: the `[corpus]` of a TOML file, or a recipe's stage.

The shortest file that works:

    [[source]]
    path = "texts/*.jsonl"
    licence = "CC0-1.0"
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from sansi.base.config import Config, idle, too_small
from sansi.base.errors import SansiError, did_you_mean
from sansi.data.decontaminate import DecontaminationConfig
from sansi.data.dedup import DedupConfig
from sansi.data.filters import Rules
from sansi.data.packages import default_names, known_names, parse_reference
from sansi.data.pdf import PdfSettings
from sansi.data.readers import FORMATS, Fields

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
RESERVED = frozenset({"con", "nul"})


@dataclass(frozen=True, kw_only=True)
class SourceConfig(Config):
    """Where a body of text comes from and how it is read: files of yours, or a package of a registry."""

    name: str = ""
    """Used in document ids and file names; left out: made of the path or the package."""
    path: str | tuple[str, ...] = ()
    """Files, folders or globs ("notes/**/*.md"), relative to the file that names them."""
    package: str | None = None
    """A package that Sansi knows by name, or any other as "pypi:NAME==1.0", "npm:NAME@1.0", "deb:NAME"."""
    format: str | None = None
    """Of the files: jsonl, parquet, warc, text, markdown, html, man, pdf, docx or code; left out: by their endings."""
    fields: Fields | None = None
    """Of JSONL and Parquet, which field holds what: { text = "body", url = "link" }; left out: by the usual names."""
    licence: str | None = None
    """SPDX identifier or a sentence; of files it is needed, of a package it is the package's own where it tells one."""
    language: str | None = None
    """BCP-47, where all of it is in one and the files do not say so; left out: identified."""
    kind: Literal["prose", "reference", "verse", "code"] | None = None
    """Left out: by the media type. Verse and code are spared the rules that are about prose."""
    original: bool = True
    """False: translations or editions; what they repeat of originals is taken out of them."""
    extract: Literal["accurate", "fast"] | None = None
    """How the main text of web pages is found; left out: as the corpus says."""
    limit_bytes: int | None = None
    """Most bytes of text that are kept, chosen evenly by a hash of the ids."""
    held_out: float = 0.0
    """Share of the documents, by a hash of their ids, that is kept apart for evaluation and never trained on."""
    allow_newer: bool = False
    """Of a package that is known by name: take what its registry has, where that is no more the pinned version."""
    rules: Rules | None = None
    """Rules of this source; left out: the corpus's."""

    @property
    def paths(self) -> tuple[str, ...]:
        return (self.path,) if isinstance(self.path, str) else self.path

    @property
    def title(self) -> str:
        """The name, or one made of what is read."""
        if self.name:
            return self.name
        if self.package:
            return (
                re.split(r"==|@(?=\d)", self.package.partition(":")[2] or self.package)[0].strip("@").replace("/", "-")
            )
        fixed = [part for part in Path(self.paths[0]).parts if not set(part) & set("*?[")] if self.paths else []
        return re.sub(r"[^A-Za-z0-9._-]+", "-", Path(fixed[-1]).stem if fixed else "").strip("-.") or "files"

    def problems(self) -> list[str]:
        found = too_small(self, 1, "limit_bytes")
        if bool(self.paths) == bool(self.package):
            found.append('give either "path" or "package"')
        if self.name and (not _NAME.fullmatch(self.name) or self.name.lower() in RESERVED):
            found.append(f'"name" is "{self.name}"; letters, digits, ".", "_" and "-" alone make a file name')
        if self.paths and not self.licence:
            found.append('"licence" is missing: say under which licence these files are, or "unknown"')
        if not 0 <= self.held_out <= 0.5:
            found.append(f'"held_out" is {self.held_out}; it is a share from 0 to 0.5')
        if self.format is not None and self.format not in FORMATS:
            found.append(f'no format "{self.format}"{did_you_mean(self.format, FORMATS)}')
        if self.package:
            found += _unknown(self.package)
            found += idle(self, "is of files, and a package is read", "format", "fields")
            if ":" in self.package:
                found += idle(self, "is of packages that are known by name", "allow_newer")
        else:
            found += idle(self, "is of packages, and files are read", "allow_newer")
        return found


@dataclass(frozen=True, kw_only=True)
class CorpusConfig(Config):
    """Real text: fetched, extracted, annotated, filtered, deduplicated, decontaminated."""

    sources: tuple[str, ...] | None = None
    """Packages that Sansi knows, by name; left out: the usual ones, or none where `source` names others."""
    source: tuple[SourceConfig, ...] = ()
    """Sources of your own, each a table."""
    limit_bytes: dict[str, int] = field(default_factory=dict)
    """Most bytes of text by source."""
    extract: Literal["accurate", "fast"] = "accurate"
    """How the main text of web pages is found."""
    rules: Rules = field(default_factory=Rules)
    """What is dropped."""
    dedup: DedupConfig = field(default_factory=DedupConfig)
    """What counts as repeated."""
    benchmarks: tuple[str, ...] = ()
    """Evaluation sets that no document may overlap with: benchmarks that Sansi knows by name, or files of yours."""
    decontamination: DecontaminationConfig = field(default_factory=DecontaminationConfig)
    """What is no evidence that an evaluation text was copied."""
    pdf: PdfSettings = field(default_factory=PdfSettings)
    """How PDF files become text: what is done with pages that are pictures or garbled."""
    allow_newer: bool = False
    """Of all packages that are known by name: take what a registry has, where that is no more the pinned version. The
    build says so, and the manifest names the version and the digest of what was read."""
    cache: Path = Path("data/cache")
    """Where fetched archives are kept, so that another corpus does not fetch them again."""

    @property
    def named(self) -> tuple[SourceConfig, ...]:
        """Every source as a table; the known packages first."""
        names = self.sources
        if names is None:
            names = () if self.source else default_names()
        limits = self.limit_bytes
        return (*(SourceConfig(name=name, package=name, limit_bytes=limits.get(name)) for name in names), *self.source)

    def problems(self) -> list[str]:
        found = [f'two sources have the name "{name}"; give one of them another' for name in _twice(self._titles)]
        found += [
            f'"limit_bytes" names "{name}", which is not built; sources: {", ".join(self._titles)}'
            for name in self.limit_bytes
            if name not in self._titles
        ]
        found += [
            f'"limit_bytes" of "{name}" is {limit}; give bytes, at least 1'
            for name, limit in self.limit_bytes.items()
            if limit < 1
        ]
        return found + ([] if self._titles else ["no sources are named"])

    @property
    def _titles(self) -> list[str]:
        return [source.title for source in self.named]


def _unknown(package: str) -> list[str]:
    """What is wrong with the name of a package that is none of a registry's."""
    if ":" in package:
        try:
            parse_reference(package)
        except SansiError as error:
            return [str(error)]
        return []
    if package in known_names():
        return []
    return [f'unknown source "{package}"{did_you_mean(package, known_names())}']


def _twice(names: Sequence[str]) -> list[str]:
    return [name for name, count in Counter(names).items() if count > 1]
