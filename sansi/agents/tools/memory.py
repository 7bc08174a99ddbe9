"""`memory`: notes that a model keeps from one conversation to the next.

What was noted after strangers' text had been read may be their words, so the note says so for ever: who reads it again
has read words of strangers.
"""

from __future__ import annotations

import sqlite3
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from sansi.agents.context import ToolContext
from sansi.agents.observation import Result
from sansi.agents.tool import Tool, tool, tools_of
from sansi.agents.tools.library.words import query_of, terms, terms_are_others
from sansi.base.errors import SansiError, nearest
from sansi.base.state import state_folder

MOST_NOTES, MOST_CHARACTERS, MOST_KEY = 500, 4000, 80
FILE = "memory.sqlite"
BUSY_SECONDS = 10.0  # that another process may hold the file
_SCHEMA = """
CREATE TABLE IF NOT EXISTS notes (
    id INTEGER PRIMARY KEY, key TEXT NOT NULL UNIQUE, text TEXT NOT NULL, tainted INTEGER NOT NULL,
    changed REAL NOT NULL);
CREATE VIRTUAL TABLE IF NOT EXISTS note_words USING fts5(head, body, tokenize = 'porter ascii');
"""


@dataclass(frozen=True)
class Note:
    """What was kept under a name."""

    key: str
    text: str
    tainted: bool
    """It was written after text of strangers had been read."""
    changed: float
    """Seconds since 1970."""


class Memory:
    """Notes in an SQLite file, for threads and processes, opened when they are first wanted.

    path: None keeps them as long as the object. Every method raises SansiError where the file cannot be opened.
    """

    def __init__(self, path: str | Path | None = None, most: int = MOST_NOTES):
        self._path, self._most = path, most
        self._lock = threading.RLock()
        self._opened: sqlite3.Connection | None = None

    @property
    def _base(self) -> sqlite3.Connection:
        with self._lock:
            if self._opened is None:
                self._opened = _open(self._path)
            return self._opened

    def close(self) -> None:
        with self._lock:
            if self._opened is not None:
                self._opened.close()
                self._opened = None

    def get(self, key: str) -> Note | None:
        with self._lock:
            sql = "SELECT key, text, tainted, changed FROM notes WHERE key = ?"
            row = self._base.execute(sql, (key,)).fetchone()
        return None if row is None else _note(row)

    def save(self, key: str, text: str, tainted: bool = False) -> Note | None:
        """Keep a note, in place of the one of this name, which is returned. Raises SansiError beyond the bounds."""
        key, text = _checked(key, text)
        with self._lock, self._base:
            self._base.execute("BEGIN IMMEDIATE")  # no other process between the count and the note
            before, count = self.get(key), self._base.execute("SELECT count(*) FROM notes").fetchone()[0]
            if before is None and count >= self._most:
                raise SansiError(f"the memory is full: it has {count} notes; delete one that is no longer needed")
            if before is not None:
                self._delete(key)
            row = (key, text, int(tainted), time.time())
            sql = "INSERT INTO notes (key, text, tainted, changed) VALUES (?, ?, ?, ?)"
            number = self._base.execute(sql, row).lastrowid
            _add_words(self._base, number, key, text)
        return before

    def delete(self, key: str) -> bool:
        """Whether there was such a note."""
        with self._lock, self._base:
            return self._delete(key)

    def search(self, query: str = "", count: int = 10) -> list[Note]:
        """The notes that fit best; without words to look for, the last ones."""
        asked = query_of(query)
        sql = "SELECT key, text, tainted, changed FROM notes"
        if asked:
            sql += " JOIN note_words ON note_words.rowid = notes.id WHERE note_words MATCH ?"
            sql += " ORDER BY bm25(note_words, 2.0, 1.0), changed DESC LIMIT ?"
        else:
            sql += " ORDER BY changed DESC, notes.id DESC LIMIT ?"
        with self._lock:
            return [_note(row) for row in self._base.execute(sql, (*([asked] if asked else []), count))]

    @property
    def keys(self) -> list[str]:
        with self._lock:
            return [key for (key,) in self._base.execute("SELECT key FROM notes ORDER BY key")]

    def _delete(self, key: str) -> bool:
        self._base.execute("DELETE FROM note_words WHERE rowid IN (SELECT id FROM notes WHERE key = ?)", (key,))
        return self._base.execute("DELETE FROM notes WHERE key = ?", (key,)).rowcount > 0


