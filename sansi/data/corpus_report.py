"""What a built corpus records of itself: what became of each source, and from what it was built by which rules."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

from sansi.base.config import load_config
from sansi.base.differences import ABSENT, changes
from sansi.base.errors import SansiError
from sansi.base.files import read_json, write_json, write_text
from sansi.data import decontaminate, dedup, filters, languages
from sansi.data.packages import Package

MANIFEST_FILE = "manifest.json"


@dataclass(frozen=True)
class SourceReport:
    """What became of one source."""

    name: str
    package: str
    version: str
    licence: str
    sha256: str | None  # of the archive
    languages: int
    documents: int
    bytes: int  # of text kept, as UTF-8
    held_out: int  # documents kept apart for evaluation
    dropped: dict[str, int] = field(default_factory=dict)  # documents by reason


@dataclass(frozen=True)
class CorpusInputs:
    """What a corpus is built from. Two corpora of equal inputs hold the same documents."""

    sources: dict[str, str]  # name -> package, version and digest
    limits: dict[str, int]  # bytes of text at most, by source
    evaluation: str  # digest of the evaluation texts, whatever their order; "none" if there are none
    rules: dict[str, float]  # thresholds of filters, deduplication and decontamination

    @classmethod
    def of(cls, sources: Sequence[Package], evaluation_texts: Iterable[str]) -> CorpusInputs:
        return cls(
            sources={
                source.name: f"{source.package} {source.version} {source.sha256 or ''}".strip() for source in sources
            },
            limits={source.name: source.limit_bytes for source in sources if source.limit_bytes is not None},
            evaluation=digest_texts(evaluation_texts),
            rules=RULES,
        )

    def differences(self, other: CorpusInputs) -> list[str]:
        """What `other` has otherwise, a phrase for each."""
        found = [] if self.evaluation == other.evaluation else ["another evaluation set"]
        for part, noun in (("sources", "source"), ("limits", "limit of"), ("rules", "rule")):
            there, here = (
                {f'{noun} "{name}"': value for name, value in getattr(inputs, part).items()} for inputs in (self, other)
            )
            found += changes(there, here, lambda value: "none" if value == ABSENT else str(value))
        return found


# A change of what the rules do counts up "version"; then a corpus of before is another one.
RULES: dict[str, float] = {
    "version": 2,
    "min_quality": languages.MIN_QUALITY,
    "max_repeated_lines": languages.MAX_REPEATED_LINES,
    "max_compression": languages.COMPRESSION,
    "max_english": filters.MAX_ENGLISH,
    "max_markup": filters.MAX_MARKUP,
    "duplicate_similarity": dedup.SIMILARITY,
    "duplicate_shingle_words": dedup.SHINGLE_WORDS,
    "evaluation_run_words": decontaminate.RUN_WORDS,
}


@dataclass(frozen=True)
class CorpusReport:
    """What a corpus holds. `languages` counts each once over all sources, programming languages apart."""

    folder: Path
    sources: tuple[SourceReport, ...]
    languages: int
    inputs: CorpusInputs | None = None  # None: written by a version that did not record them

    @property
    def documents(self) -> int:
        return sum(source.documents for source in self.sources)

    @property
    def bytes(self) -> int:
        return sum(source.bytes for source in self.sources)

    @classmethod
    def load(cls, folder: Path) -> CorpusReport:
        """Read the manifest of a built corpus. Raises SansiError when there is none, or it is no corpus's."""
        path = Path(folder) / MANIFEST_FILE
        manifest = read_json(path)
        if not isinstance(manifest, dict) or not isinstance(manifest.get("sources"), list):
            raise SansiError(f"{path}: not the manifest of a corpus; build the corpus in another folder")
        sources = tuple(load_config(SourceReport, part, str(path)) for part in manifest["sources"])
        inputs = manifest.get("inputs")
        loaded = None if inputs is None else load_config(CorpusInputs, inputs, str(path))
        return cls(Path(folder), sources, int(manifest.get("languages", 0)), loaded)

    def write(self, folder: Path) -> None:
        sources = [asdict(source) for source in self.sources]
        inputs = asdict(self.inputs) if self.inputs else None
        write_json(folder / MANIFEST_FILE, {"languages": self.languages, "inputs": inputs, "sources": sources})
        write_text(folder / "report.md", "# Corpus\n\n" + self.table())

    def table(self) -> str:
        """A Markdown table, a line per source and the total."""
        head = "| source | package | licence | languages | documents | MB | held out | dropped |"
        rule = "|---|---|---|--:|--:|--:|--:|---|"
        lines = [_table_line(source) for source in self.sources]
        total = f"| all | | | {self.languages} | {self.documents} | {self.bytes / 1e6:.2f} | | |"
        return "\n".join([head, rule, *lines, total]) + "\n"


def digest_texts(texts: Iterable[str]) -> str:
    """A digest of a set of texts, whatever their order."""
    parts = sorted({hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest() for text in texts})
    return hashlib.sha256("\n".join(parts).encode()).hexdigest() if parts else "none"


def check_inputs(folder: Path, inputs: CorpusInputs) -> CorpusReport:
    """The report of a corpus that was built from these inputs. Raises SansiError that says what differs."""
    report = CorpusReport.load(folder)
    advice = "build into another folder, or move this one away and build again"
    if report.inputs is None:
        raise SansiError(f"{folder}: this corpus does not record what it was built from (an older version); {advice}")
    if differences := report.inputs.differences(inputs):
        raise SansiError(f"{folder}: this corpus was built from something else: {'; '.join(differences)}; {advice}")
    return report


def with_limits(sources: Sequence[Package], limits: Mapping[str, int]) -> list[Package]:
    """The sources with other limits. Raises SansiError for a limit of a source that is not among them."""
    names = [source.name for source in sources]
    for name, limit in limits.items():
        if name not in names:
            raise SansiError(
                f'"limit_bytes" names "{name}", which is not built; sources: {", ".join(names)}', param="limit_bytes"
            )
        if isinstance(limit, bool) or not isinstance(limit, int) or limit < 1:
            raise SansiError(f'"limit_bytes" of "{name}" is {limit!r}; give bytes, at least 1', param="limit_bytes")
    return [replace(s, limit_bytes=limits.get(s.name, s.limit_bytes)) for s in sources]


def _table_line(source: SourceReport) -> str:
    dropped = ", ".join(f"{reason} {count}" for reason, count in source.dropped.items())
    facts = f"{source.name} | {source.package} {source.version} | {source.licence}"
    size = f"{source.bytes / 1e6:.2f}"
    return f"| {facts} | {source.languages} | {source.documents} | {size} | {source.held_out} | {dropped} |"
