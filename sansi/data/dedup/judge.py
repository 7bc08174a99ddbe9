"""Which documents stay: judged one by one in an order of their own, each against those that stay before it.

All that is compared lies on disk, sorted by the jobs before (`index`); what is held in memory are a few bytes for each
document and each paragraph that repeats. A document that shares nothing with another is kept without being looked at.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from sansi.data.blocks import Block, join_blocks, split_blocks, with_orphans, without
from sansi.data.columns import Column, Columns, Documents, column_writer
from sansi.data.dedup.config import DedupConfig
from sansi.data.dedup.features import keys_of, shingles_of
from sansi.data.dedup.index import KeyIndex, SharedParagraphs, Texts, repeating_rows
from sansi.data.dedup.shingles import Shingles, block_codes, shared
from sansi.data.documents import Document
from sansi.data.ledger import Dropped

DUPLICATE, CONTAINED, REPEATED = "duplicate", "contained in another", "mostly repeated"

BATCH_ROWS = 50_000
VERDICTS = pa.schema(
    {
        "rule": pa.string(),
        "value": pa.string(),
        "other": pa.int64(),  # number of a document
        "cut": pa.list_(pa.int32()),
        "cut_bytes": pa.int64(),
        "copies": pa.int64(),
    }
)

Revise = Callable[[Document], Dropped | None]
"""Judges what is left of a document that lost paragraphs: None if it is kept."""


@dataclass(frozen=True)
class Verdict:
    """What becomes of a document that is looked at."""

    dropped: Dropped | None = None
    other: int | None = None  # because of which
    cut: frozenset[int] = frozenset()  # blocks
    cut_bytes: int = 0


KEPT = Verdict()


@dataclass
class _Rests:
    """What is left of kept documents that lost paragraphs: their shingles in a file, their keys in memory."""

    file: int
    keys: dict[int, list[int]] = field(default_factory=dict)
    places: dict[int, tuple[int, int]] = field(default_factory=dict)  # document -> begin and count of its shingles
    end: int = 0

    def add(self, document: int, shingles: Shingles, keys: Column) -> None:
        self.places[document] = (self.end, len(shingles))
        os.pwrite(self.file, shingles.tobytes(), self.end)
        self.end += shingles.nbytes
        for key in keys.tolist():
            self.keys.setdefault(key, []).append(document)

    def shingles(self, document: int) -> Shingles:
        begin, count = self.places[document]
        return np.frombuffer(os.pread(self.file, 4 * count, begin), np.uint32)

    def meeting(self, keys: Column) -> list[int]:
        return [document for key in keys.tolist() for document in self.keys.get(key, ())] if self.keys else []


class Judge:
    """Judges all documents. Its arrays are by the documents' numbers: the place among all of all files."""

    def __init__(
        self, documents: Documents, order: Columns, keys: KeyIndex, shared_paragraphs: SharedParagraphs, texts: Texts,
        config: DedupConfig, revise: Revise | None, rests: int,
    ):  # fmt: skip
        self.documents, self.keys, self.shared, self.texts = documents, keys, shared_paragraphs, texts
        self.config, self.revise = config, revise
        self.order, self.copy_of = order.column("order"), order.column("copy_of")
        self.rank = np.empty(len(documents), np.uint32)
        self.rank[self.order] = np.arange(len(documents), dtype=np.uint32)
        self.verdicts: dict[int, Verdict] = {}  # of those that are not kept as they are
        self.removed = np.zeros(len(documents), bool)
        self.copies = np.ones(len(documents), np.uint32)
        self._owner = np.full(len(shared_paragraphs), -1, np.int64)  # of a paragraph that repeats: who keeps it
        # Of each group of documents with the same key, those that are kept: they stand where the group stands.
        self._members, self._counts = np.zeros(len(keys), np.uint32), np.zeros(len(keys), np.uint32)
        self._rests = _Rests(rests)
        self._turns = bytearray(len(documents))  # 1 at the rank of each document that must be looked at

    def run(self) -> None:
        looked_at = self.keys.in_company(len(self.documents)) | (
            self.copy_of != np.arange(len(self.documents), dtype=np.uint32)
        )
        for start, features in zip(self.documents.starts[:-1], self.documents.files, strict=True):
            looked_at[start : start + len(features)] |= repeating_rows(features, self.shared)
        self._turns[:] = looked_at[self.order].tobytes()
        turn = -1
        while (turn := self._turns.find(1, turn + 1)) >= 0:
            self._decide(int(self.order[turn]))

    def _decide(self, document: int) -> None:
        verdict = self._judge(document)
        if verdict is not KEPT:
            self.verdicts[document] = verdict
        if verdict.dropped:
            self.removed[document] = True
            if verdict.other is not None and verdict.dropped.rule in (DUPLICATE, CONTAINED):
                self.copies[verdict.other] += 1

    def _judge(self, document: int) -> Verdict:
        first = int(self.copy_of[document])
        if first != document and not self.removed[first]:
            return Verdict(Dropped(DUPLICATE, 1.0), first)
        keys = self.documents.row("keys", document)
        groups = self.keys.groups(keys)
        shingles = self.documents.row("shingles", document)
        if found := self._resembling(shingles, self._kept_wholes(*groups), self._rests.meeting(keys)):
            return found
        digests = self.documents.row("paragraphs", document)
        places = self.shared.places(digests)
        verdict = KEPT
        if (places >= 0).any():
            verdict = self._without_repeats(document, digests, places)
            if verdict.dropped:
                return verdict
        self._owner[places[places >= 0]] = np.where(
            self._owner[places[places >= 0]] < 0, document, self._owner[places[places >= 0]]
        )
        self._enter(document, *groups)
        return verdict

    def _kept_wholes(self, begins: Column, ends: Column) -> list[int]:
        begins = begins[ends - begins > 1]
        counts = self._counts[begins]
        return [
            document
            for begin, count in zip(begins[counts > 0].tolist(), counts[counts > 0].tolist(), strict=True)
            for document in self._members[begin : begin + count].tolist()
        ]

    def _enter(self, document: int, begins: Column, ends: Column) -> None:
        begins = begins[ends - begins > 1]
        self._members[begins + self._counts[begins]] = document
        self._counts[begins] += 1

    def _resembling(self, shingles: Shingles, wholes: Iterable[int], rests: Iterable[int]) -> Verdict | None:
        """Why a document with these shingles goes, if one of the candidates is like it or holds it."""
        met: dict[tuple[int, bool], int] = {}
        for candidates, is_rest in ((wholes, False), (rests, True)):
            for other in candidates:
                met[other, is_rest] = met.get((other, is_rest), 0) + 1
        for other, is_rest in sorted(met, key=lambda one: (-met[one], int(self.rank[one[0]]), one[1])):
            theirs = self._rests.shingles(other) if is_rest else self.documents.row("shingles", other)
            common = shared(shingles, theirs)
            similarity = common / max(len(shingles) + len(theirs) - common, 1)
            if similarity >= self.config.similarity:
                return Verdict(Dropped(DUPLICATE, similarity), other)
            if common >= self.config.containment * len(shingles):
                return Verdict(Dropped(CONTAINED, common / len(shingles)), other)
        return None

    def _without_repeats(self, number: int, digests: Column, places: npt.NDArray[np.int64]) -> Verdict:
        """What is cut from a document of whose paragraphs some repeat, or why it is dropped."""
        known = {index for index, place in enumerate(places.tolist()) if place >= 0 and self._owner[place] >= 0}
        seen: set[int] = set()
        twice = set()
        for index, digest in enumerate(digests.tolist()):
            if digest in seen:
                twice.add(index)
            seen.add(digest)
        if not known and not twice:
            return KEPT
        at = self.documents.row("blocks", number).tolist()
        sizes = self.documents.row("sizes", number).tolist()
        document = self.texts.read(*self.documents.place(number))
        blocks = split_blocks(document.text)
        cut = with_orphans(blocks, {at[index] for index in known | twice}, set(range(len(blocks))) - set(at))
        if not self._leaves_a_document(blocks, cut, at, sizes, known, places):
            share = sum(sizes[index] for index in known) / max(document.size, 1)
            return Verdict(Dropped(REPEATED, share), self._main_owner(known, sizes, places))
        rest = document.with_text(join_blocks(without(blocks, cut)))
        if self.revise and (dropped := self.revise(rest)):
            return Verdict(dropped)
        codes = block_codes(split_blocks(rest.text))
        shingles = shingles_of(rest, codes)
        keys = keys_of(shingles, self.config)
        if found := self._resembling(shingles, self._uncut(number, keys), self._rests.meeting(keys)):
            return found
        self._rests.add(number, shingles, keys)
        return Verdict(cut=frozenset(cut), cut_bytes=document.size - rest.size)

    def _leaves_a_document(
        self, blocks: Sequence[Block], cut: set[int], at: Sequence[int], sizes: Sequence[int], known: set[int],
        places: npt.NDArray[np.int64],
    ) -> bool:  # fmt: skip
        """Whether what is new in a document can be read without what is known. What it repeats of itself is no loss."""
        config = self.config
        new = [index for index in range(len(at)) if index not in known]
        if not new:  # what is left are short lines: of a dialogue they are the document
            left = sum(len(block.text.encode()) for block in without(blocks, cut))
            return left > 0 and left >= config.min_rest * (left + self._counted(known, sizes, places))
        inside = {index for index in range(new[0], new[-1]) if index in known}
        holes = sum(sizes[index] for index in inside)
        rest = sum(sizes[index] for index in new)
        counted = self._counted(known - inside, sizes, places)
        return holes < config.max_holes * (rest + holes) and rest >= config.min_rest * (rest + holes + counted)

    def _counted(self, known: Iterable[int], sizes: Sequence[int], places: npt.NDArray[np.int64]) -> int:
        """Bytes of the known paragraphs that are no boilerplate."""
        return sum(sizes[index] for index in known if self.shared.documents[places[index]] < self.config.boilerplate)

    def _main_owner(self, known: set[int], sizes: Sequence[int], places: npt.NDArray[np.int64]) -> int:
        owned: dict[int, int] = {}
        for index in known:
            owner = int(self._owner[places[index]])
            owned[owner] = owned.get(owner, 0) + sizes[index]
        return min(owned, key=lambda owner: (-owned[owner], int(self.rank[owner])))

    def _uncut(self, number: int, keys: Column) -> list[int]:
        """Documents with one of these keys that are kept as they are; those to come will be looked at for it."""
        found: list[int] = []
        begins, ends = self.keys.groups(keys)
        for begin, end in zip(begins[ends > begins].tolist(), ends[ends > begins].tolist(), strict=True):
            for other in self.keys.documents(begin, end).tolist():
                if self.rank[other] > self.rank[number]:
                    self._turns[self.rank[other]] = 1
                elif other not in self.verdicts and other != number:
                    found.append(other)
        return found


