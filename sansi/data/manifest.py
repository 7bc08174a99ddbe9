"""What a folder of token shards says of itself: `index.json`, written by `pack`, checked by whoever opens a shard."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from functools import cached_property
from pathlib import Path

from sansi.base.config import load_config
from sansi.base.errors import SansiError
from sansi.base.files import read_json, write_json

INDEX_FILE = "index.json"
FORMAT = "sansi-token-shards-2"


@dataclass(frozen=True)
class ShardEntry:
    """One shard: its file, what it holds, and digests of that."""

    name: str
    tokens: int
    documents: int
    digest: str  # of all ids and offsets, whatever the type they are kept in
    probe: str  # of the offsets and of ids taken evenly from the whole: quick to compare when the shard is opened


@dataclass(frozen=True)
class Manifest:
    """What `pack` wrote: for whom it was encoded, what it holds and where that came from."""

    tokens: int
    documents: int
    dtype: str
    vocab_size: int
    end_of_text_id: int
    largest_id: int
    tokenizer: str | None  # `Tokenizer.hash`; None: a tokenizer that has none
    shards: tuple[ShardEntry, ...]
    languages: dict[str, int] = field(default_factory=dict)  # documents by language, where documents were packed
    sources: dict[str, int] = field(default_factory=dict)
    licences: dict[str, int] = field(default_factory=dict)

    @classmethod
    def load(cls, folder: Path) -> Manifest:
        """Raises SansiError where there is none, or it is of something else or an older version."""
        path = Path(folder) / INDEX_FILE
        if not path.is_file():
            raise SansiError(f"{folder}: no token shards here ({INDEX_FILE} is missing); pack a corpus into it")
        index = read_json(path)
        if not isinstance(index, dict) or index.get("format") != FORMAT:
            raise SansiError(f"{path}: not the index of token shards, or an older version's; pack the corpus again")
        return load_config(cls, {key: value for key, value in index.items() if key != "format"}, str(path))

    def write(self, folder: Path) -> None:
        write_json(Path(folder) / INDEX_FILE, {"format": FORMAT, **asdict(self)})

    def entry(self, shard: Path) -> ShardEntry:
        """What is said of a shard of the folder. Raises SansiError if nothing is."""
        if shard.name not in self._entries:
            raise SansiError(f"{shard}: {INDEX_FILE} beside it does not name this shard; it belongs to another folder")
        return self._entries[shard.name]

    @cached_property
    def _entries(self) -> dict[str, ShardEntry]:
        return {entry.name: entry for entry in self.shards}

    def check_tokenizer(self, tokenizer: str | None, where: Path) -> None:
        """Raise SansiError if the shards were encoded by another tokenizer than the one with this hash."""
        if tokenizer and self.tokenizer and tokenizer != self.tokenizer:
            raise SansiError(
                f"{where}: encoded with another tokenizer ({self.tokenizer[:12]}…, here {tokenizer[:12]}…); "
                "pack the corpus again with this one",
                param="tokenizer",
            )


@dataclass
class Tally:
    """Counts the documents that are packed, by what is known of them."""

    languages: Counter[str] = field(default_factory=Counter)
    sources: Counter[str] = field(default_factory=Counter)
    licences: Counter[str] = field(default_factory=Counter)

    def add(self, language: str, source: str, licence: str) -> None:
        self.languages[language] += 1
        self.sources[source] += 1
        self.licences[licence] += 1

    def counts(self) -> Mapping[str, dict[str, int]]:
        return {name: dict(sorted(getattr(self, name).items())) for name in ("languages", "sources", "licences")}
