"""Deduplication of documents that a test has in memory."""

from __future__ import annotations

import dataclasses
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from documents_made import document
from sansi.base.config import load_config
from sansi.data.dedup import DedupConfig, apply_all, decision_files, deduplicate, read_decisions
from sansi.data.documents import Document
from sansi.data.store import read_documents, write_documents
from sansi.data.work import LocalExecutor


def deduplicated(
    documents: Sequence[Document], files: int = 1, config: Mapping[str, object] | None = None
) -> list[Document]:
    """What is kept of the documents, which lie in some files, in their order."""
    with tempfile.TemporaryDirectory() as folder:
        paths = write_files(Path(folder), documents, files)
        out = Path(folder) / "decisions"
        deduplicate(paths, out, load_config(DedupConfig, config or {}), LocalExecutor(0))
        return list(kept_in(paths, out))


def write_files(folder: Path, documents: Sequence[Document], files: int) -> list[Path]:
    size = -(-len(documents) // files)
    paths = [folder / f"documents-{number}.parquet" for number in range(files)]
    for number, path in enumerate(paths):
        write_documents(path, documents[number * size : (number + 1) * size])
    return paths


def kept_in(files: Sequence[Path], out: Path) -> Iterable[Document]:
    for path, decisions in zip(files, decision_files(out, len(files)), strict=True):
        yield from apply_all(read_documents(path), read_decisions(decisions))


def kept_of(*texts: str, kind: str = "prose", config: Mapping[str, object] | None = None) -> list[str]:
    made = [dataclasses.replace(document(text, kind=kind), id=str(n)) for n, text in enumerate(texts)]
    return [d.text for d in deduplicated(made, config=config)]
