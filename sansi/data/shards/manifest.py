"""What a folder of shards says of itself: `shards.json`, written last, checked by whoever opens a shard."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Literal, Protocol

from sansi.base.config import load_config
from sansi.base.errors import SansiError
from sansi.base.files import read_json, write_json
from sansi.base.shown import show
from sansi.data.documents import Document

MANIFEST_FILE = "shards.json"
FORMAT = "sansi-shards-1"
COUNTED = ("languages", "sources", "licences", "kinds")
PROBES = (
    "The quick brown fox jumps over the lazy dog, doesn't it?",
    "  for i in range(10):\n\t\treturn x[i] ** 2 != 0x1F  # indent\r\n\n\n",
    "1234567890 3.14 1,000,000 ½ ²",
    "Éclair, naïve, cafe\u0301, ﬁn, Straße, İstanbul",
    "Чем дальше в лес, тем больше дров. 天下大勢,分久必合。ありがとう 고맙습니다",
    "हिन्दी தமிழ் မြန်မာ ภาษาไทย ភាសាខ្មែរ עִבְרִית العَرَبِيَّة",
    "👩‍👩‍👧 🇩🇪 \u200b\u00a0\ufeff",
)
"""Texts whose ids stand in the manifest: where tokenizers differ, some of them tell how."""

Layout = Literal["concat", "rows"]


class DocumentTokenizer(Protocol):
    """What packing needs of a tokenizer; `sansi.text.Tokenizer` is one. It may have `hash`, `encode_batch` and `files`,
    as that has."""

    @property
    def vocab_size(self) -> int: ...
    @property
    def end_of_text_id(self) -> int: ...
    def encode(self, text: str) -> list[int]: ...


@dataclass(frozen=True)
class ShardEntry:
    """One shard: its file, what it holds, and digests of that."""

    name: str
    tokens: int  # without padding, ends of documents included
    documents: int
    digest: str  # of all ids, borders and loss masks, whatever the types they are kept in
    tables: int  # CRC-32 of the borders, which is compared when the shard is opened
    rows: int = 0  # where rows were packed
    left_out: dict[str, int] = field(default_factory=dict)  # documents, by reason
    cropped: int = 0  # tokens
    largest_id: int = 0


@dataclass(frozen=True)
class Manifest:
    """What was packed: for whom it was encoded, what it holds and where that came from."""

    layout: Layout
    tokens: int
    documents: int
    dtype: str
    vocab_size: int
    end_of_text_id: int  # the separator of documents
    largest_id: int
    tokenizer: str | None  # `Tokenizer.hash`; None: a tokenizer that has none
    shards: tuple[ShardEntry, ...]
    sequence_length: int | None = None  # of rows; they hold one token more
    rows: int = 0
    padding: int = 0  # places in rows that no token fills
    cropped: int = 0  # tokens that were cut off because they were asked to be
    left_out: dict[str, int] = field(default_factory=dict)  # documents that were not packed, by reason
    loss_mask: bool = False  # whether the shards say which tokens are targets; else all are but a document's first
    probes: dict[str, list[int]] = field(default_factory=dict)  # ids of `PROBES`
    languages: dict[str, dict[str, int]] = field(default_factory=dict)  # documents and tokens of each, where known
    sources: dict[str, dict[str, int]] = field(default_factory=dict)
    licences: dict[str, dict[str, int]] = field(default_factory=dict)
    kinds: dict[str, dict[str, int]] = field(default_factory=dict)
    settings: dict[str, Any] = field(default_factory=dict)  # what packing was asked to do

    @classmethod
    def load(cls, folder: Path) -> Manifest:
        """Raises SansiError where there is none, or it is of something else or another version."""
        path = Path(folder) / MANIFEST_FILE
        if not path.is_file():
            raise SansiError(f"{folder}: no token shards here ({MANIFEST_FILE} is missing); pack a corpus into it")
        index = read_json(path)
        if not isinstance(index, dict) or index.get("format") != FORMAT:
            raise SansiError(f"{path}: not the manifest of token shards, or an older version's; pack the corpus again")
        return load_config(cls, {key: value for key, value in index.items() if key != "format"}, str(path))

    def write(self, folder: Path) -> None:
        write_json(Path(folder) / MANIFEST_FILE, {"format": FORMAT, **asdict(self)})

    def entry(self, shard: Path) -> ShardEntry:
        """What is said of a shard of the folder. Raises SansiError if nothing is."""
        if shard.name not in self._entries:
            raise SansiError(f"{shard}: {MANIFEST_FILE} beside it does not name this shard; it is another folder's")
        return self._entries[shard.name]

    @cached_property
    def _entries(self) -> dict[str, ShardEntry]:
        return {entry.name: entry for entry in self.shards}

    @cached_property
    def digest(self) -> str:
        """Of the content of all shards in their order."""
        return digest_of_shards(entry.digest for entry in self.shards)

    @property
    def padding_share(self) -> float:
        places = self.tokens + self.padding
        return self.padding / places if self.rows else 0.0

    def check_tokenizer(self, tokenizer: DocumentTokenizer | str | None, where: Path) -> None:
        """Raise SansiError, which says what differs, if the shards were encoded by another tokenizer than this one.

        tokenizer: itself, or only its hash.
        """
        found = tokenizer if isinstance(tokenizer, str | None) else getattr(tokenizer, "hash", None)
        if tokenizer is None or (found and found == self.tokenizer):
            return
        if found and self.tokenizer:
            hashes = f"{self.tokenizer[:12]}… there, {found[:12]}… here"
            raise SansiError(
                f"{where}: encoded with another tokenizer ({'; '.join([hashes, *self._differences(tokenizer)])}); "
                "pack the corpus again with this one",
                param="tokenizer",
            )
        if differences := self._differences(tokenizer, told=False):
            raise SansiError(
                f"{where}: encoded with another tokenizer ({'; '.join(differences)}); pack the corpus again with this "
                "one",
                param="tokenizer",
            )

    def _differences(self, tokenizer: DocumentTokenizer | str, told: bool = True) -> list[str]:
        """What differs, as far as it can be told."""
        if isinstance(tokenizer, str):
            return []
        found = []
        for name in ("vocab_size", "end_of_text_id"):
            if (there := getattr(self, name)) != (here := getattr(tokenizer, name)):
                found.append(f'"{name}": {there} there, {here} here')
        for text, ids in self.probes.items():
            if (here := list(tokenizer.encode(text))) != ids:
                place = next((i for i, pair in enumerate(zip(ids, here, strict=False)) if pair[0] != pair[1]), 0)
                found.append(f"{show(text)} begins to differ at token {place}: {ids[place:][:4]}…, {here[place:][:4]}…")
                break
        if not found and told:
            found.append("the probed texts become the same ids, so it is in the added tokens or in rare pieces")
        return found


def digest_of_shards(digests: Iterable[str]) -> str:
    return hashlib.sha256("".join(digests).encode()).hexdigest()


class Tally:
    """Counts the documents that are packed and their tokens, by what is known of them."""

    def __init__(self) -> None:
        self.documents: dict[str, Counter[str]] = {name: Counter() for name in COUNTED}
        self.tokens: dict[str, Counter[str]] = {name: Counter() for name in COUNTED}

    def add(self, document: Document, tokens: int) -> None:
        values = (document.language, document.source, document.licence, document.kind)
        for name, value in zip(COUNTED, values, strict=True):
            self.documents[name][value] += 1
            self.tokens[name][value] += tokens

    def merge(self, counts: Mapping[str, Mapping[str, Mapping[str, int]]]) -> None:
        """Add what another one counted."""
        for name in COUNTED:
            for value, count in counts.get(name, {}).items():
                self.documents[name][value] += count["documents"]
                self.tokens[name][value] += count["tokens"]

    def counts(self) -> dict[str, dict[str, dict[str, int]]]:
        return {
            name: {
                value: {"documents": self.documents[name][value], "tokens": self.tokens[name][value]}
                for value in sorted(self.documents[name])
            }
            for name in COUNTED
        }
