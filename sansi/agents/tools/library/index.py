"""Passages in SQLite: found by BM25 (FTS5), and by the nearness of vectors where they have some."""

from __future__ import annotations

import hashlib
import sqlite3
import threading
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from sansi.agents.tools.library.embeddings import Embeddings
from sansi.agents.tools.library.passages import Passage, passages_of
from sansi.agents.tools.library.words import query_of, terms, terms_are_others
from sansi.base.errors import SansiError
from sansi.documents import Document

CANDIDATES = 50  # of each way of searching, before they are brought together
# Reciprocal rank fusion (Cormack, Clarke and Büttcher, 2009) and its constant.
FUSION = 60
HEAD_WEIGHT = 2.0  # of a word in the file's name, title or heading, against one in the passage
_SCHEMA = """
CREATE TABLE IF NOT EXISTS files (name TEXT PRIMARY KEY, state TEXT NOT NULL, title TEXT, pages INTEGER);
CREATE TABLE IF NOT EXISTS passages (
    id INTEGER PRIMARY KEY, file TEXT NOT NULL, text TEXT NOT NULL, first INTEGER NOT NULL, last INTEGER NOT NULL,
    page INTEGER, heading TEXT NOT NULL, digest TEXT NOT NULL);
CREATE INDEX IF NOT EXISTS passages_file ON passages (file);
CREATE VIRTUAL TABLE IF NOT EXISTS words USING fts5(head, body, tokenize = 'porter ascii');
CREATE TABLE IF NOT EXISTS vectors (model TEXT, digest TEXT, vector BLOB NOT NULL, PRIMARY KEY (model, digest));
"""
_COLUMNS = "passages.file, passages.text, passages.first, passages.last, passages.page, passages.heading"


@dataclass(frozen=True)
class Found:
    """A passage, and how well it fits: the higher the better, comparable within one search."""

    passage: Passage
    score: float


