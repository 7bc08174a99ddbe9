"""Build a corpus: fetch, extract, annotate, filter, deduplicate, decontaminate, write; and read it back.

A corpus folder holds `documents/SOURCE.jsonl`, `held_out/SOURCE.jsonl` (for evaluation), `manifest.json` (what came
from where, under which licence, with digests) and `report.md`.
"""

from __future__ import annotations

import dataclasses
import hashlib
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from sansi.base.config import load_config
from sansi.base.errors import SansiError
from sansi.base.files import atomic_folder, read_json, write_json, write_text
from sansi.base.progress import progress_bar
from sansi.data.annotate import annotate
from sansi.data.decontaminate import Decontaminator
from sansi.data.dedup import Deduplicator
from sansi.data.documents import Document, read_documents, write_documents
from sansi.data.fetch import fetched
from sansi.data.filters import reason_to_drop
from sansi.data.sources import SOURCES, Source, find_sources

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
class CorpusReport:
    """What a corpus holds. `languages` counts each once over all sources, programming languages apart."""

    folder: Path
    sources: tuple[SourceReport, ...]
    languages: int

    @property
    def documents(self) -> int:
        return sum(source.documents for source in self.sources)

    @property
    def bytes(self) -> int:
        return sum(source.bytes for source in self.sources)

    @classmethod
    def load(cls, folder: Path) -> CorpusReport:
        """Read the manifest of a built corpus. Raises SansiError when there is none."""
        manifest = read_json(Path(folder) / MANIFEST_FILE)
        sources = tuple(load_config(SourceReport, part, MANIFEST_FILE) for part in manifest["sources"])
        return cls(Path(folder), sources, manifest["languages"])

    def table(self) -> str:
        """A Markdown table, a line per source and the total."""
        head = "| source | package | licence | languages | documents | MB | held out | dropped |"
        rule = "|---|---|---|--:|--:|--:|--:|---|"
        lines = [_table_line(source) for source in self.sources]
        total = f"| all | | | {self.languages} | {self.documents} | {self.bytes / 1e6:.2f} | | |"
        return "\n".join([head, rule, *lines, total]) + "\n"


def build_corpus(
    out: Path,
    sources: Iterable[str] | None = None,
    limit_bytes: Mapping[str, int] | None = None,
    *,
    evaluation_texts: Iterable[str] = (),
    cache: Path | None = None,
    known: Iterable[Source] = SOURCES,
) -> CorpusReport:
    """Build a corpus in `out`, which appears whole or not at all.

    `sources` names the sources (default: those marked so); one that can not be fetched is an error. `limit_bytes` caps
    the text of a source by name, over its own limit. Archives are kept in `cache` (default: `cache/` beside `out`).
    No document that overlaps with one of `evaluation_texts` is kept.
    """
    out = Path(out)
    cache = Path(cache) if cache is not None else out.parent / "cache"
    chosen = _with_limits(find_sources(sources, known), limit_bytes or {})
    builder = _Builder(Deduplicator(), Decontaminator(evaluation_texts), cache)
    with atomic_folder(out) as draft, progress_bar("corpus", len(chosen)) as bar:
        for source in chosen:
            builder.add(source, draft)
            bar.update(note=source.name)
        report = CorpusReport(out, tuple(builder.reports), len(builder.languages))
        _write_report(draft, report)
    return report


def read_corpus(folder: Path, sources: Iterable[str] | None = None, held_out: bool = False) -> Iterator[Document]:
    """The documents of a corpus, of all its sources or the named ones."""
    folder = Path(folder)
    built = [source.name for source in CorpusReport.load(folder).sources]
    wanted = built if sources is None else list(sources)
    for name in wanted:
        if name not in built:
            raise SansiError(
                f'{folder}: no source "{name}" in this corpus; it holds {", ".join(built)}', param="sources"
            )
    for name in wanted:
        yield from read_documents(folder / ("held_out" if held_out else "documents") / f"{name}.jsonl")


