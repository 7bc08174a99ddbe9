"""What a built corpus says of itself: the manifest for programs, the report for people."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from sansi.base.config import load_config
from sansi.base.digests import file_sha256
from sansi.base.errors import SansiError
from sansi.base.files import read_json, write_json
from sansi.data.corpus.inputs import FORMAT, CorpusInputs
from sansi.data.corpus.origin import Origin
from sansi.data.ledger import Balance
from sansi.data.store import columns_of

MANIFEST_FILE = "manifest.json"


@dataclass(frozen=True)
class SourceReport:
    """What became of one source."""

    name: str
    package: str  # or the paths, as they were given
    version: str
    licence: str
    sha256: str | None  # of the archive
    languages: dict[str, int]  # documents kept, by language; code by the programming language
    bytes_by_language: dict[str, int]
    natural: tuple[str, ...]  # languages that people speak, countries and scripts left out
    licences: dict[str, int]
    bytes_by_licence: dict[str, int]
    records: int  # that were read
    bytes_read: int
    documents: int
    bytes: int  # of text kept, as UTF-8
    held_out: int  # documents kept apart for evaluation
    dropped: dict[str, int] = field(default_factory=dict)  # documents by reason
    quarantined: dict[str, int] = field(default_factory=dict)
    files: dict[str, str] = field(default_factory=dict)  # path in the corpus -> SHA-256

    @property
    def balance(self) -> Balance:
        kept = self.documents + self.held_out
        return Balance(self.records, kept, Counter(self.dropped), Counter(self.quarantined))


def source_report(folder: Path, origin: Origin) -> SourceReport:
    """Counted from what was written."""
    languages: Counter[str] = Counter()
    sizes: Counter[str] = Counter()
    licences: Counter[str] = Counter()
    licence_sizes: Counter[str] = Counter()
    natural: set[str] = set()
    fates: dict[str, Counter[str]] = {"kept": Counter(), "dropped": Counter(), "quarantined": Counter()}
    records = size = held_out = 0
    files: dict[str, str] = {}
    for part in ("documents", "held_out", "ledger"):
        for file in _files(folder / part / origin.name):
            files[file.relative_to(folder).as_posix()] = file_sha256(file)
    for file in _files(folder / "documents" / origin.name):
        columns = columns_of(file, ["language", "kind", "licence", "size"])
        for language, kind, licence, length in zip(*columns.values(), strict=True):
            languages[language] += 1
            sizes[language] += length
            licences[licence] += 1
            licence_sizes[licence] += length
            if kind != "code" and language not in ("und", "zxx"):
                natural.add(language.split("-")[0])
    for file in _files(folder / "held_out" / origin.name):
        held_out += len(columns_of(file, ["id"])["id"])
    for file in _files(folder / "ledger" / origin.name):
        columns = columns_of(file, ["state", "rule", "size"])
        records += len(columns["state"])
        size += sum(columns["size"])
        for state, rule in zip(columns["state"], columns["rule"], strict=True):
            fates[state][rule or ""] += 1
    return SourceReport(
        **asdict(origin),
        languages=_sorted(languages),
        bytes_by_language=_sorted(sizes),
        natural=tuple(sorted(natural)),
        licences=_sorted(licences),
        bytes_by_licence=_sorted(licence_sizes),
        records=records,
        bytes_read=size,
        documents=languages.total(),
        bytes=sizes.total(),
        held_out=held_out,
        dropped=_sorted(fates["dropped"]),
        quarantined=_sorted(fates["quarantined"]),
        files=files,
    )


@dataclass(frozen=True)
class CorpusReport:
    """What a corpus holds."""

    folder: Path
    sources: tuple[SourceReport, ...]
    inputs: CorpusInputs

    @property
    def documents(self) -> int:
        return sum(source.documents for source in self.sources)

    @property
    def bytes(self) -> int:
        return sum(source.bytes for source in self.sources)

    @property
    def languages(self) -> int:
        """Each once over all sources, whatever its script or country; programming languages are not among them."""
        return len({language for source in self.sources for language in source.natural})

    @property
    def balance(self) -> Balance:
        return sum((source.balance for source in self.sources), Balance())

    def check(self) -> None:
        """Raise SansiError where a source's counts do not add up, or no document is left."""
        for source in self.sources:
            source.balance.check(source.name)
        if any(source.documents or source.held_out for source in self.sources):
            return
        lost = self.balance.dropped + self.balance.quarantined
        why = ", ".join(f"{count:,} {reason}" for reason, count in lost.most_common()) or "they hold no records"
        raise SansiError(
            f"no document of the sources is left ({why}); name others, or loosen their rules", param="sources"
        )

    @classmethod
    def load(cls, folder: Path) -> CorpusReport:
        """Read the manifest of a built corpus. Raises SansiError when there is none, or it is no corpus's."""
        path = Path(folder) / MANIFEST_FILE
        if not path.is_file():
            raise SansiError(f"{folder}: no corpus here ({MANIFEST_FILE} is missing); build one, or finish its build")
        manifest = read_json(path)
        if not isinstance(manifest, dict) or manifest.get("format") != FORMAT:
            raise SansiError(f"{path}: not the manifest of a corpus, or of an older version; build the corpus again")
        sources = tuple(load_config(SourceReport, part, str(path)) for part in manifest["sources"])
        return cls(Path(folder), sources, CorpusInputs.load(manifest["inputs"], str(path)))

    def as_dict(self) -> dict[str, Any]:
        sources = [asdict(source) for source in self.sources]
        return {"format": FORMAT, "languages": self.languages, "inputs": self.inputs.as_dict(), "sources": sources}

    def write(self) -> None:
        write_json(self.folder / MANIFEST_FILE, self.as_dict())

    def table(self) -> str:
        """A Markdown table, a line per source and the total."""
        head = "| source | package | licence | languages | documents | MB | held out | dropped | quarantined |"
        rule = "|---|---|---|--:|--:|--:|--:|---|---|"
        lines = [_table_line(source) for source in self.sources]
        total = f"| all | | | {self.languages} | {self.documents} | {self.bytes / 1e6:.2f} | | | |"
        return "\n".join([head, rule, *lines, total]) + "\n"


def _table_line(source: SourceReport) -> str:
    dropped, quarantined = (
        ", ".join(f"{reason} {count}" for reason, count in counts.items())
        for counts in (source.dropped, source.quarantined)
    )
    facts = f"{source.name} | {source.package} {source.version} | {source.licence}"
    size, languages = f"{source.bytes / 1e6:.2f}", len(source.natural)
    return f"| {facts} | {languages} | {source.documents} | {size} | {source.held_out} | {dropped} | {quarantined} |"


def _files(folder: Path) -> Iterator[Path]:
    yield from sorted(folder.glob("*.parquet"))


def _sorted(counts: Counter[str]) -> dict[str, int]:
    return dict(sorted(counts.items()))
