"""What becomes of each document: one file of decisions for each file of documents, a row for each of its rows."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from sansi.base.errors import SansiError
from sansi.data.blocks import join_blocks, split_blocks, without
from sansi.data.documents import Document
from sansi.data.ledger import Dropped
from sansi.data.store import read_table, table_writer

State = Literal["kept", "cut", "dropped"]
DIGITS = 32  # of the text's SHA-256 that a decision repeats


@dataclass(frozen=True)
class Decision:
    """What becomes of the document in one row."""

    row: int
    state: State
    digest: str  # the first digits of the SHA-256 of the text that was judged
    rule: str | None = None  # of a document that is dropped
    value: str | None = None  # what broke the rule: a similarity, a share, a passage
    other: str | None = None  # id of the document, or of the evaluation text, because of which
    cut: tuple[int, ...] = ()  # numbers of the blocks of the text that go
    copies: int = 1  # of a kept document: it and those that were dropped because they are like it


def decision_files(out: Path, count: int) -> list[Path]:
    """The decisions of `count` files of documents, in their order."""
    return [Path(out) / f"{number:05d}.parquet" for number in range(count)]


def read_decisions(path: Path) -> Iterator[Decision]:
    """The decisions of a file, a row after the other."""
    for row in read_table(path):
        yield Decision(**row | {"cut": tuple(row["cut"])})


def write_decision_rows(path: Path, decisions: Iterator[Decision]) -> None:
    """Write a file of decisions, whole or not at all."""
    import pyarrow as pa

    schema = pa.schema(
        {
            "row": pa.int64(),
            "state": pa.string(),
            "digest": pa.string(),
            "rule": pa.string(),
            "value": pa.string(),
            "other": pa.string(),
            "cut": pa.list_(pa.int32()),
            "copies": pa.int64(),
        }
    )
    with table_writer(path, schema) as writer:
        for decision in decisions:
            writer.add(dataclasses.asdict(decision), 100)


def apply(document: Document, decision: Decision) -> Document | Dropped:
    """The document as it is kept, or why it is not.

    A kept one that stood in the corpus several times says so in `metadata["copies"]`. Raises SansiError for a document
    that is not the one that was judged.
    """
    if not document.sha256.startswith(decision.digest):
        raise SansiError(f"{document.id}: its text is another than was judged; judge the documents again")
    if decision.state == "dropped":
        return Dropped(decision.rule or "", decision.value)
    if decision.copies > 1:
        document = dataclasses.replace(document, metadata={**document.metadata, "copies": str(decision.copies)})
    if decision.state == "cut":
        return document.with_text(join_blocks(without(split_blocks(document.text), decision.cut)))
    return document


def apply_all(documents: Iterator[Document], decisions: Sequence[Decision] | Iterator[Decision]) -> Iterator[Document]:
    """The documents that are kept, as they are kept."""
    for document, decision in zip(documents, decisions, strict=True):
        kept = apply(document, decision)
        if isinstance(kept, Document):
            yield kept