def write_verdicts(
    output: Path, features: Sequence[Path], order: Path, keys: Sequence[Path], paragraphs: Sequence[Path],
    texts: Sequence[Path], config: DedupConfig, revise: Revise | None,
) -> None:  # fmt: skip
    """The job that judges all documents; a row for each, in the order of their numbers."""
    documents = Documents(features)
    with tempfile.TemporaryFile(dir=output.parent) as rests:
        judge = Judge(
            documents, Columns(order), KeyIndex(keys), SharedParagraphs(paragraphs), Texts(texts),
            config, revise, rests.fileno(),
        )  # fmt: skip
        judge.run()
    with column_writer(output, VERDICTS) as writer:
        for begin in range(0, len(documents), BATCH_ROWS):
            numbers = range(begin, min(begin + BATCH_ROWS, len(documents)))
            rows = [_row(judge.verdicts.get(number, KEPT), int(judge.copies[number])) for number in numbers]
            writer.write_batch(pa.RecordBatch.from_pylist(rows, VERDICTS))


def _row(verdict: Verdict, copies: int) -> dict[str, Any]:
    dropped = verdict.dropped
    value = dropped.value if dropped else None
    return {
        "rule": dropped.rule if dropped else None,
        "value": None if value is None else f"{value:.6g}" if isinstance(value, float) else str(value),
        "other": verdict.other,
        "cut": sorted(verdict.cut),
        "cut_bytes": verdict.cut_bytes,
        "copies": copies,
    }
