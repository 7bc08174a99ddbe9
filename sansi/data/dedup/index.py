"""What documents share, sorted on disk: their order, the MinHash keys, the paragraphs of two documents and more.

Each job sorts one range of keys or digests, so that the memory that it takes is bounded however many there are.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from sansi.data.columns import Column, Columns, Documents, write_columns
from sansi.data.documents import Document, document_line
from sansi.data.store import read_documents

Numbers = npt.NDArray[np.uint32]
Mask = npt.NDArray[np.bool_]


def write_order(output: Path, features: Sequence[Path]) -> None:
    """The documents in the order in which they are judged, and for each document the first with the same text.

    Originals come first, then longer texts, then by digest and id: an order that no order of files changes.
    """
    documents = Documents(features)
    columns = {name: documents.column(name) for name in ("id_hash", "second", "first", "size", "original")}
    order = np.lexsort(
        [columns["id_hash"], columns["second"], columns["first"], -columns["size"], ~columns["original"]]
    )
    # In a second sorting by text alone, which keeps that order among equals, copies stand side by side.
    texts = order[np.lexsort([columns["second"][order], columns["first"][order]])]
    first, second = columns["first"][texts], columns["second"][texts]
    fresh = np.ones(len(texts), bool)
    fresh[1:] = (first[1:] != first[:-1]) | (second[1:] != second[:-1])
    copy_of = np.empty(len(texts), np.uint32)
    copy_of[texts] = texts[np.maximum.accumulate(np.where(fresh, np.arange(len(texts)), 0))]
    write_columns(output, {"order": order.astype(np.uint32), "copy_of": copy_of})


def write_keys(output: Path, features: Sequence[Path], part: int, parts: int) -> None:
    """The keys in one range, sorted, each with its document."""
    keys, documents = [np.zeros(0, np.uint64)], [np.zeros(0, np.uint32)]
    start = 0
    for path in features:
        file = Columns(path)
        if len(file):
            own = file.column("keys")
            chosen = range_of(own, parts) == part
            keys.append(own[chosen])
            documents.append((start + np.nonzero(chosen)[0]).astype(np.uint32))
        start += len(file)
    key, document = np.concatenate(keys), np.concatenate(documents)
    order = np.argsort(key, kind="stable")
    write_columns(output, {"key": key[order], "document": document[order]})


def write_paragraphs(output: Path, features: Sequence[Path], order: Path, part: int, parts: int) -> None:
    """The paragraphs of one range that stand in several texts or several times in one, and how many texts hold them.

    What only copies of a whole text share is not counted: the copies are found as such.
    """
    copy_of = Columns(order).column("copy_of")
    digests, documents = [np.zeros(0, np.uint64)], [np.zeros(0, np.uint32)]
    start = 0
    for path in features:
        file = Columns(path)
        values, counts = file.flat("paragraphs")
        owners = np.repeat(np.arange(start, start + len(counts), dtype=np.uint32), counts)
        chosen = (range_of(values, parts) == part) & (copy_of[owners] == owners)
        digests.append(values[chosen])
        documents.append(owners[chosen])
        start += len(file)
    digest, document = np.concatenate(digests), np.concatenate(documents)
    sorting = np.lexsort((document, digest))
    digest, document = digest[sorting], document[sorting]
    fresh = np.ones(len(digest), bool)
    fresh[1:] = digest[1:] != digest[:-1]
    starts = np.flatnonzero(fresh)
    another = fresh.copy()  # the first of a document among those with this digest
    another[1:] |= document[1:] != document[:-1]
    if not len(starts):
        write_columns(output, {"digest": np.zeros(0, np.uint64), "documents": np.zeros(0, np.uint32)})
        return
    occurrences = np.diff(np.append(starts, len(digest)))
    texts = np.add.reduceat(another.astype(np.uint32), starts)
    repeated = occurrences > 1
    write_columns(output, {"digest": digest[starts][repeated], "documents": texts[repeated].astype(np.uint32)})


def range_of(keys: Column, parts: int) -> Column:
    """Which of `parts` equal ranges of 64-bit numbers each key lies in."""
    found: Column = ((keys >> np.uint64(32)) * np.uint64(parts)) >> np.uint64(32)
    return found


class SharedParagraphs:
    """The digests of paragraphs that repeat, in order, and how many texts hold each."""

    def __init__(self, paths: Sequence[Path]):
        files = [Columns(path) for path in paths]
        self.digests = np.concatenate([np.zeros(0, np.uint64), *(file.column("digest") for file in files)])
        self.documents = np.concatenate([np.zeros(0, np.uint32), *(file.column("documents") for file in files)])

    def __len__(self) -> int:
        return len(self.digests)

    def places(self, digests: Column) -> npt.NDArray[np.int64]:
        """Where each digest stands among those that repeat; -1 for one that does not."""
        if not len(self.digests):
            return np.full(len(digests), -1)
        places = np.minimum(np.searchsorted(self.digests, digests), len(self.digests) - 1)
        return np.where(self.digests[places] == digests, places, -1)


def write_texts(output: Path, documents: Path, features: Path, shared: Sequence[Path]) -> None:
    """The documents of one part that hold a paragraph that repeats, as they may lose it."""
    repeating = repeating_rows(Columns(features), SharedParagraphs(shared))
    rows = np.flatnonzero(repeating)
    wanted = set(rows.tolist())
    lines = [document_line(document) for row, document in enumerate(read_documents(documents)) if row in wanted]
    write_columns(output, {"row": rows.astype(np.uint32), "document": [line.encode() for line in lines]})


def repeating_rows(features: Columns, shared: SharedParagraphs) -> Mask:
    """Which rows hold a paragraph that repeats."""
    values, counts = features.flat("paragraphs")
    found = np.zeros(len(features), bool)
    found[np.repeat(np.arange(len(counts)), counts)[shared.places(values) >= 0]] = True
    return found


class Texts:
    """Documents of all parts that may lose paragraphs, read one by one."""

    def __init__(self, paths: Sequence[Path]):
        self._files = [Columns(path) for path in paths]
        self._rows = [file.column("row") for file in self._files]

    def read(self, file: int, row: int) -> Document:
        import json

        place = int(np.searchsorted(self._rows[file], row))
        assert self._rows[file][place] == row, (file, row)
        return Document(**json.loads(self._files[file].value("document", place)))


class KeyIndex:
    """All keys with their documents, sorted, in ranges."""

    def __init__(self, paths: Sequence[Path]):
        files = [Columns(path) for path in paths]
        self._keys = [file.column("key") for file in files]
        self._documents = [file.column("document") for file in files]
        self.starts = np.cumsum([0, *map(len, self._keys)])

    def __len__(self) -> int:
        return int(self.starts[-1])

    def groups(self, keys: Column) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
        """Begin and end of each key's documents among all."""
        begins, ends = np.zeros(len(keys), np.int64), np.zeros(len(keys), np.int64)
        ranges = range_of(keys, len(self._keys))
        for part in np.unique(ranges):
            chosen = ranges == part
            for side, found in (("left", begins), ("right", ends)):
                found[chosen] = self.starts[part] + np.searchsorted(self._keys[part], keys[chosen], side)  # type: ignore[call-overload]
        return begins, ends

    def documents(self, begin: int, end: int) -> Column:
        """The documents of a group, in the order of their numbers."""
        part = int(np.searchsorted(self.starts, begin, "right")) - 1
        start = int(self.starts[part])
        return self._documents[part][begin - start : end - start]

    def in_company(self, documents: int) -> Mask:
        """Which documents share a key with another."""
        found = np.zeros(documents, bool)
        for keys, owners in zip(self._keys, self._documents, strict=True):
            same = keys[1:] == keys[:-1]
            found[owners[1:][same]] = True
            found[owners[:-1][same]] = True
        return found
