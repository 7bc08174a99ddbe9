"""A corpus folder of documents that are there already: made by a program, or chosen from another corpus."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from sansi.base.files import atomic_folder
from sansi.data.corpus.inputs import CorpusInputs
from sansi.data.corpus.origin import Origin
from sansi.data.corpus.report import CorpusReport, source_report
from sansi.data.documents import Document
from sansi.data.ledger import Entry
from sansi.data.store import document_row, document_schema, entry_schema, table_writer


def write_corpus(out: Path, origin: Origin, documents: Iterable[Document | Entry]) -> CorpusReport:
    """Write a corpus of one source, which appears whole or not at all; the documents are taken as they are.

    An entry among them says what became of a document that is not there.
    """
    name = f"{origin.name}/00000.parquet"
    with atomic_folder(out) as draft:
        with (
            table_writer(draft / "documents" / name, document_schema()) as kept,
            table_writer(draft / "ledger" / name, entry_schema()) as ledger,
        ):
            for document in documents:
                if isinstance(document, Entry):
                    ledger.add(vars(document), 200)
                    continue
                row = document_row(document)
                kept.add(row, row["size"])
                facts = {"size": row["size"], "text_size": row["size"], "language": document.language}
                ledger.add(vars(Entry.of(document.id, "write", None, sha256=document.sha256, **facts)), 200)
        inputs = CorpusInputs({origin.name: f"{origin.package} {origin.version}".strip()}, {}, "none", {}, {})
        report = CorpusReport(draft, (source_report(draft, origin),), inputs)
        report.check()
        report.write()
    return CorpusReport.load(out)
