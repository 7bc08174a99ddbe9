"""What workers do with one part: read it, keep evaluation texts out of it, write what is left of it.

Each function is a job (`sansi.data.work`): it leaves one file, and beside it a ledger in which every record of its
input ends in one state.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

from sansi.base.digests import bytes_hash64, bytes_sha256
from sansi.base.errors import SansiError
from sansi.base.files import read_json
from sansi.client.bulk import EndpointDown
from sansi.data.annotate import annotate, rescored
from sansi.data.classify import mask_personal
from sansi.data.dedup import apply, read_decisions
from sansi.data.documents import BadRecord, Document, Kind, RawDocument, Record
from sansi.data.extract import extract, reason_of
from sansi.data.filters import Rules, reason_to_drop
from sansi.data.ledger import Balance, Dropped, Entry, Quarantined
from sansi.data.parts import Part
from sansi.data.pdf import PdfReader, PdfSettings
from sansi.data.store import read_documents, read_entries, rows_of, write_documents, write_entries
from sansi.data.work import Watch


@dataclass(frozen=True)
class ReadSettings:
    """How the records of a source become documents."""

    source: str
    licence: str
    rules: Rules
    how: Literal["accurate", "fast"] = "accurate"
    language: str | None = None
    kind: Kind | None = None
    original: bool = True
    held_out: float = 0.0
    pdf: PdfSettings = field(default_factory=PdfSettings)


def ledger_of(file: Path) -> Path:
    """The ledger beside a file of documents."""
    return file.with_name(f"{file.stem}.ledger.parquet")


def held_out_of(file: Path) -> Path:
    """The held-out documents beside a file of documents."""
    return file.with_name(f"{file.stem}.held_out.parquet")


def read_part(output: Path, part: Part, settings: ReadSettings, watch: Watch, answers: Path | None = None) -> None:
    """Records to documents: extracted, annotated, filtered. answers: where those of endpoints are kept."""
    held_out: list[Document] = []
    kept: list[Document] = []
    with PdfReader(settings.pdf, answers) as pdf:
        reader = _Reader(settings, watch, pdf)
        for record in part.records():
            document = reader.read(record)
            if document is not None:
                (held_out if reader.is_held_out(record) else kept).append(document)
            watch.at(f"after {record.id}")
    watch.done()
    Balance.of(reader.entries, reader.count).check(part.name)
    write_entries(ledger_of(output), reader.entries)
    write_documents(held_out_of(output), held_out)
    write_documents(output, kept)


class _Reader:
    """Turns records into documents, and writes down what became of each."""

    def __init__(self, settings: ReadSettings, watch: Watch, pdf: PdfReader):
        self.settings, self.watch, self.pdf = settings, watch, pdf
        self.entries: list[Entry] = []
        self.count = 0

    def read(self, record: Record | BadRecord) -> Document | None:
        self.count += 1
        found: Document | None = None
        fate: Dropped | Quarantined | None
        if isinstance(record, BadRecord):
            fate = Quarantined(record.reason, record.detail)
        elif reason := self.watch.at(record.id):
            fate = Quarantined(reason, "it ended two workers")
        else:
            made = self._document(record)
            found, fate = (made, self._judged(made, record)) if isinstance(made, Document) else (None, made)
        self._enter(record, found, fate)
        return found if fate is None else None

    def is_held_out(self, record: Record | BadRecord) -> bool:
        assert isinstance(record, Record)
        return record.held_out or is_chosen(record.id, self.settings.held_out)

    def _document(self, record: Record) -> Document | Dropped | Quarantined:
        try:
            raw = self.pdf.extract(record) if is_pdf(record) else extract(record, self.settings.how)
            if isinstance(raw, Dropped):
                return raw
            return annotate(self._declared(raw), self.settings.source, self.settings.licence)
        except (MemoryError, OSError, EndpointDown):
            raise
        except SansiError as error:
            return Quarantined(reason_of(error), str(error))
        except Exception as error:  # of a library that met what its makers had not thought of: counted, never hidden
            return Quarantined("error", f"{type(error).__name__}: {error}")

    def _declared(self, raw: RawDocument) -> RawDocument:
        """With what the source says of all its records."""
        settings = self.settings
        return replace(
            raw,
            text=mask_personal(raw.text) if settings.rules.mask_personal else raw.text,
            language=raw.language or settings.language,
            kind=settings.kind or raw.kind,
            original=raw.original and settings.original,
        )

    def _judged(self, document: Document, record: Record) -> Dropped | None:
        # What is held out may be short: it is measured on, not learned from.
        rules = replace(self.settings.rules, min_bytes=1) if self.is_held_out(record) else self.settings.rules
        return reason_to_drop(document, rules)

    def _enter(self, record: Record | BadRecord, found: Document | None, fate: Dropped | Quarantined | None) -> None:
        facts: dict[str, Any] = {}
        if isinstance(record, Record):
            content = record.content
            facts = {"sha256": bytes_sha256(content), "size": len(content)}
        if found is not None:
            facts |= {"text_size": found.size, "language": found.language}
        self.entries.append(Entry.of(f"{self.settings.source}/{record.id}", "read", fate, **facts))


def is_pdf(record: Record) -> bool:
    """Whether it is read page by page, whatever it is called."""
    return isinstance(record.data, bytes) and b"%PDF-" in record.data[:1024]


def is_chosen(id: str, share: float) -> bool:
    """Whether an id is among `share` of all ids, by a hash of it."""
    return share > 0 and hash_of(id) < share * 2**64


def hash_of(id: str) -> int:
    """64 bits of an id, for choices that look random and never change."""
    return bytes_hash64(id.encode("utf-8", "surrogatepass"))


def _entry(document: Document, step: str, fate: Dropped | Quarantined | None) -> Entry:
    return Entry.of(document.id, step, fate, text_size=document.size, language=document.language)


def settle_part(output: Path, documents: Path, decisions: Path, step: str) -> None:
    """The documents without those that were decided against, and without their repeats."""
    entries, kept = [], []
    for document, decision in zip(read_documents(documents), read_decisions(decisions), strict=True):
        found = apply(document, decision)
        entries.append(_entry(document, step, found if isinstance(found, Dropped) else None))
        if isinstance(found, Document):
            kept.append(rescored(found) if found.text != document.text else found)
    write_entries(ledger_of(output), entries)
    write_documents(output, kept)


def reason_against_rest(document: Document, rules: Mapping[str, Rules]) -> Dropped | None:
    """Why what is left of a document that lost paragraphs is not kept. rules: by source."""
    return reason_to_drop(rescored(document), rules[document.source])


@dataclass(frozen=True)
class PartFiles:
    """What the steps left of one part, in their order; ledgers lie beside."""

    read: Path
    decontaminated: Path
    settled: Path

    @property
    def all(self) -> tuple[Path, ...]:
        return (self.read, self.decontaminated, self.settled)


def write_part(output: Path, files: PartFiles, documents: Path, held_out: Path, kept_ids: Path | None) -> None:
    """The part as the corpus holds it: documents, held-out documents, and last the ledger with one line per record.

    kept_ids: of a source with a limit, a file of the ids that lie within it.
    """
    within = None if kept_ids is None else frozenset(read_json(kept_ids))
    chosen = [d for d in read_documents(files.settled) if within is None or d.id in within]
    apart = list(read_documents(held_out_of(files.read)))
    entries = list(_last_entries(files, frozenset(d.id for d in chosen), {d.id for d in apart}))
    balance = Balance.of(entries, rows_of(ledger_of(files.read)))
    balance.check(str(output.stem))
    if balance.kept != len(chosen) + len(apart):
        raise SansiError(f"{output.stem}: {balance.kept} records are kept, and {len(chosen) + len(apart)} documents")
    write_documents(documents, chosen)
    write_documents(held_out, apart)
    write_entries(output, entries)


def _last_entries(files: PartFiles, kept: frozenset[str], held_out: Collection[str]) -> Iterator[Entry]:
    """Of each record the line of the step that decided."""
    later = [{entry.id: entry for entry in read_entries(ledger_of(file))} for file in files.all[1:]]
    for first in read_entries(ledger_of(files.read)):
        entry = first
        if first.state == "kept" and first.id not in held_out:
            for step in later:
                if entry.state == "kept":
                    found = step[first.id]
                    entry = replace(first, step=found.step, state=found.state, rule=found.rule, value=found.value)
            if entry.state == "kept" and entry.id not in kept:
                entry = replace(first, step="write", state="dropped", rule="over the limit")
        yield entry