class _Builder:
    """Carries what must be known across sources: what was kept already, and every language met."""

    def __init__(self, deduplicate: Deduplicator, decontaminate: Decontaminator, cache: Path):
        self.deduplicate, self.decontaminate, self.cache = deduplicate, decontaminate, cache
        self.reports: list[SourceReport] = []
        self.languages: set[str] = set()

    def add(self, source: Source, folder: Path) -> None:
        dropped: Counter[str] = Counter()
        kept: list[Document] = []
        held_out: list[Document] = []
        with fetched(source, self.cache) as package:
            for raw in source.extract(package.root):
                document = annotate(raw, source)
                reason = reason_to_drop(document, dataclasses.replace(source, min_bytes=1) if raw.held_out else source)
                if reason is None and raw.held_out:
                    held_out.append(document)
                elif reason is None:
                    kept.append(document)
                else:
                    dropped[reason] += 1
            version, sha256 = package.version, package.sha256
        kept = self._reduce(kept, source, dropped)
        for name, documents in (("documents", kept), ("held_out", held_out)):
            (folder / name).mkdir(exist_ok=True)
            write_documents(folder / name / f"{source.name}.jsonl", documents)
        self._report(source, version, sha256, kept, len(held_out), dropped)

    def _reduce(self, documents: list[Document], source: Source, dropped: Counter[str]) -> list[Document]:
        clean = [document for document in documents if not self.decontaminate.is_contaminated(document.text)]
        distinct = list(self.deduplicate(clean))
        kept = cap(distinct, source.limit_bytes)
        for reason, before, after in (
            ("in an evaluation set", documents, clean),
            ("duplicate", clean, distinct),
            ("over the limit", distinct, kept),
        ):
            if len(before) > len(after):
                dropped[reason] = len(before) - len(after)
        return kept

    def _report(
        self,
        source: Source,
        version: str,
        sha256: str | None,
        kept: list[Document],
        held_out: int,
        dropped: Counter[str],
    ) -> None:
        languages = {document.language for document in kept if document.kind != "code"}
        self.languages |= {language.split("-")[0] for language in languages}
        size = sum(document.size for document in kept)
        facts = (source.name, source.package, version, source.licence, sha256)
        counts = (len(languages), len(kept), size, held_out, dict(sorted(dropped.items())))
        self.reports.append(SourceReport(*facts, *counts))


def cap(documents: list[Document], limit: int | None) -> list[Document]:
    """At most `limit` bytes of the documents, chosen evenly by a hash of their ids, in their own order."""
    if limit is None:
        return documents
    order = sorted(documents, key=lambda document: hashlib.blake2b(document.id.encode()).digest())
    kept, size = set(), 0
    for document in order:
        if size + document.size <= limit:
            kept.add(document.id)
            size += document.size
    return [document for document in documents if document.id in kept]


def _with_limits(sources: list[Source], limits: Mapping[str, int]) -> list[Source]:
    names = [source.name for source in sources]
    for name in limits:
        if name not in names:
            raise SansiError(
                f'"limit_bytes" names "{name}", which is not built; sources: {", ".join(names)}', param="limit_bytes"
            )
    return [dataclasses.replace(s, limit_bytes=limits.get(s.name, s.limit_bytes)) for s in sources]


def _write_report(folder: Path, report: CorpusReport) -> None:
    sources = [dataclasses.asdict(source) for source in report.sources]
    write_json(folder / MANIFEST_FILE, {"languages": report.languages, "sources": sources})
    write_text(folder / "report.md", "# Corpus\n\n" + report.table())


def _table_line(source: SourceReport) -> str:
    dropped = ", ".join(f"{reason} {count}" for reason, count in source.dropped.items())
    facts = f"{source.name} | {source.package} {source.version} | {source.licence}"
    size = f"{source.bytes / 1e6:.2f}"
    return f"| {facts} | {source.languages} | {source.documents} | {size} | {source.held_out} | {dropped} |"
