"""Token shards: documents one after another in one array of ids, with the offset at which each document starts.

On disk a shard is two numpy files, `NAME.npy` (uint16 or uint32 ids) and `NAME.starts.npy` (int64 offsets), so that
training maps it into memory and reads only the rows it needs. A document never spans two shards. `index.json` beside
them tells what they hold, by which tokenizer, with digests: a damaged or foreign shard is refused by name.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
import numpy.typing as npt

from sansi.base.errors import SansiError
from sansi.base.files import as_path, atomic_folder
from sansi.data.documents import Document
from sansi.data.ids import as_ids, digest_of, dtype_for, is_whole
from sansi.data.manifest import INDEX_FILE, Manifest, ShardEntry, Tally

PROBED = 1 << 16  # ids in a probe


class DocumentTokenizer(Protocol):
    """What packing needs of a tokenizer; `sansi.text.Tokenizer` is one."""

    @property
    def vocab_size(self) -> int: ...
    @property
    def end_of_text_id(self) -> int: ...
    def encode(self, text: str) -> list[int]: ...


@dataclass(frozen=True)
class TokenShard:
    """`tokens` [N] of any integer dtype; `starts` [documents] ascending int64 offsets into it, the first is 0."""

    tokens: npt.NDArray[np.integer]
    starts: npt.NDArray[np.int64]
    entry: ShardEntry | None = None  # of the manifest, if the shard is from a packed folder

    @classmethod
    def from_documents(
        cls, documents: Iterable[Sequence[int] | np.ndarray], dtype: npt.DTypeLike = np.uint32
    ) -> TokenShard:
        """One shard of documents given as ids, empty ones left out. Raises SansiError for ids beyond `dtype`."""
        checked = (as_ids(ids, dtype, f"document {number}") for number, ids in enumerate(documents))
        arrays = [array for array in checked if len(array)]
        lengths = [len(array) for array in arrays]
        starts = np.cumsum([0, *lengths], dtype=np.int64)[:-1]
        return cls(np.concatenate(arrays) if arrays else np.zeros(0, dtype), starts)

    @classmethod
    def load(cls, path: Path, manifest: Manifest | None = None) -> TokenShard:
        """Map the shard into memory. Raises SansiError when a file is missing or damaged, or is not what `index.json`
        beside it describes. `manifest`: what that says, where it was read already."""
        path = Path(path)
        try:
            tokens, starts = np.load(path, mmap_mode="r"), np.load(starts_file(path), mmap_mode="r")
            shard = cls(tokens, starts, _entry_of(path, manifest))
        except (OSError, ValueError, EOFError) as error:
            raise SansiError(f"{path}: not a whole token shard ({error}); pack the corpus again") from error
        shard.check(str(path))
        return shard

    def check(self, where: str) -> None:
        """Raise SansiError unless this is a shard: whole numbers, offsets that ascend inside the tokens from 0, and
        what the manifest says of it."""
        tokens, starts = self.tokens, self.starts
        if tokens.ndim != 1 or tokens.dtype.kind not in "iu" or starts.ndim != 1 or starts.dtype.kind not in "iu":
            raise SansiError(f"{where}: {tokens.dtype} ids and {starts.dtype} offsets are no token shard; pack again")
        ascending = bool(np.all(np.diff(starts) > 0)) if len(starts) > 1 else True
        bounded = len(starts) > 0 and starts[0] == 0 and starts[-1] < len(tokens)
        if len(tokens) and not (ascending and bounded):
            raise SansiError(f"{where}: document offsets do not fit {len(tokens)} tokens; pack the corpus again")
        if self.entry and (len(tokens), len(starts), self.probe) != (
            self.entry.tokens,
            self.entry.documents,
            self.entry.probe,
        ):
            raise SansiError(
                f"{where}: not the shard that {INDEX_FILE} describes; it was damaged or replaced, pack the corpus again"
            )

    @property
    def digest(self) -> str:
        """Of all ids and offsets; taken from the manifest where there is one, since it reads the whole shard."""
        return self.entry.digest if self.entry else self.computed_digest()

    def computed_digest(self) -> str:
        return digest_of((self.tokens, self.starts), ("<i8", "<i8"))

    @property
    def probe(self) -> str:
        """Of the offsets, and of ids taken evenly from the whole."""
        step = max(1, len(self.tokens) // PROBED)
        return digest_of((self.tokens[::step], self.starts), ("<i8", "<i8"))

    def save(self, path: Path) -> None:
        np.save(path, self.tokens)
        np.save(starts_file(path), self.starts)


@dataclass(frozen=True)
class PackReport:
    """What `pack` wrote."""

    folder: Path
    shards: tuple[Path, ...]
    documents: int
    tokens: int  # end-of-text ids included
    dtype: str


def starts_file(shard: Path) -> Path:
    return Path(shard).with_suffix(".starts.npy")


def shard_paths(folder: Path) -> list[Path]:
    """The shards of a folder that `pack` wrote, in order."""
    return [Path(folder) / entry.name for entry in Manifest.load(folder).shards]


def verify_shards(folder: Path) -> None:
    """Read all shards of a folder whole and raise SansiError for the first whose content is not what was written."""
    manifest = Manifest.load(folder)
    for entry in manifest.shards:
        path = Path(folder) / entry.name
        shard = TokenShard.load(path, manifest)
        if shard.computed_digest() != shard.digest:
            raise SansiError(f"{path}: its content is not what was packed; it was damaged, pack the corpus again")


def pack(
    texts: Iterable[str | Document], tokenizer: DocumentTokenizer, out: Path, shard_tokens: int = 1 << 26
) -> PackReport:
    """Tokenise `texts`, end each with `end_of_text_id`, and write shards of at most about `shard_tokens` ids to `out`.

    `Document`s are counted by language, source and licence in the manifest. The folder appears whole or not at all. A
    document longer than `shard_tokens` gets a shard of its own. Raises SansiError for an id that the tokenizer's
    `vocab_size` does not admit, and where there is no text at all.
    """
    if isinstance(texts, str | Document):
        raise SansiError('"texts" is one text; give a list of texts', param="texts")
    if not is_whole(shard_tokens) or shard_tokens < 1:
        raise SansiError(
            f'"shard_tokens" is {shard_tokens!r}; it must be a whole number of at least 1', param="shard_tokens"
        )
    out, dtype, tally = as_path(out), dtype_for(tokenizer.vocab_size), Tally()
    entries: list[ShardEntry] = []
    largest = tokenizer.end_of_text_id
    with atomic_folder(out) as draft:
        for batch in _batches(_encoded(texts, tokenizer, dtype, tally), shard_tokens):
            shard = TokenShard.from_documents(batch, dtype)
            largest = max(largest, int(shard.tokens.max()))
            name = f"shard-{len(entries):05d}.npy"
            shard.save(draft / name)
            entries.append(ShardEntry(name, len(shard.tokens), len(shard.starts), shard.digest, shard.probe))
        if not entries:
            raise SansiError("there are no texts to pack; give at least one", param="texts")
        documents, tokens = sum(entry.documents for entry in entries), sum(entry.tokens for entry in entries)
        Manifest(
            tokens=tokens,
            documents=documents,
            dtype=dtype.name,
            vocab_size=tokenizer.vocab_size,
            end_of_text_id=tokenizer.end_of_text_id,
            largest_id=largest,
            tokenizer=getattr(tokenizer, "hash", None),
            shards=tuple(entries),
            **tally.counts(),
        ).write(draft)
    return PackReport(out, tuple(out / entry.name for entry in entries), documents, tokens, dtype.name)


def _encoded(
    texts: Iterable[str | Document], tokenizer: DocumentTokenizer, dtype: np.dtype, tally: Tally
) -> Iterator[npt.NDArray[np.integer]]:
    for number, text in enumerate(texts):
        if isinstance(text, Document):
            tally.add(text.language, text.source, text.licence)
            text = text.text
        elif not isinstance(text, str):
            raise SansiError(f"text {number} is {type(text).__name__}; give texts or documents", param="texts")
        # Small arrays, not lists: a shard of Python integers would take ten times its size in memory.
        ids = as_ids([*tokenizer.encode(text), tokenizer.end_of_text_id], None, f"text {number}")
        if int(ids.max()) >= tokenizer.vocab_size:
            raise SansiError(
                f'text {number} has the token id {int(ids.max())}, but "vocab_size" of the tokenizer is '
                f"{tokenizer.vocab_size}; use the tokenizer as it was saved",
                param="tokenizer",
            )
        yield ids.astype(dtype)


def _batches(documents: Iterable[npt.NDArray[np.integer]], limit: int) -> Iterable[list[npt.NDArray[np.integer]]]:
    batch: list[npt.NDArray[np.integer]] = []
    size = 0
    for document in documents:
        if batch and size + len(document) > limit:
            yield batch
            batch, size = [], 0
        batch.append(document)
        size += len(document)
    if batch:
        yield batch


def _entry_of(path: Path, manifest: Manifest | None) -> ShardEntry | None:
    if manifest is None and not (path.parent / INDEX_FILE).is_file():
        return None
    return (manifest or Manifest.load(path.parent)).entry(path)