class MemoryTools:
    """What a model does with a memory."""

    def __init__(self, memory: Memory):
        self._memory = memory

    # What a result says of its taint wins; where nobody has it any more, notes may be strangers' words.
    @tool(effects={"write"}, tainted=True)
    def memory_save(self, key: str, text: str, context: ToolContext) -> Result:
        """Keep a note for later conversations: a fact about the user, a decision, a preference. No secrets.

        Args:
            key: A short name. A note of the same name is replaced.
            text: What to remember, in a sentence or a few.
        """
        before = self._memory.save(key, text, context.tainted)
        if before is None:
            return Result(f"Saved “{key.strip()}”.", tainted=False)
        return Result(f"Changed “{key.strip()}”. Before, it said: {before.text}", tainted=before.tainted)

    @tool(tainted=True)
    def memory_search(self, query: str = "", count: int = 10) -> Result:
        """Look into the notes of earlier conversations.

        Args:
            query: Words to look for; empty: the latest notes.
            count: How many notes, 1 to 50.
        """
        found = self._memory.search(query, min(max(count, 1), 50))
        if not found:
            told = "There are no notes." if not self._memory.keys else "No note fits; try other words."
            return Result(told, tainted=False)
        said = {True: " (noted after text of strangers had been read)", False: ""}
        lines = [f"{note.key}: {note.text}{said[note.tainted]}" for note in found]
        return Result("\n".join(lines), tainted=any(note.tainted for note in found), origin="memory")

    @tool(effects={"write"})
    def memory_delete(self, key: str) -> str:
        """Delete a note that is wrong or no longer wanted.

        Args:
            key: The name of the note.
        """
        if not self._memory.delete(key.strip()):
            near = nearest(key.strip(), self._memory.keys)
            raise SansiError(f"there is no note “{key[:MOST_KEY]}”" + (f"; did you mean “{near}”?" if near else ""))
        return f"Deleted “{key.strip()}”."


def memory_tools(memory: Memory) -> list[Tool]:
    """`memory_save`, `memory_search` and `memory_delete` over one memory."""

    def shown(arguments: Mapping[str, Any]) -> str:
        key = str(arguments.get("key", "")).strip()
        before = memory.get(key)
        lines = [
            key,
            *([f"- {before.text}"] if before else []),
            *([f"+ {arguments['text']}"] if "text" in arguments else []),
        ]
        return "\n".join(lines)

    made = tools_of(MemoryTools(memory), origin="built-in", timeout=BUSY_SECONDS + 5)
    return [replace(each, show=shown) if "write" in each.effects else each for each in made]


def tools(workspace: Any) -> list[Tool]:
    """Over the one memory of a user of this machine."""
    memory = Memory(state_folder() / FILE)
    workspace.close_with(memory.close)
    return memory_tools(memory)


def _open(path: str | Path | None) -> sqlite3.Connection:
    try:
        if path is not None:
            Path(path).parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        base = sqlite3.connect(path or ":memory:", timeout=BUSY_SECONDS, check_same_thread=False)
        base.executescript(_SCHEMA)
        with base:
            base.execute("BEGIN IMMEDIATE")  # no other process does the same meanwhile
            if terms_are_others(base):
                base.execute("DELETE FROM note_words")
                for number, key, text in base.execute("SELECT id, key, text FROM notes").fetchall():
                    _add_words(base, number, key, text)
    except (sqlite3.Error, OSError) as error:
        raise SansiError(f"the memory {path or ''} can not be opened: {error}", param="memory") from error
    return base


def _add_words(base: sqlite3.Connection, number: int | None, key: str, text: str) -> None:
    """By which a note is found."""
    words = (number, " ".join(terms(key)), " ".join(terms(text)))
    base.execute("INSERT INTO note_words (rowid, head, body) VALUES (?, ?, ?)", words)


def _checked(key: str, text: str) -> tuple[str, str]:
    key, text = " ".join(key.split()), text.strip()
    if not key or len(key) > MOST_KEY:
        raise SansiError(f"key must have 1 to {MOST_KEY} characters, not {len(key)}", param="key")
    if not text or len(text) > MOST_CHARACTERS:
        raise SansiError(f"text must have 1 to {MOST_CHARACTERS:,} characters, not {len(text):,}", param="text")
    return key, text


def _note(row: tuple[Any, ...]) -> Note:
    key, text, tainted, changed = row
    return Note(key, text, bool(tainted), changed)
