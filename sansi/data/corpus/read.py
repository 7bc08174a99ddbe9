"""Read a built corpus."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

from sansi.base.errors import SansiError
from sansi.data.corpus.report import CorpusReport
from sansi.data.documents import Document
from sansi.data.store import read_documents


def corpus_files(folder: Path, sources: Iterable[str] | None = None, held_out: bool = False) -> list[Path]:
    """The files of documents of a corpus, of all its sources or the named ones, in the corpus's order."""
    folder = Path(folder)
    reports = {source.name: source for source in CorpusReport.load(folder).sources}
    wanted = list(reports) if sources is None else list(sources)
    for name in wanted:
        if name not in reports:
            raise SansiError(
                f'{folder}: no source "{name}" in this corpus; it holds {", ".join(reports)}', param="sources"
            )
    begin = "held_out/" if held_out else "documents/"
    return [folder / file for name in wanted for file in sorted(reports[name].files) if file.startswith(begin)]


def read_corpus(folder: Path, sources: Iterable[str] | None = None, held_out: bool = False) -> Iterator[Document]:
    """The documents of a corpus, of all its sources or the named ones."""
    for file in corpus_files(folder, sources, held_out):
        yield from read_documents(file)