class Index:
    """Safe for threads. path: a file that is kept; None: memory alone. Raises SansiError where it is no index."""

    def __init__(self, path: str | Path | None = None):
        self._lock = threading.RLock()
        try:
            self._base = sqlite3.connect(path or ":memory:", check_same_thread=False)
            self._base.executescript(_SCHEMA)
            self._forget_other_terms()
        except sqlite3.Error as error:
            raise SansiError(f"the index {path or 'in memory'} can not be opened: {error}", param="index") from error

    def _forget_other_terms(self) -> None:
        """Files whose words were kept by another version are read again; vectors, which cost more, stay."""
        with self._base:
            if terms_are_others(self._base):
                for table in ("files", "passages", "words"):
                    self._base.execute(f"DELETE FROM {table}")

    def close(self) -> None:
        with self._lock:
            self._base.close()

    def states(self) -> dict[str, str]:
        """The files by name, and what they were when they were read."""
        with self._lock:
            return dict(self._base.execute("SELECT name, state FROM files ORDER BY name"))

    def add(self, name: str, document: Document, state: str = "") -> int:
        """Put in a file, in place of what was there under its name; how many passages it has. state: tells whether a
        file has changed since."""
        passages = passages_of(document, name)
        with self._lock, self._base:
            self._remove(name)
            self._base.execute("INSERT INTO files VALUES (?, ?, ?, ?)", (name, state, document.title, document.pages))
            for passage in passages:
                self._insert(passage, document.title or "")
        return len(passages)

    def remove(self, name: str) -> None:
        with self._lock, self._base:
            self._remove(name)

    def search(
        self, query: str, count: int = 5, files: Iterable[str] | None = None, embeddings: Embeddings | None = None
    ) -> list[Found]:
        """The passages that fit best, the best first. files: only of these. embeddings: search by meaning, too.

        Raises SansiError where the server of the embeddings fails.
        """
        wanted = None if files is None else sorted(set(files))
        by_words = self._by_words(query, wanted)
        if embeddings is None:
            ranked = by_words
        else:
            ranked = _fused([list(by_words), list(self._by_meaning(query, wanted, embeddings))])
        best = sorted(ranked.items(), key=lambda item: (-item[1], item[0]))[:count]
        return [Found(self._passage(number), score) for number, score in best]

    def embed(self, embeddings: Embeddings) -> int:
        """Get vectors for all passages that have none of this model; how many were got. Raises SansiError."""
        known = "SELECT digest FROM vectors WHERE model = ?"
        sql = f"SELECT DISTINCT digest, text FROM passages WHERE digest NOT IN ({known}) ORDER BY id"
        with self._lock:
            missing = self._base.execute(sql, (embeddings.model,)).fetchall()
        for at in range(0, len(missing), embeddings.batch):
            part = missing[at : at + embeddings.batch]
            vectors = embeddings.of_texts([text for _, text in part])
            rows = [(embeddings.model, digest, v.tobytes()) for (digest, _), v in zip(part, vectors, strict=True)]
            with self._lock, self._base:
                self._base.executemany("INSERT OR REPLACE INTO vectors VALUES (?, ?, ?)", rows)
        return len(missing)

    def _insert(self, passage: Passage, title: str) -> None:
        digest = hashlib.sha256(passage.text.encode("utf-8", "surrogatepass")).hexdigest()
        row = (passage.file, passage.text, passage.start, passage.end, passage.page, passage.heading, digest)
        sql = "INSERT INTO passages (file, text, first, last, page, heading, digest) VALUES (?, ?, ?, ?, ?, ?, ?)"
        number = self._base.execute(sql, row).lastrowid
        head = " ".join(terms(f"{passage.file} {title} {passage.heading}"))
        sql = "INSERT INTO words (rowid, head, body) VALUES (?, ?, ?)"
        self._base.execute(sql, (number, head, " ".join(terms(passage.text))))

    def _remove(self, name: str) -> None:
        self._base.execute("DELETE FROM words WHERE rowid IN (SELECT id FROM passages WHERE file = ?)", (name,))
        self._base.execute("DELETE FROM passages WHERE file = ?", (name,))
        self._base.execute("DELETE FROM files WHERE name = ?", (name,))

    def _by_words(self, query: str, files: Sequence[str] | None) -> dict[int, float]:
        asked = query_of(query)
        if not asked:
            return {}
        sql = (
            "SELECT passages.id, -bm25(words, ?, 1.0) AS score FROM words JOIN passages ON passages.id = words.rowid "
            f"WHERE words MATCH ?{_among(files)} ORDER BY score DESC, passages.id LIMIT ?"
        )
        with self._lock:
            return dict(self._base.execute(sql, (HEAD_WEIGHT, asked, *(files or ()), CANDIDATES)))

    def _by_meaning(self, query: str, files: Sequence[str] | None, embeddings: Embeddings) -> dict[int, float]:
        self.embed(embeddings)
        sql = (
            "SELECT passages.id, vector FROM passages JOIN vectors USING (digest) "
            f"WHERE vectors.model = ?{_among(files)} ORDER BY passages.id"
        )
        with self._lock:
            rows = self._base.execute(sql, (embeddings.model, *(files or ()))).fetchall()
        if not rows:
            return {}
        asked = embeddings.of_query(query)
        vectors = [np.frombuffer(blob, dtype=np.float32) for _, blob in rows]
        if any(len(vector) != len(asked) for vector in vectors):
            raise SansiError(f"the vectors of {embeddings.model} have another length than those that were kept")
        near = np.stack(vectors) @ asked
        best = np.argsort(-near, kind="stable")[:CANDIDATES]
        return {rows[i][0]: float(near[i]) for i in best}

    def _passage(self, number: int) -> Passage:
        with self._lock:
            row = self._base.execute(f"SELECT {_COLUMNS} FROM passages WHERE id = ?", (number,)).fetchone()
        file, text, start, end, page, heading = row
        return Passage(file, text, start, end, page, heading)


def _among(files: Sequence[str] | None) -> str:
    return "" if files is None else f" AND passages.file IN ({', '.join('?' * len(files))})"


def _fused(rankings: Sequence[Sequence[int]]) -> dict[int, float]:
    """Scores by the places that a passage has in several rankings."""
    scores: dict[int, float] = {}
    for ranking in rankings:
        for place, number in enumerate(ranking, 1):
            scores[number] = scores.get(number, 0.0) + 1.0 / (FUSION + place)
    return scores
